"""Dominance between two models: probabilities against closed forms, and each verdict."""

import numpy as np
import pytest
from scipy.stats import beta

from affine_trainer.stats import (
    PairedCounts,
    dominance,
    further_tasks,
    gap_tails,
    pareto_front,
    pareto_verdict,
    posterior_differences,
    regression,
)

BETTER = PairedCounts(both=300, only_candidate=90, only_baseline=20, neither=590)
WORSE = PairedCounts(both=300, only_candidate=20, only_baseline=90, neither=590)
LEVEL = PairedCounts(both=300, only_candidate=50, only_baseline=50, neither=600)


def test_without_epsilon_dominance_is_the_product_of_beta_tails_on_the_discordant_share():
    tables = [PairedCounts(50, 9, 5, 36), PairedCounts(20, 14, 6, 60)]
    expected = float(np.prod([beta.sf(0.5, 0.5 + t.only_candidate, 0.5 + t.only_baseline) for t in tables]))
    assert dominance(tables).dominates == pytest.approx(expected, abs=3e-3)


def test_the_four_relations_share_all_of_the_probability():
    found = dominance([LEVEL, PairedCounts(5, 1, 2, 4)], epsilon=0.02)
    total = found.dominates + found.dominated + found.incomparable + found.equivalent
    assert total == pytest.approx(1.0, abs=1e-9)
    assert min(found.dominates, found.dominated, found.incomparable, found.equivalent) > 0.0


def test_nothing_is_equivalent_without_an_epsilon():
    assert dominance([LEVEL]).equivalent == 0.0


def test_swapping_the_models_swaps_dominates_and_dominated():
    assert dominance([BETTER, LEVEL]).dominates == pytest.approx(
        dominance([WORSE, LEVEL]).dominated, abs=5e-3
    )


def test_posterior_draws_centre_on_the_observed_difference():
    (draws,) = posterior_differences([BETTER], draws=100_000)
    assert draws.mean() == pytest.approx(0.07, abs=1e-3)
    assert draws.std() == pytest.approx(np.sqrt((0.110 - 0.07**2) / 1000), rel=0.02)


@pytest.mark.parametrize("cells", [(5, 3, 10), (0, 0, 200), (20, 10, 200), (90, 60, 1000), (0, 9, 200)])
@pytest.mark.parametrize("epsilon", [0.01, 0.05])
def test_tails_with_an_epsilon_agree_with_a_fine_integral_over_the_discordant_share(cells, epsilon):
    mine, theirs, total = cells
    a, b, rest = mine + 0.5, theirs + 0.5, total - mine - theirs + 1.0
    shares = beta.ppf((np.arange(20_000) + 0.5) / 20_000, a + b, rest)
    expected = beta.sf(np.minimum(1.0, 0.5 + 0.5 * epsilon / shares), a, b).mean()
    better, worse = gap_tails(*map(np.array, cells), epsilon)
    mirrored, _ = gap_tails(np.array(theirs), np.array(mine), np.array(total), epsilon)
    assert better == pytest.approx(expected, abs=1e-3)
    assert worse == pytest.approx(mirrored, abs=1e-12)


@pytest.mark.parametrize("cells", [(9, 5, 100), (0, 0, 3), (400, 398, 5000)])
def test_tails_without_an_epsilon_are_the_beta_tail_to_1e9(cells):
    better, worse = gap_tails(*map(np.array, cells))
    assert better == pytest.approx(beta.sf(0.5, cells[0] + 0.5, cells[1] + 0.5), abs=1e-9)
    assert better + worse == pytest.approx(1.0, abs=1e-9)


def test_better_everywhere_dominates():
    assert pareto_verdict([BETTER, BETTER, BETTER]).label == "dominates"


def test_worse_everywhere_is_dominated():
    assert pareto_verdict([WORSE, WORSE]).label == "dominated"


def test_better_here_and_worse_there_is_incomparable():
    verdict = pareto_verdict([BETTER, WORSE])
    assert verdict.label == "incomparable"
    assert verdict.further_tasks is None


def test_an_environment_that_could_go_either_way_leaves_it_undecided():
    assert pareto_verdict([BETTER, PairedCounts(300, 55, 50, 595)]).label == "undecided"


def test_a_difference_below_epsilon_does_not_stand_in_the_way_of_dominance():
    level = PairedCounts(both=940, only_candidate=5, only_baseline=5, neither=50)
    assert pareto_verdict([BETTER, level], epsilon=0.0).label == "undecided"
    assert pareto_verdict([BETTER, level], epsilon=0.02).label == "dominates"


def test_equal_within_epsilon_everywhere_means_that_neither_dominates():
    verdict = pareto_verdict([PairedCounts(4700, 10, 10, 280)], epsilon=0.02)
    assert verdict.label == "incomparable"
    assert verdict.probabilities.equivalent > 0.9


