"""What changes as a run goes on: the learning rate, the weights of entropy and KL, or any limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from affine_trainer.config import RLConfig

Kind = Literal["constant", "linear", "cosine", "power", "steps", "decay"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A number that goes from `start` to `end` over `total` steps, after a linear ramp of `warmup` steps.

    `linear`, `cosine` and `power` (progress to the power `power`: slow at first where it is above 1) move at
    every step, `steps` in `num_stages` equal stages; all but `constant`, which stays at `start`, are at `end`
    on the last step and stay there. `decay` multiplies by `factor` a step after the ramp, as far as `end`.
    The first step of a ramp of n runs at `start` / (n + 1), not at 0.
    """

    kind: Kind
    start: float
    end: float
    total: int
    warmup: int = 0
    power: float = 2.0
    num_stages: int = 4
    factor: float = 1.0

    def __call__(self, step: int) -> float:
        """The value at `step`, counted from 0."""
        if step < self.warmup:
            return self.start * (step + 1) / (self.warmup + 1)
        if self.kind == "constant":
            return self.start
        if self.kind == "decay":
            towards = max if self.end <= self.start else min
            return towards(self.end, self.start * self.factor ** (step - self.warmup))
        progress = min(1.0, (step - self.warmup) / max(1, self.total - 1 - self.warmup))
        return self.end + (self.start - self.end) * self._rest(progress)

    def _rest(self, progress: float) -> float:
        """How much of the way is left, 1 to 0."""
        if self.kind == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * progress))
        if self.kind == "power":
            return 1.0 - progress**self.power
        if self.kind == "steps":
            stage = min(self.num_stages - 1, int(progress * self.num_stages))
            return 1.0 - stage / (self.num_stages - 1)
        return 1.0 - progress


def learning_rate_factor(rl: RLConfig, total: int) -> Schedule:
    """The factor on both learning rates, over the `total` optimiser steps of a run."""
    return Schedule(
        rl.lr_schedule, 1.0, rl.min_lr_ratio, total, rl.warmup_steps, rl.schedule_power, rl.schedule_stages
    )


def entropy_coefficient(rl: RLConfig, total: int) -> Schedule:
    """From `entropy_coef` down to `entropy_floor`; a bonus that starts below the floor stays as it is."""
    return Schedule(
        rl.entropy_schedule,
        rl.entropy_coef,
        min(rl.entropy_coef, rl.entropy_floor),
        total,
        power=rl.schedule_power,
        num_stages=rl.schedule_stages,
        factor=rl.entropy_decay,
    )


def kl_coefficient(rl: RLConfig, total: int) -> Schedule:
    """From `kl_coef` to `final_kl_coef`; off where `kl_coef` is 0, which leaves the reference out."""
    end = rl.final_kl_coef if rl.kl_coef else 0.0
    return Schedule(
        rl.kl_schedule,
        rl.kl_coef,
        end,
        total,
        rl.kl_warmup_steps,
        rl.schedule_power,
        rl.schedule_stages,
    )
