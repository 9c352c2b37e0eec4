"""A training run's curve: one metric over sampled tokens and over training time, read off its events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affine_trainer.artifacts import read_jsonl
from affine_trainer.errors import DataError

RULE = "read off each run's curve, linear between its points"


@dataclass(frozen=True, slots=True)
class Curve:
    """`values` of a metric after `tokens` sampled tokens and `seconds` of training; all of one length.

    Tokens are all that the policy sampled to learn from, continuations for value estimates included. Seconds
    are those of iterations. Neither counts validations: they are the measurement.
    """

    iterations: tuple[int, ...]
    tokens: tuple[float, ...]
    seconds: tuple[float, ...]
    values: tuple[float, ...]

    def at_tokens(self, tokens: float) -> float:
        return float(np.interp(tokens, self.tokens, self.values))

    def at_seconds(self, seconds: float) -> float:
        return float(np.interp(seconds, self.seconds, self.values))


def read_curve(events: Path, metric: str) -> Curve:
    """The curve of `metric` in a finished run's events; DataError where they do not hold it."""
    points: list[tuple[int, float, float, float]] = []
    tokens, seconds, known = 0.0, 0.0, set[str]()
    for row in read_jsonl(events, ("step",)):
        tokens += row.get("rl/tokens") or 0.0
        seconds += row.get("time/iteration") or 0.0
        known |= {name for name, value in row.items() if isinstance(value, (int, float))}
        if isinstance(row.get(metric), (int, float)):
            points.append((row["step"], tokens, seconds, float(row[metric])))
    if not points:
        shown = ", ".join(sorted(name for name in known if name.startswith("validation/")))
        raise DataError(f"{events} holds no {metric!r} (the experiment's `metric`); it has {shown}")
    if tokens <= 0.0 or seconds <= 0.0:
        raise DataError(f"{events} does not say how many tokens and seconds its iterations took")
    iterations, at_tokens, at_seconds, values = zip(*points, strict=True)
    return Curve(iterations, at_tokens, at_seconds, values)