def test_a_stricter_decision_needs_more_tasks():
    slight = [PairedCounts(300, 58, 50, 592)]
    lenient, strict = (further_tasks(slight, decision_probability=p) for p in (0.85, 0.99))
    assert lenient is not None and strict is not None
    assert 0 < lenient < strict


def test_the_plan_settles_the_verdict_when_the_rates_stay():
    table = PairedCounts(300, 58, 50, 592)
    plan = pareto_verdict([table]).further_tasks
    assert plan is not None
    for factor, label in ((0.8, "undecided"), (1.2, "dominates")):
        growth = 1 + factor * plan / table.num_pairs
        grown = PairedCounts(*(round(growth * cell) for cell in (300, 58, 50, 592)))
        assert pareto_verdict([grown]).label == label


def test_no_number_of_tasks_settles_a_perfect_tie_without_an_epsilon():
    assert further_tasks([LEVEL]) is None
    verdict = pareto_verdict([LEVEL])
    assert (verdict.label, verdict.further_tasks) == ("undecided", None)


def test_a_perfect_tie_is_settled_with_an_epsilon():
    assert further_tasks([PairedCounts(30, 5, 5, 60)], epsilon=0.02) is not None


def test_tables_without_a_pair_are_undecided():
    assert pareto_verdict([PairedCounts(0, 0, 0, 0)]).label == "undecided"


def test_dominance_over_no_environment_is_refused():
    with pytest.raises(ValueError, match="environment"):
        dominance([])


def test_point_estimates_would_call_equal_models_dominant_far_more_often():
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        cells = rng.multinomial(200, [0.4, 0.1, 0.1, 0.4], size=3)
        tables = [PairedCounts(*map(int, row)) for row in cells]
        wrong += pareto_verdict(tables).label == "dominates"
    assert wrong / 200 < 0.05


def test_models_that_are_hardly_known_are_not_called_incomparable_for_having_many_environments():
    rng = np.random.default_rng(5)
    labels = []
    for _ in range(100):
        drawn = rng.multinomial(200, [0.4, 0.1, 0.1, 0.4], size=8)
        labels.append(pareto_verdict([PairedCounts(*map(int, row)) for row in drawn], epsilon=0.01).label)
    assert labels.count("undecided") > 90


def test_the_gate_of_an_environment_has_the_ratio_and_the_probability_of_being_below():
    table = PairedCounts(both=400, only_candidate=10, only_baseline=60, neither=530)
    found = regression(table, draws=50_000)
    assert found.ratio == pytest.approx(410 / 460)
    assert found.failed
    assert found.interval.lower < 410 / 460 < found.interval.upper < 0.98
    assert found.probability > 0.999


def test_the_gate_agrees_with_the_delta_method_on_many_tasks():
    table = PairedCounts(both=4000, only_candidate=500, only_baseline=600, neither=4900)
    ratio, discordant = 4500 / 4600, 1100
    deviation = ratio * np.sqrt(discordant / (4500 * 4600))
    found = regression(table, draws=100_000)
    assert found.interval == pytest.approx((ratio - 1.2816 * deviation, ratio + 1.2816 * deviation), abs=5e-4)


def test_where_the_baseline_solved_nothing_nothing_can_be_lost():
    found = regression(PairedCounts(0, 3, 0, 97))
    assert (found.ratio, found.failed) == (None, False)


def test_equal_models_are_as_likely_below_as_the_paired_posterior_says():
    level = regression(PairedCounts(500, 0, 0, 500))
    noisy = regression(PairedCounts(300, 200, 200, 300))
    assert not level.failed and not noisy.failed
    assert level.probability < 0.01 < 0.2 < noisy.probability < 0.5


def solved(*rates, tasks=400):
    """Successes of shape (models, tasks): a stronger model solves all that a weaker one does."""
    return np.array([np.arange(tasks) < rate * tasks for rate in rates])


def test_a_model_beaten_everywhere_is_off_the_front_and_a_trade_keeps_both_on():
    first, second, third = pareto_front([solved(0.8, 0.5, 0.2), solved(0.4, 0.6, 0.1)], epsilon=0.01)
    assert (first.observed, second.observed, third.observed) == (True, True, False)
    assert first.probability > 0.99 and second.probability > 0.99 and third.probability < 0.01


def test_the_front_of_two_models_agrees_with_the_probability_of_dominance():
    tables = [PairedCounts(120, 30, 15, 135), PairedCounts(100, 25, 20, 155)]
    outcomes = [
        np.repeat(
            [[1, 1, 0, 0], [1, 0, 1, 0]], [t.both, t.only_candidate, t.only_baseline, t.neither], axis=1
        )
        for t in tables
    ]
    _, baseline = pareto_front([each.astype(bool) for each in outcomes], 0.01, draws=100_000)
    assert 1 - baseline.probability == pytest.approx(dominance(tables, 0.01).dominates, abs=0.01)


def test_a_front_over_nothing_is_refused():
    with pytest.raises(ValueError, match="environment"):
        pareto_front([])
