"""The scoring profiles by date: which rule made a verdict out of results, and who shared the emission.

The validators' rules changed at least twelve times in their first year, so each is data with a date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from affine_trainer.errors import AffineError

Division = Literal["most_dominations", "frontier", "champion"]


@dataclass(frozen=True, slots=True)
class Subsets:
    """What a set of k of N environments is worth, and how its worth is divided.

    A size counts when it is among the `layers` largest (None: all); a set of k is worth 2^k, or its layer as
    a whole is (`layer_shared`). Only the ratios between layers matter, so N*2^i with any start of i is 2^k.
    Members of the frontier share by (geometric mean ** power) * decay^(rank - 1), rank 1 being the highest
    geometric mean, and among equals the earlier committed (the facts do not say who goes first).
    """

    layers: int | None = None
    layer_shared: bool = False
    power: float = 1.0
    decay: float = 1.0
    zero_is_shared: bool = False  # a set where every geometric mean is 0 is divided evenly, not withheld


@dataclass(frozen=True, slots=True)
class Scoring:
    """What all profiles have. `shared_tasks`: both models meet the same tasks, which matters for planning.

    The facts say so for the duel alone. Here it is also taken to hold from 2025-12-26 on, when completeness
    of one list of tasks was asked for; before, a validator drew for each model.
    """

    name: str
    since: str
    division: Division
    subsets: Subsets = Subsets()
    shared_tasks: bool = False
    min_samples: int = 0


@dataclass(frozen=True, slots=True)
class EpsilonPareto(Scoring):
    """Means with margins: not worse by more than `nw`, better by at least `win` (see outcomes.py).

    The facts name no least number of samples for this date, so none is asked for.
    """

    max_samples: int = 1000
    min_not_worse: float = 0.005
    z_not_worse: float = 1.28
    min_win: float = 0.008
    z_win: float = 0.5


@dataclass(frozen=True, slots=True)
class Jeffreys(Scoring):
    """Intervals of each model that must not overlap; raw quantiles, and (0, 0) without samples."""

    level: float = 0.80


@dataclass(frozen=True, slots=True)
class Threshold(Scoring):
    """No interval: the later model must take a share of the earlier one's failures, within bounds."""

    completeness: float = 0.9
    error_share: float = 0.2
    min_gain: float = 0.02
    max_gain: float = 0.10
    min_share: float = 0.01  # what is below goes to uid 0


@dataclass(frozen=True, slots=True)
class Duel(Scoring):
    """Challenger (later) against champion (earlier) on shared tasks; the winner takes all."""

    margin: float = 0.03
    not_worse: float = 0.98


DEFAULT_SCORING = Jeffreys(
    "jeffreys-2025-10",
    "2025-10-20",
    "frontier",
    Subsets(power=4.0),
    min_samples=200,
)
_NOVEMBER = Jeffreys(
    "jeffreys-2025-11",
    "2025-11-19",
    "frontier",
    Subsets(layers=6, layer_shared=True, power=2.0, decay=0.5),
    min_samples=400,
    level=0.90,
)

SCORINGS: dict[str, Scoring] = {
    scoring.name: scoring
    for scoring in (
        EpsilonPareto("pareto-2025-09", "2025-09-01", "most_dominations"),
        DEFAULT_SCORING,
        _NOVEMBER,
        replace(_NOVEMBER, name="jeffreys-2025-12", since="2025-12-01", level=0.80),
        Threshold(
            "threshold-2025-12",
            "2025-12-26",
            "frontier",
            Subsets(layers=6, layer_shared=True, decay=0.5, zero_is_shared=True),
            shared_tasks=True,
        ),
        Duel("duel-2026-06", "2026-06-01", "champion", shared_tasks=True),
    )
}

# Level and least samples after each change between 2025-11-01 and the jeffreys-2025-11 of above.
_CHANGES = (
    ("2025-11-01", 0.80, 200),
    ("2025-11-11", 0.80, 400),
    ("2025-11-16", 0.90, 200),
    ("2025-11-18", 0.85, 400),
)

# The days between: accepted by name, not part of "all".
VARIANTS: dict[str, Scoring] = {
    f"jeffreys-{day}": replace(
        _NOVEMBER, name=f"jeffreys-{day}", since=day, level=level, min_samples=min_samples
    )
    for day, level, min_samples in _CHANGES
}


def scorings_named(name: str) -> list[Scoring]:
    """The profile of this name as a list of one, or those of `all`; AffineError listing the names."""
    if name == "all":
        return list(SCORINGS.values())
    known = {**SCORINGS, **VARIANTS}
    if name not in known:
        raise AffineError(f"there is no scoring named {name!r}; --scoring takes {', '.join(_names())}")
    return [known[name]]


def _names() -> Iterator[str]:
    yield "all"
    yield from SCORINGS
    yield from VARIANTS
