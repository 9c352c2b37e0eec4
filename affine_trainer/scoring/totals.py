"""What a validator knows about a model: the sum of its scores and the number of its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Totals:
    """One model's results, arrays of shape (..., environments); leading axes are simulated replays.

    `sums` are sums of scores in [0, 1], fractions allowed; `counts` are graded samples; `wanted` are the
    samples asked for, of which those that could not be graded are missing in `counts`.
    """

    sums: np.ndarray
    counts: np.ndarray
    wanted: np.ndarray

    def __post_init__(self) -> None:
        if not self.sums.shape == self.counts.shape == self.wanted.shape:
            raise ValueError("sums, counts and wanted need one shape")
        if not np.isfinite(self.sums).all() or (self.counts < 0).any():
            raise ValueError("sums are finite, and counts not negative")

    @property
    def means(self) -> np.ndarray:
        """Mean score; 0 where nothing was graded."""
        return np.divide(self.sums, self.counts, out=np.zeros(self.sums.shape), where=self.counts > 0)

    @property
    def num_environments(self) -> int:
        return self.sums.shape[-1]


def totals(sums: Sequence[float], counts: Sequence[int], wanted: Sequence[int] | None = None) -> Totals:
    """Totals of one model from plain lists, one entry an environment; by default everything was graded."""
    asked = counts if wanted is None else wanted
    return Totals(np.asarray(sums, float), np.asarray(counts, float), np.asarray(asked, float))
