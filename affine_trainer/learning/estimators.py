"""Advantage estimators behind one interface: what an episode's tokens were worth beyond what was expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from affine_trainer.config import RLConfig
from affine_trainer.learning.advantages import (
    generalized_advantages,
    group_advantages,
    group_standard_scores,
    turn_starts,
)
from affine_trainer.learning.experience import Experience
from affine_trainer.learning.vine import step_advantages


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of an Experience of B rows: (B, T) each, zero off the action tokens.

    `advantages` are not normalised yet; `returns` are what a critic is to learn.
    """

    advantages: Tensor
    returns: Tensor
    metrics: dict[str, float] = field(default_factory=dict)


class AdvantageEstimator(Protocol):
    """Turns an iteration's episodes into advantages and returns.

    `values`, (B, T + 1), is the critic at every token; None in a run without one, which an estimator that
    `needs_critic` never meets. `metrics` are logged under the names they have.
    """

    needs_critic: bool

    def __call__(self, experience: Experience, values: Tensor | None) -> Estimate: ...


class Gae:
    """Generalised advantages on the critic's values (Schulman et al. 2015)."""

    needs_critic = True

    def __init__(self, rl: RLConfig) -> None:
        self._rl = rl

    def __call__(self, experience: Experience, values: Tensor | None) -> Estimate:
        assert values is not None
        return Estimate(*self._gae(experience, values))

    def _gae(self, experience: Experience, values: Tensor) -> tuple[Tensor, Tensor]:
        last_value = values.gather(1, experience.lengths[:, None] - 1)[:, 0]
        return generalized_advantages(
            experience.rewards,
            values[:, :-1],
            experience.action_mask,
            experience.turn_end,
            torch.where(experience.cut_off, last_value, 0.0),
            gamma=self._rl.gamma,
            gae_lambda=self._rl.gae_lambda,
            level=self._rl.gae_level,
        )


class Group(Gae):
    """Return minus that of the task's other episodes (RLOO); with GRPO minus the whole group's mean.

    GRPO (Shao et al. 2024) also divides by the deviation of the group, unless `normalize_advantages` is
    other than `scale`. A critic that is there all the same learns the returns of GAE, and is only measured.
    """

    needs_critic = False

    def __call__(self, experience: Experience, values: Tensor | None) -> Estimate:
        group = experience.rewards, experience.action_mask, experience.tasks
        if self._rl.algorithm == "grpo":
            divide = self._rl.normalize_advantages == "scale"
            advantages = group_standard_scores(*group, divide=divide)
        else:
            advantages = group_advantages(*group)
        return Estimate(advantages, self._returns(experience, values))

    def _returns(self, experience: Experience, values: Tensor | None) -> Tensor:
        if values is None:
            return experience.rewards.sum(dim=1, keepdim=True) * experience.action_mask
        return self._gae(experience, values)[1]


class Baseline:
    """What was earned from a turn on, minus one learned number a turn: the critic before its first token.

    Williams (1992): the baseline depends on nothing that the turn samples, so the gradient is unbiased
    whatever it says. Returns are those that were paid, discounted; nothing is guessed behind a cut.
    """

    needs_critic = True

    def __init__(self, rl: RLConfig) -> None:
        self._rl = rl

    def __call__(self, experience: Experience, values: Tensor | None) -> Estimate:
        assert values is not None
        nothing = torch.zeros_like(values[:, :-1])
        returns, _ = generalized_advantages(
            experience.rewards,
            nothing,
            experience.action_mask,
            experience.turn_end,
            nothing[:, 0],
            gamma=self._rl.gamma,
            gae_lambda=1.0,
            level=self._rl.gae_level,
        )
        starts = turn_starts(experience.action_mask, experience.turn_end)
        baseline = values[:, :-1].gather(1, starts)
        actions = experience.action_mask.bool()
        return Estimate(torch.where(actions, returns - baseline, 0.0), returns)


class Vine(Group):
    """Against the Monte-Carlo values of the states between steps (VinePPO); learning/vine.py makes them.

    A critic that is there all the same learns the returns of GAE, and is only measured.
    """

    def __call__(self, experience: Experience, values: Tensor | None) -> Estimate:
        assert experience.state_values is not None, "the episodes come with the values of their states"
        advantages = step_advantages(
            experience.rewards,
            experience.state_values,
            experience.action_mask,
            experience.turn_end,
            gamma=self._rl.gamma,
        )
        return Estimate(advantages, self._returns(experience, values))


ESTIMATORS: dict[str, Callable[[RLConfig], AdvantageEstimator]] = {
    "gae": Gae,
    "group": Group,
    "baseline": Baseline,
    "vine": Vine,
}


def estimator_of(rl: RLConfig) -> AdvantageEstimator:
    """The estimator that `rl_training.advantage` names."""
    return ESTIMATORS[rl.advantage](rl)


def has_critic(rl: RLConfig) -> bool:
    """Whether a run trains a critic: for its estimator, or beside `group` to be measured. GRPO has none."""
    return rl.algorithm != "grpo" and rl.vf_coef > 0.0
