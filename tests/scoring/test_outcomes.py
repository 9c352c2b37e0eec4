"""Each dated rule between two models, on cases worked by hand and against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from affine_trainer.errors import AffineError
from affine_trainer.scoring import (
    SCORINGS,
    Totals,
    decide,
    environment_sets,
    outcomes,
    raw_interval,
    required_samples,
    scorings_named,
    totals,
)

PARETO, OCTOBER, NOVEMBER, DECEMBER, THRESHOLD, DUEL = SCORINGS.values()


def verdict(scoring, later, earlier, n=1000):
    """+1 where the later model wins, given mean scores an environment."""
    counts = [n] * len(later)
    mine, theirs = (totals([n * mean for mean in means], counts) for means in (later, earlier))
    return int(decide(scoring, mine, theirs))


def test_the_profiles_are_those_of_the_design_in_order_of_their_dates():
    assert list(SCORINGS) == [
        "pareto-2025-09",
        "jeffreys-2025-10",
        "jeffreys-2025-11",
        "jeffreys-2025-12",
        "threshold-2025-12",
        "duel-2026-06",
    ]
    dates = [scoring.since for scoring in SCORINGS.values()]
    assert dates == sorted(dates)


@pytest.mark.parametrize(
    ("name", "level", "least"),
    [
        ("jeffreys-2025-10", 0.80, 200),
        ("jeffreys-2025-11-01", 0.80, 200),
        ("jeffreys-2025-11-11", 0.80, 400),
        ("jeffreys-2025-11-16", 0.90, 200),
        ("jeffreys-2025-11-18", 0.85, 400),
        ("jeffreys-2025-11", 0.90, 400),
        ("jeffreys-2025-12", 0.80, 400),
    ],
)
def test_every_change_of_the_jeffreys_rule_has_a_name(name, level, least):
    [scoring] = scorings_named(name)
    assert (scoring.level, scoring.min_samples) == (level, least)


def test_all_means_the_profiles_of_the_design_and_an_unknown_name_lists_them():
    assert scorings_named("all") == list(SCORINGS.values())
    with pytest.raises(AffineError, match=r"no scoring named 'elo'.*jeffreys-2025-10"):
        scorings_named("elo")


@pytest.mark.parametrize("level", [0.80, 0.85, 0.90])
def test_the_validators_interval_has_raw_beta_quantiles_even_at_the_ends(level):
    model = totals([0, 3, 7.25, 20, 500], [20, 20, 20, 20, 1000])
    low, high = raw_interval(model, level)
    tail = (1 - level) / 2
    for place, (s, n) in enumerate(zip(model.sums, model.counts, strict=True)):
        assert low[place] == pytest.approx(beta.ppf(tail, 0.5 + s, 0.5 + n - s), abs=1e-9)
        assert high[place] == pytest.approx(beta.ppf(1 - tail, 0.5 + s, 0.5 + n - s), abs=1e-9)
    assert low[0] > 0 and high[3] < 1


def test_without_samples_the_validators_interval_is_0_and_0_and_sums_are_clamped():
    low, high = raw_interval(totals([0, 21], [0, 20]), 0.80)
    assert (low[0], high[0]) == (0.0, 0.0)
    assert high[1] == pytest.approx(beta.ppf(0.9, 20.5, 0.5), abs=1e-9)


@pytest.mark.parametrize(
    ("n", "earlier", "needed"), [(200, 0.5, 0.095), (200, 0.95, 0.035), (1000, 0.5, 0.041)]
)
def test_the_later_model_needs_the_gap_of_the_published_figures(n, earlier, needed):
    assert verdict(OCTOBER, [earlier + needed], [earlier], n) == 1
    assert verdict(OCTOBER, [earlier + needed - 1 / n], [earlier], n) == -1


def test_jeffreys_wants_every_environment_of_the_later_model_and_none_of_the_earlier():
    assert verdict(OCTOBER, [0.6, 0.6], [0.5, 0.5]) == 1
    assert verdict(OCTOBER, [0.6, 0.5], [0.5, 0.5]) == 0
    assert verdict(OCTOBER, [0.5, 0.5], [0.5, 0.5]) == -1


def test_too_few_samples_lose_to_enough_and_are_no_verdict_against_too_few():
    strong, weak = totals([180, 180], [199, 199]), totals([100, 100], [200, 200])
    assert decide(OCTOBER, strong, weak) == -1
    assert decide(OCTOBER, weak, strong) == 1
    assert decide(OCTOBER, strong, totals([50, 50], [199, 199])) == 0
    flags = outcomes(OCTOBER, totals([180], [199]), totals([50], [199]))
    assert not (flags.later_ahead | flags.earlier_ahead).any()


def test_eligibility_asks_for_a_tenth_of_the_most_samples_up_to_5000():
    assert required_samples(OCTOBER, np.array([[3000.0], [200.0]])) == 310
    assert required_samples(OCTOBER, np.array([[90_000.0], [200.0]])) == 510
    assert required_samples(OCTOBER, np.array([[300.0], [200.0]])) == 200
    assert required_samples(DUEL, np.array([[300.0]])) == 0


def test_the_epsilon_pareto_margins_by_hand():
    # n = 1000 at .5: SE = .02236, nw = .02862, win = .01118; more samples than 1000 count as 1000
    for n in (1000, 50_000):
        flags = outcomes(PARETO, totals([0.5112 * n, 0.5111 * n], [n, n]), totals([0.5 * n, 0.5 * n], [n, n]))
        assert flags.later_ahead.tolist() == [True, False]
    flags = outcomes(PARETO, totals([471, 472], [1000] * 2), totals([500, 500], [1000] * 2))
    assert flags.later_blocked.tolist() == [True, False]
    perfect = outcomes(PARETO, totals([1000, 996], [1000] * 2), totals([1000, 1000], [1000] * 2))
    assert perfect.later_blocked.tolist() == [False, False]  # the floor of .005
    assert perfect.later_ahead.tolist() == [False, False]  # win is cut to nw = .005


def test_an_epsilon_tie_goes_to_the_earlier_and_a_gain_within_the_margin_to_the_higher_mean():
    assert verdict(PARETO, [0.5, 0.5], [0.5, 0.5]) == -1
    assert verdict(PARETO, [0.52, 0.5], [0.5, 0.5]) == 1  # both dominate; the higher mean takes the set
    assert verdict(PARETO, [0.6, 0.4], [0.5, 0.5]) == -1  # a trade: nobody dominates, means equal


@pytest.mark.parametrize(
    ("prior", "needed"), [(0.0, 0.10), (0.5, 0.60), (0.75, 0.80), (0.95, 0.97), (0.3, 0.40), (0.85, 0.88)]
)
def test_the_threshold_takes_a_fifth_of_the_failures_within_its_bounds(prior, needed):
    assert verdict(THRESHOLD, [needed + 0.001], [prior]) == 1
    assert verdict(THRESHOLD, [needed - 0.001], [prior]) == -1


def test_no_score_beats_a_threshold_of_1():
    assert verdict(THRESHOLD, [1.0], [0.99]) == -1


def test_the_threshold_rule_counts_only_environments_that_are_90_percent_complete():
    earlier = totals([50, 50], [100, 100])
    whole, torn = totals([90, 80], [100, 90], [100, 100]), totals([90, 80], [100, 89], [100, 100])
    assert decide(THRESHOLD, whole, earlier) == 1
    assert decide(THRESHOLD, torn, earlier) == 0


def test_the_duel_wants_one_gain_above_3_points_and_no_loss_below_98_percent():
    assert verdict(DUEL, [0.54, 0.50], [0.50, 0.50]) == 1
    assert verdict(DUEL, [0.53, 0.50], [0.50, 0.50]) == -1  # not above
    assert verdict(DUEL, [0.60, 0.49], [0.50, 0.50]) == 1  # .98 of the champion is not worse
    assert verdict(DUEL, [0.60, 0.489], [0.50, 0.50]) == -1
    assert decide(DUEL, totals([90], [99]), totals([50], [100])) == -1  # too few samples


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=5))
def test_no_rule_lets_both_orders_crown_the_later_of_two_models(pairs):
    first, second = (totals(list(each), [500] * len(pairs)) for each in zip(*pairs, strict=True))
    for scoring in SCORINGS.values():
        if scoring is not PARETO:  # there the higher mean decides, whatever the order
            assert (decide(scoring, first, second), decide(scoring, second, first)) != (1, 1)


def test_replays_side_by_side_are_the_replays_one_by_one():
    rng = np.random.default_rng(0)
    sums = rng.integers(150, 420, size=(2, 40, 3)).astype(float)
    counts = np.full((40, 3), 500.0)
    for scoring in SCORINGS.values():
        together = decide(scoring, *(Totals(each, counts, counts) for each in sums))
        alone = [
            int(decide(scoring, *(totals(list(each[row]), [500] * 3) for each in sums))) for row in range(40)
        ]
        assert together.tolist() == alone


def test_the_sets_of_environments_are_all_or_the_largest_layers():
    assert len(environment_sets(8)) == 255
    largest = environment_sets(8, layers=6)
    assert len(largest) == 255 - 8 - 28
    assert largest.sum(axis=1).min() == 3
    assert len(environment_sets(3, layers=6)) == 7


def test_totals_that_are_no_counts_are_refused():
    with pytest.raises(ValueError, match="finite"):
        totals([float("nan")], [10])
    with pytest.raises(ValueError, match="shape"):
        totals([1.0, 2.0], [10])
