"""Who gets how much of the emission, on cases worked by hand."""

import numpy as np
import pytest

from affine_trainer.scoring import SCORINGS, environment_sets, shares, totals
from affine_trainer.scoring.shares import geometric_means, set_weights

PARETO, OCTOBER, NOVEMBER, DECEMBER, THRESHOLD, DUEL = SCORINGS.values()


def models(*means, n=1000):
    return [totals([n * mean for mean in each], [n] * len(each)) for each in means]


def test_a_set_of_k_is_worth_2_to_the_k_or_its_layer_is():
    sets = environment_sets(3)
    assert set_weights(OCTOBER.subsets, sets).tolist() == [2, 2, 2, 4, 4, 4, 8]
    assert set_weights(NOVEMBER.subsets, sets) == pytest.approx([2 / 3] * 3 + [4 / 3] * 3 + [8])


def test_a_geometric_mean_with_a_zero_is_0():
    found = geometric_means(models([0.25, 1.0], [0.0, 1.0]), environment_sets(2))
    assert found[0] == pytest.approx([0.25, 1.0, 0.5])
    assert found[1] == pytest.approx([0.0, 1.0, 0.0])


def test_a_dominated_model_gets_nothing():
    for scoring in SCORINGS.values():
        assert shares(scoring, models([0.3, 0.3], [0.8, 0.8])) == pytest.approx([0, 1]), scoring.name


def test_the_frontier_of_october_shares_by_the_fourth_power_of_geometric_means():
    # trade: alone each takes its own environment (2 + 2), the pair (4) is shared by (.3)^4 to (.4)^4... of
    # sqrt(.9 * .1) = .3 and sqrt(.2 * .8) = .4
    found = shares(OCTOBER, models([0.9, 0.1], [0.2, 0.8]))
    first = (2 + 4 * 0.3**4 / (0.3**4 + 0.4**4)) / 8
    assert found == pytest.approx([first, 1 - first], abs=1e-12)


def test_november_squares_the_means_and_halves_by_rank():
    found = shares(NOVEMBER, models([0.9, 0.1], [0.2, 0.8]))
    first = 0.5 * 0.3**2 / (0.4**2 + 0.5 * 0.3**2)  # of the pair, which is worth 4 of 2/2 + 2/2 + 4
    assert found[0] == pytest.approx((1 + 4 * first) / 6, abs=1e-12)


def test_too_few_samples_get_nothing_and_where_nobody_has_enough_nobody_does():
    short, enough = models([0.9], n=199)[0], models([0.2], n=200)[0]
    assert shares(OCTOBER, [short, enough]) == pytest.approx([0, 1])
    assert shares(OCTOBER, [short, short]).tolist() == [0, 0]


def test_the_september_winner_takes_each_set_whole():
    # each is best in one environment; on the pair nobody dominates and the higher mean takes all 4 of 8
    assert shares(PARETO, models([0.9, 0.1], [0.3, 0.8])) == pytest.approx([2 / 8, 6 / 8])


def test_below_1_percent_goes_to_nobody_in_the_threshold_profile():
    # best in one of eight environments, nearly nothing elsewhere: its geometric means are small
    strong, weak = [0.9] * 8, [0.001] * 7 + [0.99]
    found = shares(THRESHOLD, models(strong, weak))
    assert found[1] == 0.0
    assert 0.99 < found[0] < 1.0


def test_a_torn_environment_takes_a_model_out_of_the_sets_that_hold_it():
    whole = totals([50, 50], [100, 100])
    torn = totals([90, 90], [100, 50], [100, 100])
    found = shares(THRESHOLD, [whole, torn])
    # torn wins its whole environment, worth 1 of 1 + 1 + 4; the other two sets hold the tear
    assert found == pytest.approx([5 / 6, 1 / 6])


def test_the_last_champion_takes_all():
    assert shares(DUEL, models([0.5], [0.6], [0.62], [0.7])).tolist() == [0, 0, 0, 1]
    assert shares(DUEL, models([0.5], [0.6], [0.62])).tolist() == [0, 1, 0]
    assert shares(DUEL, models([0.7], [0.6])).tolist() == [1, 0]


def test_shares_never_exceed_the_whole():
    rng = np.random.default_rng(3)
    for _ in range(20):
        drawn = models(*rng.uniform(0, 1, size=(4, 3)).tolist())
        for scoring in SCORINGS.values():
            found = shares(scoring, drawn)
            assert (found >= 0).all() and found.sum() <= 1 + 1e-9
