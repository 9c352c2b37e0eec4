"""Means over seeds: Student's t intervals, and the paired test of a difference seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from affine_trainer.stats.intervals import Interval, Values, check_level

ROUNDING = 1e-12  # a deviation as small is that of equal values


@dataclass(frozen=True, slots=True)
class SeedMean:
    """The mean of one value a seed, its sample deviation, and Student's t interval of it.

    `deviation` and `interval` are None with a single seed. `p_value` is that of the two-sided t test of a
    mean of 0: for paired differences. None with one seed, or where all are equal and not 0.
    """

    mean: float
    deviation: float | None
    interval: Interval | None
    num_seeds: int
    p_value: float | None


def seed_mean(values: Values, level: float = 0.80) -> SeedMean:
    """The mean over seeds: mean +- t((1 + level) / 2; n - 1) s / sqrt(n)."""
    array, level = np.asarray(values, dtype=float), check_level(level)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError("a mean over seeds needs a flat list of at least one finite value")
    mean, number = float(array.mean()), array.size
    if number == 1:
        return SeedMean(mean, None, None, 1, None)
    deviation = float(array.std(ddof=1))
    if deviation <= ROUNDING * max(1.0, abs(mean)):
        deviation = 0.0
    error = deviation / math.sqrt(number)
    half = float(stdtrit(number - 1, (1.0 + level) / 2.0)) * error
    p_value = 1.0 if mean == 0.0 else None
    if error > 0.0:
        p_value = 2.0 * float(stdtr(number - 1, -abs(mean) / error))
    return SeedMean(mean, deviation, Interval(mean - half, mean + half), number, p_value)
