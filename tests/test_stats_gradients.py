"""Gradient noise from sums against the same figures from the gradients themselves, and in expectation."""

import math

import numpy as np
import pytest

from affine_trainer.stats import GradientSums, gradient_noise, jackknife_difference


def sums_of(gradients: np.ndarray, tasks: np.ndarray) -> GradientSums:
    totals = np.stack([gradients[tasks == task].sum(axis=0) for task in np.unique(tasks)])
    return GradientSums(
        sizes=np.bincount(tasks).astype(float),
        squares=np.array([(gradients[tasks == task] ** 2).sum() for task in np.unique(tasks)]),
        task_squares=(totals**2).sum(axis=1),
        dots=totals @ gradients.sum(axis=0),
    )


def plain(gradients: np.ndarray) -> tuple[float, float]:
    """|G|^2 without bias, and the trace of the covariance, as they are defined."""
    number, total, squares = len(gradients), gradients.sum(axis=0), (gradients**2).sum()
    variance = np.cov(gradients, rowvar=False).trace()
    return (total @ total - squares) / (number * (number - 1)), float(variance)


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    tasks = np.repeat(np.arange(7), [4, 4, 3, 4, 1, 4, 2])
    return generator.normal(0.3, 1.0, size=(len(tasks), 5)), tasks


def test_by_episode_they_are_the_definitions(batch):
    gradients, tasks = batch
    found = gradient_noise(sums_of(gradients, tasks))
    norm, variance = plain(gradients)
    assert (found.squared_norm.value, found.variance.value) == pytest.approx((norm, variance), abs=1e-12)
    assert found.snr.value == pytest.approx(norm / variance) and found.num_units == len(tasks)
    assert found.noise_scale == pytest.approx(variance / norm)


def test_intervals_are_the_jackknife_over_tasks(batch):
    gradients, tasks = batch
    found = gradient_noise(sums_of(gradients, tasks), level=0.8)
    without = [plain(gradients[tasks != task]) for task in range(7)]
    ratios = np.array([norm / variance for norm, variance in without])
    assert found.snr.left_out == pytest.approx(ratios)
    error = math.sqrt(6 / 7 * ((ratios - ratios.mean()) ** 2).sum())
    assert found.snr.interval.upper - found.snr.value == pytest.approx(1.4397557472652 * error)


def test_by_task_they_are_the_definitions_on_the_tasks_means():
    generator = np.random.default_rng(1)
    gradients = generator.normal(0.3, 1.0, size=(20, 3))
    found = gradient_noise(sums_of(gradients, np.repeat(np.arange(5), 4)), "task")
    norm, variance = plain(gradients.reshape(5, 4, 3).mean(axis=1))
    assert (found.squared_norm.value, found.variance.value) == pytest.approx((norm, variance), abs=1e-12)
    assert found.num_units == 5


def test_the_squared_norm_has_no_bias_and_its_interval_covers():
    generator = np.random.default_rng(2)
    mean, tasks = np.full(4, 0.2), np.repeat(np.arange(12), 2)
    found = [
        gradient_noise(sums_of(generator.normal(mean, 1.0, size=(24, 4)), tasks), level=0.8)
        for _ in range(800)
    ]
    values = np.array([each.squared_norm.value for each in found])
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - mean @ mean) < 3 * error
    covered = np.mean([each.squared_norm.interval.lower <= mean @ mean <= each.squared_norm.interval.upper
                       for each in found])  # fmt: skip
    assert 0.72 < covered < 0.9


def test_no_signal_is_an_infinite_noise_scale():
    gradients = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    found = gradient_noise(sums_of(gradients, np.arange(4)))
    assert found.squared_norm.value < 0 and found.noise_scale == math.inf


def test_estimators_on_the_same_tasks_are_compared_pair_by_pair(batch):
    gradients, tasks = batch
    one, same = (gradient_noise(sums_of(scale * gradients, tasks)).snr for scale in (1.0, 3.0))
    found = jackknife_difference(one, same)
    assert found.value == pytest.approx(0.0) and found.interval == pytest.approx((0.0, 0.0), abs=1e-9)


def test_too_few_tasks_and_no_gradient_are_refused(batch):
    gradients, tasks = batch
    with pytest.raises(ValueError, match="at least three tasks"):
        gradient_noise(sums_of(gradients[tasks < 2], tasks[tasks < 2]))
    with pytest.raises(ValueError, match="every gradient is zero"):
        gradient_noise(sums_of(0 * gradients, tasks))
