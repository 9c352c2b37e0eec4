"""Two models on the same tasks: differences with intervals, McNemar's exact test, Holm's correction."""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Sized
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from affine_trainer.stats.intervals import (
    Interval,
    Values,
    bootstrap_means,
    jeffreys_interval,
    quantile_interval,
)


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """How many tasks both models solved, one of them, or neither."""

    both: int
    only_candidate: int
    only_baseline: int
    neither: int

    @property
    def num_pairs(self) -> int:
        return self.both + self.only_candidate + self.only_baseline + self.neither

    @property
    def num_discordant(self) -> int:
        return self.only_candidate + self.only_baseline

    @property
    def difference(self) -> float:
        """Success rate of the candidate minus that of the baseline, in [-1, 1]."""
        return (self.only_candidate - self.only_baseline) / self.num_pairs


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus baseline with its paired interval; `num_tasks` tasks were resampled."""

    estimate: float
    interval: Interval
    num_tasks: int


def count_pairs(candidate: Sequence[bool], baseline: Sequence[bool]) -> PairedCounts:
    """The two-by-two table of two lists of successes over the same tasks in the same order."""
    _check_pairs(candidate, baseline)
    cells = [(bool(c), bool(b)) for c, b in zip(candidate, baseline, strict=True)]
    return PairedCounts(
        both=cells.count((True, True)),
        only_candidate=cells.count((True, False)),
        only_baseline=cells.count((False, True)),
        neither=cells.count((False, False)),
    )


def mcnemar_p(counts: PairedCounts) -> float:
    """Two-sided p of McNemar's exact test: are the discordant tasks split like a fair coin?

    1 when no task is discordant.
    """
    fewer = min(counts.only_candidate, counts.only_baseline)
    return min(1.0, 2.0 * float(bdtr(fewer, counts.num_discordant, 0.5)))


def discordant_interval(counts: PairedCounts, level: float = 0.80) -> Interval:
    """Interval of the candidate's share of the discordant tasks, from Beta(.5 + n01, .5 + n10)."""
    return jeffreys_interval(counts.only_candidate, counts.num_discordant, level)


def paired_difference(
    candidate: Values,
    baseline: Values,
    level: float = 0.80,
    *,
    tasks: Sequence[Hashable] | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Mean of candidate minus baseline; the interval is a bootstrap clustered by task.

    Without `tasks` every pair is its own task. With it, all pairs of one task are drawn together.
    """
    gaps = _gaps(candidate, baseline)
    means = bootstrap_means(gaps, tasks, samples, np.random.default_rng(seed))
    num_tasks = len(gaps) if tasks is None else len(set(tasks))
    return Difference(float(gaps.mean()), quantile_interval(means, level), num_tasks)


def macro_difference(
    pairs: Sequence[tuple[Values, Values]],
    level: float = 0.80,
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Mean over environments of the paired difference, given one (candidate, baseline) pair each.

    The bootstrap is stratified: every environment is resampled on its own and keeps its equal weight.
    """
    if not pairs:
        raise ValueError("a macro difference needs at least one environment")
    generator = np.random.default_rng(seed)
    gaps = [_gaps(candidate, baseline) for candidate, baseline in pairs]
    means = np.mean([bootstrap_means(gap, None, samples, generator) for gap in gaps], axis=0)
    estimate = float(np.mean([gap.mean() for gap in gaps]))
    return Difference(estimate, quantile_interval(means, level), sum(map(len, gaps)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def _gaps(candidate: Values, baseline: Values) -> np.ndarray:
    _check_pairs(candidate, baseline)
    return np.asarray(candidate, dtype=float) - np.asarray(baseline, dtype=float)


def _check_pairs(candidate: Sized, baseline: Sized) -> None:
    if len(candidate) != len(baseline):
        raise ValueError(f"{len(candidate)} results cannot be paired with {len(baseline)}")
    if len(candidate) == 0:
        raise ValueError("a paired comparison needs at least one shared task")
