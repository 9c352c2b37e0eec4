"""Intervals for one result: Beta posteriors for counts of successes, the bootstrap for everything else."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import betaincinv, ndtri  # scipy.stats costs half a second of import

Values: TypeAlias = Sequence[float] | np.ndarray

_CELLS_AT_ONCE = 4_000_000  # bootstrap weights held in memory at a time, 32 MB


class Interval(NamedTuple):
    """A closed interval on the scale of what it covers."""

    lower: float
    upper: float


def jeffreys_interval(
    successes: int, trials: int, level: float = 0.80, alpha: float = 0.5, beta: float = 0.5
) -> Interval:
    """Equal-tailed interval of Beta(alpha + s, beta + n - s); alpha = beta = .5 is Jeffreys' prior.

    The lower end is 0 when nothing succeeded and the upper end 1 when everything did, as Brown, Cai and
    DasGupta (2001) recommend; without trials it is [0, 1]. Raises ValueError on anything but whole counts.
    """
    check_counts(successes, trials)
    tail = (1.0 - check_level(level)) / 2.0
    if alpha <= 0.0 or beta <= 0.0:
        raise ValueError(f"the Beta prior needs two numbers above 0, not {alpha} and {beta}")
    if trials == 0:
        return Interval(0.0, 1.0)
    a, b = alpha + successes, beta + trials - successes
    lower = 0.0 if successes == 0 else float(betaincinv(a, b, tail))
    upper = 1.0 if successes == trials else float(betaincinv(a, b, 1.0 - tail))
    return Interval(lower, upper)


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """The score interval of Wilson (1927): the rates that a normal test at 1 - `level` does not reject."""
    check_counts(successes, trials)
    if trials == 0:
        return Interval(0.0, 1.0)
    z = float(ndtri((1.0 + check_level(level)) / 2.0))
    rate, spread = successes / trials, z * z / trials
    centre = (rate + spread / 2.0) / (1.0 + spread)
    half = math.sqrt(spread * rate * (1.0 - rate) + spread * spread / 4.0) / (1.0 + spread)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def macro_interval(
    counts: Sequence[tuple[int, int]], level: float = 0.80, alpha: float = 0.5, beta: float = 0.5
) -> Interval:
    """Interval of the plain mean of several success rates, given one (successes, trials) pair each.

    Combined from the rates' own intervals (`mean_of_rates`): so it has a width even at 0 % and 100 %, and
    holds the mean, which draws from the posteriors need not: with few trials a prior pulls them inwards.
    """
    rates = [successes / trials if trials else 0.5 for successes, trials in counts]
    return mean_of_rates(rates, [jeffreys_interval(s, n, level, alpha, beta) for s, n in counts])


def mean_of_rates(rates: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of the mean of independent rates from an interval of each.

    The method of variance estimates recovery (Zou and Donner 2008, "Construction of confidence limits about
    effect measures"): the distances of the ends from the rates add up as standard deviations do.
    """
    if not rates:
        raise ValueError("a mean over environments needs at least one environment")
    pairs = list(zip(rates, intervals, strict=True))
    below = math.hypot(*(max(0.0, rate - interval.lower) for rate, interval in pairs))
    above = math.hypot(*(max(0.0, interval.upper - rate) for rate, interval in pairs))
    mean = sum(rates) / len(rates)
    return Interval(max(0.0, mean - below / len(rates)), min(1.0, mean + above / len(rates)))


def bootstrap_interval(
    values: Values,
    level: float = 0.80,
    *,
    tasks: Sequence[Hashable] | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of the mean of `values`, resampling whole tasks when they are named."""
    return quantile_interval(bootstrap_means(values, tasks, samples, np.random.default_rng(seed)), level)


def bootstrap_means(
    values: Values,
    tasks: Sequence[Hashable] | None,
    samples: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Means of `samples` resamples, shape (samples,); all values of one task enter or leave together.

    Tasks with equal totals are interchangeable, so a resample is one multinomial draw over the distinct
    totals: the same distribution as drawing task by task, at a fraction of the cost for graded tasks.
    """
    totals, sizes = _task_totals(values, tasks)
    kinds, multiplicity = np.unique(np.stack([totals, sizes], axis=1), axis=0, return_counts=True)
    num_tasks = len(totals)
    rows = max(1, _CELLS_AT_ONCE // len(kinds))
    means = np.empty(samples)
    for start in range(0, samples, rows):
        size = min(rows, samples - start)
        weights = generator.multinomial(num_tasks, multiplicity / num_tasks, size=size)
        means[start : start + size] = (weights @ kinds[:, 0]) / (weights @ kinds[:, 1])
    return means


def quantile_interval(draws: np.ndarray, level: float) -> Interval:
    """The equal-tailed interval that holds `level` of the draws."""
    tail = (1.0 - check_level(level)) / 2.0
    lower, upper = np.quantile(draws, [tail, 1.0 - tail])
    return Interval(float(lower), float(upper))


def check_level(level: float) -> float:
    """The level itself; ValueError unless it lies strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"a confidence level lies between 0 and 1, not at {level}")
    return level


def check_counts(successes: int, trials: int) -> None:
    """ValueError unless these are whole numbers with 0 <= successes <= trials."""
    if isinstance(successes, float) or isinstance(trials, float):
        raise ValueError(
            f"a Beta interval takes whole counts, not {successes} of {trials}; use the bootstrap"
        )
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is not a count")


def _task_totals(values: Values, tasks: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0:
        raise ValueError("a bootstrap needs a flat list of at least one value")
    if not math.isfinite(float(array.sum())):
        raise ValueError("a bootstrap takes finite values only")
    if tasks is None:
        return array, np.ones_like(array)
    if len(tasks) != array.size:
        raise ValueError(f"{array.size} values but {len(tasks)} task names")
    positions: dict[Hashable, int] = {}
    owner = np.array([positions.setdefault(task, len(positions)) for task in tasks])
    return np.bincount(owner, weights=array), np.bincount(owner).astype(float)
