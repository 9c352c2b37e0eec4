"""Several samples a task: pass@k, and success rates whose intervals take the task as the unit."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from affine_trainer.stats.intervals import (
    Interval,
    bootstrap_means,
    jeffreys_interval,
    mean_of_rates,
    quantile_interval,
)


@dataclass(frozen=True, slots=True)
class PassRate:
    """The chance that at least one of `k` samples of a task succeeds, averaged over `num_tasks` tasks."""

    k: int
    rate: float
    interval: Interval
    num_tasks: int


def pass_at_k(samples: int, successes: int, k: int) -> float:
    """The unbiased estimate of pass@k from one task's samples: 1 - C(n - c, k) / C(n, k).

    Chen et al. 2021 (Evaluating Large Language Models Trained on Code), equation 1. ValueError unless
    1 <= k <= n and 0 <= c <= n.
    """
    if not 1 <= k <= samples or not 0 <= successes <= samples:
        raise ValueError(f"pass@{k} cannot be told from {successes} successes of {samples} samples")
    return 1.0 - math.comb(samples - successes, k) / math.comb(samples, k)


def pass_rates(
    outcomes: Mapping[str, Sequence[bool]],
    level: float = 0.80,
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> list[PassRate]:
    """pass@k for k = 1 up to the most samples of a task, given each task's outcomes.

    A task counts for every k up to its own number of samples (one that could not be graded is none).
    """
    counts = [(len(found), sum(found)) for found in outcomes.values() if found]
    rates = []
    for k in range(1, max((n for n, _ in counts), default=0) + 1):
        values = [pass_at_k(n, c, k) for n, c in counts if n >= k]
        interval = clustered_interval(values, range(len(values)), level, samples=samples, seed=seed)
        rates.append(PassRate(k, float(np.mean(values)), interval, len(values)))
    return rates


def clustered_interval(
    values: Sequence[float],
    tasks: Sequence[Hashable],
    level: float = 0.80,
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Interval of the mean of values in [0, 1], resampling whole tasks.

    Where every value is 0, or every one 1, a resample would only repeat that: then it is the Jeffreys
    interval of the tasks, each counted once.
    """
    if (extreme := _extreme(values, tasks)) is not None:
        return jeffreys_interval(*extreme, level)
    return quantile_interval(bootstrap_means(values, tasks, samples, np.random.default_rng(seed)), level)


def clustered_macro_interval(
    environments: Sequence[tuple[Sequence[float], Sequence[Hashable]]],
    level: float = 0.80,
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Interval of the plain mean over environments, given each one's values and their tasks.

    Combined from each environment's `clustered_interval` (stats.intervals.mean_of_rates).
    """
    intervals = [
        clustered_interval(values, tasks, level, samples=samples, seed=seed + number)
        for number, (values, tasks) in enumerate(environments)
    ]
    return mean_of_rates([float(np.mean(values)) for values, _ in environments], intervals)


def _extreme(values: Sequence[float], tasks: Sequence[Hashable]) -> tuple[int, int] | None:
    """(successes, tasks) where all values are 0 or all are 1; None where they differ."""
    num_tasks = len(set(tasks))
    if all(value == 0.0 for value in values):
        return 0, num_tasks
    return (num_tasks, num_tasks) if all(value == 1.0 for value in values) else None
