"""What changes with the number of optimiser steps: the learning rate and the entropy coefficient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LearningRateSchedule:
    """A factor on the learning rate: a linear ramp over `warmup_steps`, then a decay to `min_ratio`.

    The first step of a ramp of n runs at 1/(n+1), not at 0; the last of `total_steps` at `min_ratio`.
    """

    kind: Literal["constant", "linear", "cosine"]
    total_steps: int
    warmup_steps: int
    min_ratio: float

    def factor(self, step: int) -> float:
        """The factor for optimiser step `step`, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        if self.kind == "constant":
            return 1.0
        span = max(1, self.total_steps - 1 - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / span)
        shape = 1.0 - progress if self.kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.min_ratio + (1.0 - self.min_ratio) * shape


def entropy_coefficient(step: int, *, initial: float, decay: float, floor: float) -> float:
    """`initial` x `decay`^step, never below `floor`; an `initial` already below it stays as it is."""
    return max(min(initial, floor), initial * decay**step)
