"""The chance to win, against exact probabilities, and the number of samples that settles it."""

import math

import numpy as np
import pytest
from scipy.stats import betabinom, binom, norm

from affine_trainer.scoring import SCORINGS
from affine_trainer.scoring.planning import (
    chances,
    chances_at_observed_rates,
    evidence,
    further_samples,
)

PARETO, OCTOBER, NOVEMBER, DECEMBER, THRESHOLD, DUEL = SCORINGS.values()


def paired(both, mine, theirs, neither):
    """One environment's evidence from its paired table."""
    return evidence(
        [1] * (both + mine) + [0] * (theirs + neither),
        [1] * both + [0] * mine + [1] * theirs + [0] * neither,
    )


def test_at_observed_rates_the_chance_of_a_duel_is_the_binomial_one():
    # the champion solves nothing, so the challenger wins with more than 3 % of 100 tasks
    found = chances_at_observed_rates(DUEL, [paired(0, 4, 0, 96)], [100], candidate_later=True, draws=40_000)
    exact = binom.sf(3, 100, 0.04)
    assert found.win == pytest.approx(exact, abs=0.01)
    assert found.lose == pytest.approx(1 - exact, abs=0.01)


def test_what_is_not_known_of_the_models_is_in_the_chance_to_win():
    # against a prior of 0 the threshold is .10: more than 10 of 100 tasks
    table = [paired(0, 12, 0, 88)]
    known = chances_at_observed_rates(THRESHOLD, table, [100], candidate_later=True, draws=20_000)
    unknown = chances(THRESHOLD, table, [100], candidate_later=True, draws=20_000)
    assert known.win == pytest.approx(binom.sf(10, 100, 0.12), abs=0.01)
    # the candidate's rate is Beta(12 + 1, 88 + 1), of the four corners' prior; the baseline's is nearly 0,
    # but now and then solves a task and raises the threshold
    alone = betabinom.sf(10, 100, 13, 89)
    assert alone - 0.1 < unknown.win < alone


def test_shared_tasks_help_the_better_of_two_correlated_models():
    table = [paired(80, 20, 5, 95)]
    shared = chances_at_observed_rates(DUEL, table, [200], candidate_later=True, draws=20_000)
    gap = 0.075
    deviation = math.sqrt((25 / 200 - gap**2) / 200)
    # ahead by more than .03 and not below .98: the first implies the second
    assert shared.win == pytest.approx(norm.sf((0.0325 - gap) / deviation), abs=0.03)


def test_chances_sum_to_one_and_say_how_exact_they_are():
    found = chances(OCTOBER, [paired(60, 30, 20, 90)] * 3, [200] * 3, candidate_later=True, draws=4000)
    assert found.win + found.lose + found.neither == pytest.approx(1.0)
    largest = max(found.win, found.lose, found.neither)
    assert found.error == pytest.approx(math.sqrt(largest * (1 - largest) / 4000), rel=0.05)
    sure = chances(OCTOBER, [paired(0, 200, 0, 0)], [200], candidate_later=True, draws=1000)
    assert sure.win == 1.0 and 0 < sure.error < 0.002


def test_the_same_seed_gives_the_same_chance_and_the_orders_differ():
    table = [paired(60, 30, 20, 90)]
    first, again = (chances(OCTOBER, table, [200], candidate_later=True, seed=4) for _ in range(2))
    assert first == again
    assert chances(OCTOBER, table, [200], candidate_later=False, seed=4).win > first.win


def test_fractional_scores_are_drawn_as_they_were_seen():
    rng = np.random.default_rng(0)
    high, low = rng.choice([0.25, 0.5, 0.75], 300), rng.choice([0.0, 0.25, 0.5], 300)
    assert chances(DUEL, [evidence(high, low)], [300], candidate_later=True).win > 0.99
    assert chances(DUEL, [evidence(low, high)], [300], candidate_later=True).win < 0.01


@pytest.mark.parametrize("scoring", [OCTOBER, NOVEMBER, DUEL], ids=lambda each: each.name)
def test_the_samples_that_settle_a_win_do_and_half_of_them_do_not(scoring):
    table = [paired(80, 18, 8, 94)]
    extra = further_samples(scoring, table, "win", candidate_later=True)
    assert extra is not None and extra > 0

    def win(more):
        return chances_at_observed_rates(
            scoring, table, [200 + more], candidate_later=True, draws=20_000, seed=9
        ).win

    assert win(extra) == pytest.approx(0.9, abs=0.04) or win(extra) > 0.9
    assert win(extra // 2) < 0.9


def test_a_settled_verdict_needs_no_more_and_an_impossible_one_no_number():
    better = [paired(50, 100, 0, 50)]
    assert further_samples(OCTOBER, better, "win", candidate_later=True) == 0
    assert further_samples(OCTOBER, better, "lose", candidate_later=True) is None
    level = [paired(100, 0, 0, 100)]
    assert further_samples(DUEL, level, "win", candidate_later=True) is None
    assert further_samples(DUEL, level, "lose", candidate_later=True) == 0


def test_a_rule_that_asks_for_more_samples_is_settled_by_those_at_the_earliest():
    better = [paired(50, 100, 0, 50)]
    assert further_samples(NOVEMBER, better, "win", candidate_later=True) == pytest.approx(200, abs=2)
    assert further_samples(NOVEMBER, [paired(5, 0, 0, 5)], "neither", candidate_later=True) is None


def test_samples_that_settle_a_win_are_found_though_more_of_them_would_not():
    """A margin that holds while intervals are wide; with very many samples the slight loss of one decides."""
    evidences = [paired(100, 0, 0, 100), paired(98, 1, 2, 99)]
    extra = further_samples(NOVEMBER, evidences, "win", candidate_later=False)
    assert extra is not None
    few, many = (
        chances_at_observed_rates(NOVEMBER, evidences, [200 + more] * 2, candidate_later=False, draws=500)
        for more in (extra, 1_000_000)
    )
    assert few.win >= 0.9 > many.win


def test_evidence_that_is_none_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        evidence([1.5], [0.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        evidence([float("nan")], [0.0])
    with pytest.raises(ValueError, match="at least one"):
        evidence([], [])
