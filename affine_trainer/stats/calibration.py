"""How well values predict what is earned: against means of many fresh plays, whose own noise is taken off."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from affine_trainer.stats.intervals import Interval, Values, bootstrap_interval

NEAR = 0.05  # a value this close to the truth counts as right


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The states whose value lies in [lower, upper): their number, mean value and mean truth."""

    lower: float
    upper: float
    number: int
    mean_value: float
    mean_truth: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of n states: `bias` is the mean of value less truth, with a bootstrap interval over tasks.

    `rmse` is free of the noise that the measured truths have; 0 where that noise is all there is. `near` is
    the share within 0.05 of the measured truth. `correlation` is NaN where either side does not vary.
    """

    number: int
    mean_value: float
    mean_truth: float
    bias: float
    bias_interval: Interval
    rmse: float
    near: float
    correlation: float
    bins: tuple[CalibrationBin, ...]


def calibration(
    values: Values,
    truths: Values,
    noise: Values,
    *,
    tasks: Sequence[Hashable] | None = None,
    level: float = 0.80,
    num_bins: int = 5,
    samples: int = 10_000,
    seed: int = 0,
) -> Calibration:
    """Compare `values` with measured `truths`, whose variances as estimates are `noise`; (n,) each.

    The mean squared error against a measured truth is that against the truth plus the noise, which is
    subtracted.
    """
    found, truth, variances = (np.asarray(each, dtype=float) for each in (values, truths, noise))
    if not (found.shape == truth.shape == variances.shape and found.ndim == 1 and found.size):
        raise ValueError("a calibration needs as many values, truths and variances, at least one")
    gaps = found - truth
    varies = found.std() > 0.0 and truth.std() > 0.0
    return Calibration(
        number=found.size,
        mean_value=float(found.mean()),
        mean_truth=float(truth.mean()),
        bias=float(gaps.mean()),
        bias_interval=bootstrap_interval(gaps, level, tasks=tasks, samples=samples, seed=seed),
        rmse=math.sqrt(max(0.0, float((gaps**2).mean() - variances.mean()))),
        near=float((np.abs(gaps) <= NEAR).mean()),
        correlation=float(np.corrcoef(found, truth)[0, 1]) if varies else math.nan,
        bins=_bins(found, truth, num_bins),
    )


def _bins(values: np.ndarray, truths: np.ndarray, num_bins: int) -> tuple[CalibrationBin, ...]:
    """Equal bins from the lowest to the highest value; those without a state are left out."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high, num_bins + 1) if high > low else np.array([low, low])
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return tuple(
        CalibrationBin(
            float(edges[place]),
            float(edges[place + 1]),
            int((places == place).sum()),
            float(values[places == place].mean()),
            float(truths[places == place].mean()),
        )
        for place in np.unique(places)
    )
