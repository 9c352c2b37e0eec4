"""One batch of played episodes with every estimator's advantages of it: what diagnostics compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from affine_trainer.config import RLConfig
from affine_trainer.learning.estimators import ESTIMATORS
from affine_trainer.learning.experience import Experience
from affine_trainer.learning.packing import Rows
from affine_trainer.records import Episode


@dataclass(frozen=True, slots=True)
class FrozenBatch:
    """B episodes; each estimator's `advantages` (B, T) are not normalised, and zero off the action tokens.

    `values` (B, T + 1) is the critic at every token, None without one. `outcomes` names each episode's:
    success, failure or ungraded.
    """

    experience: Experience
    values: Tensor | None
    advantages: dict[str, Tensor]
    outcomes: tuple[str, ...]

    @property
    def actions(self) -> Tensor:
        return self.experience.action_mask.bool()


def freeze(
    episodes: Sequence[Episode], experience: Experience, values: Tensor | None, rl: RLConfig
) -> FrozenBatch:
    """The batch, with the advantages of every estimator that has what it needs here."""
    advantages = {}
    for name in ESTIMATORS:
        if name == "group" and rl.samples_per_task < 2:
            continue
        if name == "vine" and experience.state_values is None:
            continue
        estimator = ESTIMATORS[name](rl)
        if estimator.needs_critic and values is None:
            continue
        advantages[name] = estimator(experience, values).advantages
    return FrozenBatch(experience, values, advantages, tuple(map(_outcome, episodes)))


def _outcome(episode: Episode) -> str:
    if episode.grade is None:
        return "ungraded"
    return "success" if episode.grade.success else "failure"


def row_of(experience: Experience, row: int) -> Rows:
    """One episode alone, without its padding."""
    width = int(experience.lengths[row])
    return Rows(
        experience.token_ids[row : row + 1, :width],
        experience.lengths[row : row + 1],
        experience.prompt_lengths[row : row + 1],
        torch.zeros(1, dtype=torch.long),
        experience.action_mask[row : row + 1, : width - 1].bool(),
    )


def surrogate_losses(batch: FrozenBatch, row: int, logprobs: Tensor) -> list[Tensor | None]:
    """Each estimator's policy loss of one episode, from its log-probabilities (1, W - 1) with gradients.

    `-(B / N) sum_t A_t log pi(a_t)` with N the batch's action tokens, so that the mean over the B episodes is
    the gradient of PPO's surrogate at the policy that sampled: the mean over tokens. None where every
    advantage is 0.
    """
    scale = batch.experience.num_episodes / int(batch.actions.sum())
    losses: list[Tensor | None] = []
    for advantages in batch.advantages.values():
        mine = advantages[row, : logprobs.shape[1]].to(logprobs)
        losses.append(-scale * (mine * logprobs[0]).sum() if bool(mine.any()) else None)
    return losses


def tokens_by_step(batch: FrozenBatch) -> Iterator[tuple[str, str, Tensor]]:
    """For each step and outcome that occurs: their names, and which tokens they are, (B, T).

    A step is a turn; within episodes of a single turn, a stretch of the reply's tokens, each twice as long as
    all before: 1, 2-3, 4-7, ...
    """
    actions, ends = batch.actions, batch.experience.turn_end
    turns = ends.cumsum(dim=1) - ends
    octaves = torch.log2(actions.cumsum(dim=1).clamp(min=1).double()).floor().long()
    single = ends.sum(dim=1, keepdim=True) <= 1
    for kind, rows, steps in (("token", single, octaves), ("turn", ~single, turns)):
        for step in torch.unique(steps[actions & rows]).tolist():
            for outcome in sorted(set(batch.outcomes)):
                mine = torch.tensor([each == outcome for each in batch.outcomes])[:, None]
                chosen = actions & rows & mine & (steps == step)
                if bool(chosen.any()):
                    yield _name(kind, step), outcome, chosen


def _name(kind: str, step: int) -> str:
    if kind == "turn":
        return f"turn {step + 1}"
    first, last = 2**step, 2 ** (step + 1) - 1
    return f"token {first}" if first == last else f"tokens {first}-{last}"
