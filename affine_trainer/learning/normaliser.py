"""The last step on advantages before the loss: by this batch's moments, by running ones, or not at all."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from affine_trainer.config import RLConfig
from affine_trainer.learning.advantages import MIN_STD, scale, whiten


@dataclass(slots=True)
class RunningMoments:
    """Exponential averages of a and of a^2 over the action tokens of all iterations, newest first.

    `E[a] = sum_k d^(n-k) sum(a_k) / sum_k d^(n-k) count_k` for batches k = 1..n: each token counts alike, and
    the weight that a zero start would keep is divided out, as Adam does (with batches of equal counts this is
    its m / (1 - d^n)). The deviation comes from both means; an average of deviations would miss how the
    means of batches differ. Python floats, so that JSON keeps them to the last bit.
    """

    decay: float
    total: float = 0.0
    total_of_squares: float = 0.0
    weight: float = 0.0

    def update(self, chosen: Tensor) -> None:
        """Take in the values of one iteration's action tokens, (N,)."""
        values = chosen.double()
        kept, new = self.decay, 1.0 - self.decay
        self.total = kept * self.total + new * float(values.sum())
        self.total_of_squares = kept * self.total_of_squares + new * float((values**2).sum())
        self.weight = kept * self.weight + new * values.numel()

    @property
    def mean(self) -> float:
        return self.total / self.weight if self.weight else 0.0

    @property
    def std(self) -> float:
        if not self.weight:
            return 0.0
        return math.sqrt(max(0.0, self.total_of_squares / self.weight - self.mean**2))


class Normaliser:
    """Normalises an iteration's advantages as `rl_training.normalize_advantages` says.

    Running moments are kept in every mode, so that the log can show both; only `ema` divides by them.
    """

    def __init__(self, rl: RLConfig) -> None:
        self._mode = rl.normalize_advantages
        # GRPO's own deviation, that of each task's returns, is part of its estimator.
        self._leave = self._mode == "none" or (self._mode == "scale" and rl.algorithm == "grpo")
        self._center = rl.advantage_ema_center
        self.running = RunningMoments(rl.advantage_ema_decay)

    def __call__(
        self, advantages: Tensor, actions: Tensor, *, rewards_differ: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Normalised advantages (B, T), zero where `actions` (B, T) is, and both kinds of moments.

        Call it once an iteration: the running moments take in this batch first, and all epochs then learn
        from the same numbers. Where no two rewards differ, `batch` only centres: what is left is the
        critic's noise.
        """
        chosen = advantages[actions]
        self.running.update(chosen)
        metrics = {
            "train/running_adv_mean": self.running.mean,
            "train/running_adv_std": self.running.std,
            "train/batch_adv_mean": float(chosen.mean()),
            "train/batch_adv_std": float(chosen.std(correction=0)),
        }
        return self._normalised(advantages, actions, rewards_differ), metrics

    def _normalised(self, advantages: Tensor, actions: Tensor, rewards_differ: bool) -> Tensor:
        if self._leave:
            return torch.where(actions, advantages, 0.0)
        if self._mode == "batch":
            return whiten(advantages, actions, rescale=rewards_differ)
        if self._mode == "scale":
            return scale(advantages, actions)
        spread = self.running.std if self.running.std >= MIN_STD else 1.0
        centre = self.running.mean if self._center else 0.0
        return torch.where(actions, (advantages - centre) / spread, 0.0)

    def state_dict(self) -> dict[str, float]:
        return asdict(self.running)

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.running = RunningMoments(**state)
