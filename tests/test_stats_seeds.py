"""Means over seeds against scipy's own t test."""

import pytest
from scipy import stats

from affine_trainer.stats import seed_mean


def test_mean_interval_and_p_are_those_of_scipy():
    values = [0.4, 0.9, 0.1, 0.7]
    expected = stats.ttest_1samp(values, 0.0)
    found = seed_mean(values, 0.8)
    low, high = expected.confidence_interval(0.8)
    assert found.interval == pytest.approx((low, high))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.num_seeds, found.mean) == (4, pytest.approx(0.525))


def test_one_seed_has_a_mean_and_nothing_else():
    found = seed_mean([0.3])
    assert (found.mean, found.deviation, found.interval, found.p_value) == (0.3, None, None, None)


def test_equal_values_have_an_interval_without_width_and_no_p_from_rounding():
    found = seed_mean([0.6 - 0.575, 0.625 - 0.6])
    assert found.interval == pytest.approx((0.025, 0.025)) and found.p_value is None
    assert seed_mean([0.0, 0.0]).p_value == 1.0


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]]])
def test_what_is_no_list_of_numbers_is_refused(values):
    with pytest.raises(ValueError, match="at least one finite value"):
        seed_mean(values)
