"""How values are spread: moments, the share that is exactly 0, histogram and empirical distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affine_trainer.stats.intervals import Values

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of n values: `counts` lie in the bins between `edges`, the last bin with its upper edge.

    `cumulative` is the empirical distribution function at each bin's upper edge, the share of values at or
    below it. `share_zero` counts values that are exactly 0.
    """

    number: int
    mean: float
    deviation: float
    share_zero: float
    quantiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    cumulative: tuple[float, ...]


def distribution(values: Values, edges: Values) -> Distribution:
    """The distribution over bins between ascending `edges`, which must hold every value."""
    array, bounds = np.asarray(values, dtype=float), np.asarray(edges, dtype=float)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError("a distribution needs a flat list of at least one finite value")
    if array.min() < bounds[0] or array.max() > bounds[-1]:
        raise ValueError(f"values lie outside the bins from {bounds[0]:g} to {bounds[-1]:g}")
    ordered = np.sort(array)
    return Distribution(
        number=array.size,
        mean=float(array.mean()),
        deviation=float(array.std()),
        share_zero=float((array == 0.0).mean()),
        quantiles=tuple(map(float, np.quantile(array, QUANTILES))),
        edges=tuple(map(float, bounds)),
        counts=tuple(map(int, np.histogram(array, bounds)[0])),
        cumulative=tuple(
            float(share) for share in np.searchsorted(ordered, bounds[1:], side="right") / array.size
        ),
    )


def common_edges(values: Values, num_bins: int = 20) -> tuple[float, ...]:
    """Edges of `num_bins` equal bins over all values; one bin around them where all are equal."""
    array = np.asarray(values, dtype=float)
    low, high = float(array.min()), float(array.max())
    if low == high:
        return (low - 0.5, high + 0.5)
    return tuple(map(float, np.linspace(low, high, num_bins + 1)))
