"""Dominance between two models: probabilities against closed forms, and each verdict."""

import numpy as np
import pytest
from scipy.stats import beta

from affine_trainer.stats import PairedCounts, dominance, further_tasks, pareto_verdict, posterior_differences

BETTER = PairedCounts(both=300, only_candidate=90, only_baseline=20, neither=590)
WORSE = PairedCounts(both=300, only_candidate=20, only_baseline=90, neither=590)
LEVEL = PairedCounts(both=300, only_candidate=50, only_baseline=50, neither=600)


def test_without_epsilon_dominance_is_the_product_of_beta_tails_on_the_discordant_share():
    tables = [PairedCounts(50, 9, 5, 36), PairedCounts(20, 14, 6, 60)]
    expected = float(np.prod([beta.sf(0.5, 0.5 + t.only_candidate, 0.5 + t.only_baseline) for t in tables]))
    assert dominance(tables, draws=400_000).dominates == pytest.approx(expected, abs=3e-3)


def test_the_four_relations_share_all_of_the_probability():
    found = dominance([LEVEL, PairedCounts(5, 1, 2, 4)], epsilon=0.02)
    total = found.dominates + found.dominated + found.incomparable + found.equivalent
    assert total == pytest.approx(1.0, abs=1e-9)
    assert min(found.dominates, found.dominated, found.incomparable, found.equivalent) > 0.0


def test_nothing_is_equivalent_without_an_epsilon():
    assert dominance([LEVEL]).equivalent == 0.0


def test_swapping_the_models_swaps_dominates_and_dominated():
    assert dominance([BETTER, LEVEL], draws=200_000).dominates == pytest.approx(
        dominance([WORSE, LEVEL], draws=200_000).dominated, abs=5e-3
    )


def test_posterior_draws_centre_on_the_observed_difference():
    (draws,) = posterior_differences([BETTER], draws=100_000)
    assert draws.mean() == pytest.approx(0.07, abs=1e-3)
    assert draws.std() == pytest.approx(np.sqrt((0.110 - 0.07**2) / 1000), rel=0.02)


def test_the_same_seed_gives_the_same_probabilities():
    assert dominance([LEVEL], seed=1) == dominance([LEVEL], seed=1)
    assert dominance([LEVEL], seed=1) != dominance([LEVEL], seed=2)


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
        assert pareto_verdict([grown], draws=200_000).label == label


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
    for seed in range(200):
        cells = rng.multinomial(200, [0.4, 0.1, 0.1, 0.4], size=3)
        tables = [PairedCounts(*map(int, row)) for row in cells]
        wrong += pareto_verdict(tables, draws=2000, seed=seed).label == "dominates"
    assert wrong / 200 < 0.05
