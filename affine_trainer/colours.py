"""One constant colour and marker a model, the same in every report, figure and tracker."""

from __future__ import annotations

from collections.abc import Iterable
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
    """The look of each model; base, sft and rl (also of another run, `run/rl`) always have their own.

    Other labels take what is left in their sorted order.
    """
    looks: dict[str, ModelLook] = {}
    others = 0
    for label in sorted(set(labels)):
        name = label.rpartition("/")[2]
        if name in KNOWN:
            looks[label] = ModelLook(KNOWN[name], KNOWN_MARKERS[name])
        else:
            looks[label] = ModelLook(OTHERS[others % len(OTHERS)], MARKERS[(3 + others) % len(MARKERS)])
            others += 1
    return looks
