"""Paired comparisons, against closed forms, hand computation and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from affine_trainer.stats import (
    PairedCounts,
    count_pairs,
    discordant_interval,
    holm,
    jeffreys_interval,
    macro_difference,
    mcnemar_p,
    paired_difference,
)


def test_pairs_are_counted_into_the_two_by_two_table():
    counts = count_pairs([True, True, False, False, True], [True, False, True, False, False])
    assert counts == PairedCounts(both=1, only_candidate=2, only_baseline=1, neither=1)
    assert counts.difference == pytest.approx(1 / 5)


def test_mcnemar_is_the_two_sided_sign_test_on_discordant_tasks():
    counts = PairedCounts(both=50, only_candidate=9, only_baseline=2, neither=40)
    tail = sum(math.comb(11, k) for k in range(3)) / 2**11
    assert mcnemar_p(counts) == pytest.approx(2 * tail, abs=1e-9)


@given(st.integers(0, 500), st.integers(0, 500))
def test_mcnemar_agrees_with_the_exact_binomial_test(only_candidate, only_baseline):
    counts = PairedCounts(0, only_candidate, only_baseline, 1)
    if counts.num_discordant:
        expected = binomtest(only_candidate, counts.num_discordant, 0.5).pvalue
        assert mcnemar_p(counts) == pytest.approx(expected, abs=1e-9)


def test_mcnemar_does_not_look_at_tasks_that_both_solve_or_fail():
    assert mcnemar_p(PairedCounts(0, 9, 2, 0)) == mcnemar_p(PairedCounts(1000, 9, 2, 1000))


def test_mcnemar_without_a_discordant_task_is_1():
    assert mcnemar_p(PairedCounts(10, 0, 0, 10)) == 1.0


def test_the_share_of_discordant_tasks_has_the_jeffreys_interval():
    assert discordant_interval(PairedCounts(80, 9, 2, 10), 0.8) == jeffreys_interval(9, 11, 0.8)


def test_the_paired_interval_has_the_width_of_the_paired_variance():
    candidate = [1.0] * 300 + [1.0] * 80 + [0.0] * 30 + [0.0] * 590
    baseline = [1.0] * 300 + [0.0] * 80 + [1.0] * 30 + [0.0] * 590
    difference = paired_difference(candidate, baseline, 0.80, samples=50_000)
    deviation = math.sqrt((0.110 - 0.05**2) / 1000)
    assert difference.estimate == pytest.approx(0.05, abs=1e-12)
    assert difference.interval == pytest.approx(
        (0.05 - 1.2816 * deviation, 0.05 + 1.2816 * deviation), abs=1e-3
    )
    assert difference.num_tasks == 1000


def test_swapping_the_models_mirrors_the_difference():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=200), rng.uniform(size=200)
    forward = paired_difference(a, b, samples=40_000)
    backward = paired_difference(b, a, samples=40_000)
    assert forward.estimate == pytest.approx(-backward.estimate, abs=1e-12)
    assert forward.interval == pytest.approx((-backward.interval.upper, -backward.interval.lower), abs=2e-3)


def test_pairs_of_one_task_are_resampled_together():
    candidate, baseline = [1.0, 1.0, 0.0, 0.0] * 10, [0.0] * 40
    names = [f"task {i // 2}" for i in range(40)]
    clustered = paired_difference(candidate, baseline, tasks=names, samples=20_000)
    independent = paired_difference(candidate, baseline, samples=20_000)
    widths = [d.interval.upper - d.interval.lower for d in (clustered, independent)]
    assert clustered.num_tasks == 20
    assert widths[0] == pytest.approx(math.sqrt(2) * widths[1], rel=0.15)


def test_the_paired_interval_covers_the_true_difference_about_80_percent_of_the_time():
    rng = np.random.default_rng(7)
    covered = 0
    for seed in range(400):
        kinds = rng.choice([1.0, -1.0, 0.0], p=[0.15, 0.05, 0.8], size=300)
        interval = paired_difference(kinds, np.zeros(300), samples=500, seed=seed).interval
        covered += interval.lower <= 0.10 <= interval.upper
    assert 0.73 < covered / 400 < 0.87


def test_the_macro_difference_weighs_environments_equally():
    large = ([1.0] * 900 + [0.0] * 100, [0.0] * 1000)
    small = ([0.0] * 10, [0.0] * 5 + [1.0] * 5)
    difference = macro_difference([large, small], samples=20_000)
    deviation = math.sqrt(0.09 / 1000 + 0.25 / 10) / 2
    assert difference.estimate == pytest.approx((0.9 - 0.5) / 2, abs=1e-12)
    assert difference.interval.upper - difference.interval.lower == pytest.approx(2.563 * deviation, rel=0.12)
    assert difference.num_tasks == 1010


def test_the_macro_difference_of_one_environment_is_its_paired_difference():
    pair = ([1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0])
    assert macro_difference([pair], seed=4) == paired_difference(*pair, seed=4)


@pytest.mark.parametrize(("candidate", "baseline"), [([], []), ([1.0], [1.0, 0.0])])
def test_lists_that_do_not_pair_up_are_refused(candidate, baseline):
    with pytest.raises(ValueError, match="pair"):
        paired_difference(candidate, baseline)


def test_a_macro_difference_over_nothing_is_refused():
    with pytest.raises(ValueError, match="environment"):
        macro_difference([])


def test_holm_on_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02], abs=1e-12)


def test_holm_of_one_test_changes_nothing_and_of_none_is_empty():
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_raw_p_and_bonferroni_and_keeps_their_order(p_values):
    adjusted = holm(p_values)
    for raw, corrected in zip(p_values, adjusted, strict=True):
        assert raw <= corrected <= min(1.0, len(p_values) * raw)
    ranked = [corrected for _, corrected in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)
