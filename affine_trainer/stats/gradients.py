"""How noisy a policy gradient is: its variance, signal-to-noise ratio and noise scale, with intervals.

Of n independent gradients g with mean G, |G|^2 is estimated without bias by
(|sum g|^2 - sum |g|^2) / (n (n - 1)), the trace of their covariance by (sum |g|^2 - |sum g|^2 / n) / (n - 1).
The noise scale of McCandlish et al. 2018 (arXiv 1812.06162) is tr(Sigma) / |G|^2, the number of samples at
which noise and signal are level; the signal-to-noise ratio of one sample is its inverse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from affine_trainer.stats.intervals import Interval, check_level

Unit = Literal["episode", "task"]


@dataclass(frozen=True, slots=True)
class GradientSums:
    """What the statistics need of m tasks with several episodes each; arrays of shape (m,).

    With g the gradients of a task's episodes, G_k their sum and S the sum over all tasks: `sizes` counts the
    episodes, `squares` is sum |g|^2, `task_squares` |G_k|^2 and `dots` G_k . S.
    """

    sizes: np.ndarray
    squares: np.ndarray
    task_squares: np.ndarray
    dots: np.ndarray


@dataclass(frozen=True, slots=True)
class Estimated:
    """An estimate, its leave-one-task-out values of shape (m,), and the jackknife interval of those."""

    value: float
    left_out: np.ndarray
    interval: Interval


@dataclass(frozen=True, slots=True)
class GradientNoise:
    """Of one unit, episode or task: |G|^2, tr(Sigma) and their ratio; `noise_scale` counts units.

    The noise scale is inf where no signal was found. Its interval is that of the ratio turned over.
    """

    unit: Unit
    num_units: int
    squared_norm: Estimated
    variance: Estimated
    snr: Estimated
    noise_scale: float
    noise_scale_interval: Interval


def gradient_noise(sums: GradientSums, unit: Unit = "episode", level: float = 0.80) -> GradientNoise:
    """The statistics with one gradient an episode, or one a task (the mean over its episodes).

    Episodes of a task are not independent of each other, less so where the others are the baseline, so that
    an SNR by episode counts what they have in common as signal; tasks are independent. Either way the
    intervals leave out whole tasks. ValueError with fewer than three tasks, or no gradient at all.
    """
    if len(sums.sizes) < 3:
        raise ValueError(f"gradient statistics need at least three tasks, not {len(sums.sizes)}")
    if not sums.squares.any():
        raise ValueError("every gradient is zero")
    numbers, squares, totals = _with_each_left_out(sums, unit)
    norms = (totals - squares) / (numbers * (numbers - 1))
    variances = (squares - totals / numbers) / (numbers - 1)
    ratios = np.divide(norms, variances, out=np.full_like(norms, math.inf), where=variances > 0)
    snr = _estimated(ratios, level)
    return GradientNoise(
        unit=unit,
        num_units=int(numbers[0]),
        squared_norm=_estimated(norms, level),
        variance=_estimated(variances, level),
        snr=snr,
        noise_scale=_inverse(snr.value),
        noise_scale_interval=Interval(_inverse(snr.interval.upper), _inverse(snr.interval.lower)),
    )


def jackknife_difference(one: Estimated, other: Estimated, level: float = 0.80) -> Estimated:
    """One minus other, both from the same tasks, which are left out of both together."""
    values = np.concatenate([[one.value], one.left_out]) - np.concatenate([[other.value], other.left_out])
    return _estimated(values, level)


def _with_each_left_out(sums: GradientSums, unit: Unit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of units, sum of squared norms, squared norm of the sum: of all, then without each task."""
    total = sums.dots.sum()
    totals = np.concatenate([[total], total - 2.0 * sums.dots + sums.task_squares])
    sizes = sums.sizes if unit == "episode" else np.ones_like(sums.sizes)
    own = sums.squares if unit == "episode" else sums.task_squares
    numbers, squares = (np.concatenate([[x.sum()], x.sum() - x]).astype(float) for x in (sizes, own))
    scale = 1.0 if unit == "episode" else (len(sums.sizes) / sums.sizes.sum()) ** 2
    return numbers, scale * squares, scale * totals


def _estimated(values: np.ndarray, level: float) -> Estimated:
    """Of the estimate and its m leave-one-out values, in this order: Tukey's jackknife, t with m - 1."""
    estimate, left_out = float(values[0]), values[1:]
    number = len(left_out)
    error = math.sqrt((number - 1) / number * float(((left_out - left_out.mean()) ** 2).sum()))
    half = float(stdtrit(number - 1, (1.0 + check_level(level)) / 2.0)) * error
    return Estimated(estimate, left_out, Interval(estimate - half, estimate + half))


def _inverse(ratio: float) -> float:
    return 1.0 / ratio if ratio > 0.0 else math.inf
