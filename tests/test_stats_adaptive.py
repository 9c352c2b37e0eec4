"""Stopping plans: every way they end, estimates without bias, and widths that are published."""

from __future__ import annotations

import itertools
import math
import random
from statistics import fmean

import pytest

from affine_trainer.stats import StoppingPlan, fixed_plan, plan_at, unbiased_mean, wilson_interval
from affine_trainer.stats.adaptive import ends_of

PLANS = {
    "wilson": StoppingPlan.every(4, 16, 0.5, "wilson", 0.95),
    "jeffreys": StoppingPlan.every(4, 16, 0.5, "jeffreys", 0.95),
    "looks at each": StoppingPlan(tuple(range(2, 11)), 0.6, "jeffreys", 0.8),
    "uneven looks": StoppingPlan((3, 7, 9), 0.55, "wilson", 0.8),
    "fixed": fixed_plan(9),
}
# With these a plan stops when its first four outcomes agree, and goes on to 16 otherwise.
FOUR_ALIKE = StoppingPlan((4, 16), 0.5, "wilson", 0.95)
RATES = (0.0, 0.1, 0.37, 0.5, 0.9, 1.0)


def every_play(plan: StoppingPlan, rate: float):
    """Each sequence of outcomes up to where the plan stops, with its probability, by brute force."""
    open_plays = [((), 1.0)]
    for look in plan.looks:
        following = []
        for outcomes, chance in open_plays:
            for more in itertools.product((False, True), repeat=look - len(outcomes)):
                hits = sum(more)
                longer = chance * rate**hits * (1 - rate) ** (len(more) - hits)
                played = (*outcomes, *more)
                if plan.stops(sum(played), look):
                    yield played, longer
                else:
                    following.append((played, longer))
        open_plays = following


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", ["looks at each", "uneven looks"])
def test_the_adaptive_estimate_is_unbiased_over_every_sequence_of_outcomes(name: str, rate: float) -> None:
    plan = PLANS[name]
    plays = list(every_play(plan, rate))
    assert math.fsum(chance for _, chance in plays) == pytest.approx(1.0, abs=1e-12)
    mean = math.fsum(
        chance * unbiased_mean(plan, played, [float(o) for o in played]) for played, chance in plays
    )
    assert abs(mean - rate) < 1e-9
    at = plan_at(plan, rate)
    squares = math.fsum(
        c * (unbiased_mean(plan, played, [float(o) for o in played]) - rate) ** 2 for played, c in plays
    )
    plain = math.fsum(chance * fmean(played) for played, chance in plays)
    assert at.rmse == pytest.approx(math.sqrt(squares), abs=1e-9)
    assert at.mle_bias == pytest.approx(plain - rate, abs=1e-9)
    assert at.expected_trials == pytest.approx(math.fsum(c * len(p) for p, c in plays))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_by_counting_paths_the_bias_is_nothing(plan: StoppingPlan, rate: float) -> None:
    assert abs(plan_at(plan, rate).bias) < 1e-9
    assert sum(end.sequences * 0.5**end.trials for end in ends_of(plan)) == pytest.approx(1.0, abs=1e-12)


def test_shaped_returns_are_estimated_without_bias_too() -> None:
    """Outcomes stop the plan; what they pay is random, in amounts that differ for success and failure."""
    plan, rate = StoppingPlan((2, 3, 5), 0.65, "wilson", 0.8), 0.3
    assert plan.can_stop_early
    paid = {True: ((0.5, 1.0), (0.5, 0.6)), False: ((0.25, 0.3), (0.75, -0.2))}
    expected = rate * 0.8 + (1 - rate) * (0.25 * 0.3 - 0.75 * 0.2)
    means, plain = [], []
    for played, chance in every_play(plan, rate):
        for kinds in itertools.product((0, 1), repeat=len(played)):
            drawn = [paid[hit][kind] for hit, kind in zip(played, kinds, strict=True)]
            weight = chance * math.prod(share for share, _ in drawn)
            returns = [amount for _, amount in drawn]
            means.append(weight * unbiased_mean(plan, played, returns))
            plain.append(weight * fmean(returns))
    assert abs(math.fsum(means) - expected) < 1e-9
    assert abs(math.fsum(plain) - expected) > 0.005


def test_stopping_on_four_alike_biases_the_plain_mean_as_computed_by_hand() -> None:
    p = 0.1
    alike = p**4 + (1 - p) ** 4
    pilot_otherwise = 4 * p - 4 * p**4
    expected = p**4 + (pilot_otherwise + 12 * p * (1 - alike)) / 16 - p
    at = plan_at(FOUR_ALIKE, p)
    assert at.mle_bias == pytest.approx(expected, abs=1e-12)
    assert at.mle_bias == pytest.approx(-0.049, abs=0.001)
    assert at.stops_early == pytest.approx(alike)


def test_the_repair_uses_the_pilots_share_of_all_that_was_seen() -> None:
    """Only pilots of one success and one failure go on here, whatever comes after."""
    plan = StoppingPlan((2, 4), 0.65, "wilson", 0.8)
    assert plan.stops(0, 2) and plan.stops(2, 2) and not plan.stops(1, 2)
    for order in set(itertools.permutations((True, True, False, False))):
        if sum(order[:2]) == 1:
            assert unbiased_mean(plan, order, [float(o) for o in order]) == 0.5
    assert unbiased_mean(plan, (True, False, True, True), (1.0, 0.0, 1.0, 1.0)) == 0.5
    assert fmean((1.0, 0.0, 1.0, 1.0)) == 0.75
    with pytest.raises(ValueError, match="does not stop after 3 outcomes"):
        unbiased_mean(plan, (True, False, True), (1.0, 0.0, 1.0))


def test_a_fixed_plan_is_the_plain_mean() -> None:
    rng = random.Random(0)
    returns = [rng.random() for _ in range(9)]
    hits = [value > 0.5 for value in returns]
    assert unbiased_mean(fixed_plan(9), hits, returns) == pytest.approx(fmean(returns), abs=1e-15)
    at = plan_at(fixed_plan(9), 0.3)
    assert (at.expected_trials, at.stops_early, at.rmse) == pytest.approx((9, 0, math.sqrt(0.21 / 9)))


def test_wilson_widths_are_the_published_ones_and_the_documented_plan_never_stops_early() -> None:
    lower, upper = wilson_interval(0, 16)
    assert (lower, upper) == pytest.approx((0.0, 0.1936), abs=1e-4)
    lower, upper = wilson_interval(8, 16)
    assert upper - lower == pytest.approx(0.440, abs=5e-4)
    assert wilson_interval(15, 50) == pytest.approx((0.191, 0.438), abs=1e-3)  # Newcombe 1998's method 3
    assert wilson_interval(0, 0) == (0.0, 1.0)
    documented = StoppingPlan.every(4, 16, 0.15, "wilson", 0.95)
    assert not documented.can_stop_early
    assert StoppingPlan((22, 170), 0.15, "wilson", 0.95).can_stop_early
    assert not StoppingPlan((21, 170), 0.15, "wilson", 0.95).can_stop_early
    assert PLANS["wilson"].can_stop_early
