"""Distributions against counting by hand, and calibration against truths that are known."""

import math

import numpy as np
import pytest

from affine_trainer.stats import calibration, common_edges, distribution


def test_a_distribution_counts_bins_zeros_and_shares_up_to_each_edge():
    found = distribution([0.0, 0.0, -1.0, 0.5, 1.0], (-1.0, 0.0, 1.0))
    assert (found.number, found.mean, found.share_zero) == (5, pytest.approx(0.1), 0.4)
    assert found.counts == (1, 4)  # a value on an inner edge belongs to the bin above it
    assert found.cumulative == (0.6, 1.0)  # the share at or below the edge
    assert found.deviation == pytest.approx(np.std([0, 0, -1, 0.5, 1]))
    assert found.quantiles[2] == 0.0


def test_common_edges_hold_every_value_and_equal_ones_too():
    assert common_edges([2.0, -2.0], 4) == (-2.0, -1.0, 0.0, 1.0, 2.0)
    assert distribution([0.3, 0.3], common_edges([0.3, 0.3])).counts == (2,)


@pytest.mark.parametrize("values", [[], [math.nan], [3.0]])
def test_what_has_no_distribution_here_is_refused(values):
    with pytest.raises(ValueError, match=r"at least one finite value|outside the bins"):
        distribution(values, (-1.0, 1.0))


def test_calibration_takes_off_the_noise_of_the_measured_truth():
    generator = np.random.default_rng(0)
    rates = generator.uniform(0.1, 0.9, size=4000)
    values = rates + 0.1 + generator.normal(0, 0.05, size=rates.size)
    measured = generator.binomial(64, rates) / 64
    noise = measured * (1 - measured) / 63
    found = calibration(values, measured, noise, samples=500)
    assert found.bias == pytest.approx(0.1, abs=0.005)
    assert found.bias_interval.lower < 0.1 < found.bias_interval.upper
    assert found.rmse == pytest.approx(math.hypot(0.1, 0.05), abs=0.004)
    assert math.sqrt(((values - measured) ** 2).mean()) > found.rmse + 0.01
    assert sum(each.number for each in found.bins) == 4000
    assert all(each.mean_value - each.mean_truth == pytest.approx(0.1, abs=0.06) for each in found.bins)


def test_perfect_and_constant_values():
    perfect = calibration([0.1, 0.5, 0.9], [0.1, 0.5, 0.9], [0.01] * 3, samples=100)
    assert (perfect.bias, perfect.rmse, perfect.near, perfect.correlation) == (0, 0, 1, pytest.approx(1))
    constant = calibration([0.5, 0.5], [0.0, 1.0], [0.0, 0.0], samples=100)
    assert math.isnan(constant.correlation) and constant.rmse == 0.5 and len(constant.bins) == 1


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="as many values, truths and variances"):
        calibration([0.1], [0.1, 0.2], [0.0, 0.0])
