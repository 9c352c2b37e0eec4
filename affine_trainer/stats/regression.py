"""The regression gate: has a model lost more than a small share of what its baseline could do?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affine_trainer.stats.intervals import Interval, quantile_interval
from affine_trainer.stats.paired import PairedCounts

_PRIOR = 0.5  # of each cell of the paired table (Jeffreys)


@dataclass(frozen=True, slots=True)
class Regression:
    """Candidate's success rate over the baseline's in one environment.

    `ratio` is None where the baseline solved nothing: nothing can be lost there. `interval` is of the true
    ratio, `probability` that of its being below `least`, both from the paired posterior.
    """

    ratio: float | None
    interval: Interval
    probability: float
    least: float

    @property
    def failed(self) -> bool:
        """Below the gate as measured, whatever the uncertainty: a gate looks at what was observed."""
        return self.ratio is not None and self.ratio < self.least


def regression(
    table: PairedCounts, least: float = 0.98, level: float = 0.80, *, draws: int = 10_000, seed: int = 0
) -> Regression:
    """The gate of one environment, with seeded draws from the Dirichlet posterior of the paired table."""
    cells = np.array([table.both, table.only_candidate, table.only_baseline, table.neither], dtype=float)
    shares = np.random.default_rng(seed).dirichlet(cells + _PRIOR, size=draws)
    candidate, baseline = shares[:, 0] + shares[:, 1], shares[:, 0] + shares[:, 2]
    solved = table.both + table.only_baseline
    return Regression(
        ratio=(table.both + table.only_candidate) / solved if solved else None,
        interval=quantile_interval(candidate / baseline, level),
        probability=float(np.mean(candidate < least * baseline)),
        least=least,
    )
