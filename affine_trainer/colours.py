"""One constant colour and marker a model, the same in every report, figure and tracker."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

# Okabe and Ito's palette (2008), with some of ColorBrewer's: told apart with the common colour blindnesses.
# Each has a contrast of at least 3 against white and against the dark page, as WCAG asks of graphics.
KNOWN = {"base": "#808080", "sft": "#d55e00", "rl": "#0072b2"}
OTHERS = ("#009e73", "#cc79a7", "#a6761d", "#7570b3", "#e7298a")
MARKERS = ("circle", "square", "diamond", "triangle")
KNOWN_MARKERS = {"base": "circle", "sft": "square", "rl": "diamond"}


@dataclass(frozen=True, slots=True)
class ModelLook:
    """How a model is drawn: a colour as #rrggbb, and a marker so that colour is never the only sign."""

    colour: str
    marker: str


def model_looks(labels: Iterable[str]) -> dict[str, ModelLook]:
    """The look of each model by its label, where `run/rl` looks as `rl` does.

    base, sft and rl have their own. Any other name has a place of its own in the palette, computed from the
    name, so that it looks the same on every page and tracker; only where two of one page would look the same
    does the later one, by name, move on.
    """
    names = {label: label.rpartition("/")[2] for label in labels}
    looks = {name: ModelLook(KNOWN[name], KNOWN_MARKERS[name]) for name in KNOWN}
    taken: set[int] = set()
    for name in sorted(set(names.values()) - set(KNOWN)):
        place = _free_place(zlib.crc32(name.encode()), taken)
        looks[name] = ModelLook(OTHERS[place % len(OTHERS)], MARKERS[(3 + place) % len(MARKERS)])
        taken.add(place % len(OTHERS))
    return {label: looks[name] for label, name in names.items()}


def _free_place(home: int, taken: Collection[int]) -> int:
    """The first place from `home` on whose colour is free; home itself where none is."""
    free = (place for place in range(home, home + len(OTHERS)) if place % len(OTHERS) not in taken)
    return next(free, home)
