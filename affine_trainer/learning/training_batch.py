"""What the policy learns from: scored experience as one batch, then as micro-batches of like length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from affine_trainer.config import RLConfig
from affine_trainer.learning.advantages import generalized_advantages, whiten
from affine_trainer.learning.critic import explained_variance
from affine_trainer.learning.experience import Experience, length_groups

# A sampled token that the policy has all but given up would pull with exp(30); this bounds its k3 near 10.
REFERENCE_LOG_RATIO = (-11.0, 2.6)


@dataclass(frozen=True, slots=True)
class Scores:
    """What models say of an Experience of B rows of T + 1 tokens, on the CPU.

    `values` (B, T + 1) is the critic at every token; `logprobs` and `reference` (B, T) are of the policy that
    sampled and of the reference model, column t speaking of token t + 1; no reference without a KL term.
    """

    values: Tensor
    logprobs: Tensor
    reference: Tensor | None


def training_batch(
    experience: Experience, scores: Scores, rl: RLConfig
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The batch under TRL's key names, (B, T) but for the prompt, and what is known before the update."""
    values, actions = scores.values[:, :-1], experience.action_mask.bool()
    last_value = scores.values.gather(1, experience.lengths[:, None] - 1)[:, 0]
    advantages, returns = generalized_advantages(
        experience.rewards,
        values,
        actions,
        experience.turn_end,
        torch.where(experience.cut_off, last_value, 0.0),
        gamma=rl.gamma,
        gae_lambda=rl.gae_lambda,
        level=rl.gae_level,
    )
    metrics = {
        "advantages": float(advantages[actions].mean()),
        "advantages_std": float(advantages[actions].std(correction=0)),
        "explained_variance": explained_variance(values[actions], returns[actions]),
    }
    if rl.normalize_advantages:
        advantages = whiten(advantages, actions, rescale=_rewards_differ(experience))
    columns = torch.arange(1, experience.token_ids.shape[1])
    batch = {
        "prompt_ids": experience.token_ids[:, :1],
        "prompt_mask": torch.ones_like(experience.token_ids[:, :1]),
        "completion_ids": experience.token_ids[:, 1:],
        "completion_mask": (columns < experience.lengths[:, None]).long(),
        "tool_mask": experience.action_mask,
        "advantages": advantages,
        "returns": returns,
        "old_values": values,
        "old_per_token_logps": scores.logprobs,
        "lengths": experience.lengths,
    }
    if scores.reference is not None:
        away = (scores.reference - scores.logprobs).clamp(*REFERENCE_LOG_RATIO)
        batch["ref_per_token_logps"] = scores.logprobs + away
    return batch, metrics


def _rewards_differ(experience: Experience) -> bool:
    """Whether any episode earned more than another; if not, advantages are the critic's noise alone."""
    rewards = experience.rewards.sum(dim=1)[experience.action_mask.any(dim=1)]
    return bool(rewards.max() - rewards.min() > 1e-9)


def micro_batches(
    batch: Mapping[str, Tensor], *, num_steps: int, micro_batch_size: int
) -> list[dict[str, Tensor]]:
    """Split the rows of `batch` into `num_steps` optimiser steps of micro-batches of like length.

    `batch` holds `lengths` (B,), `tool_mask` (B, T) with 1 on action tokens, and more tensors (B, columns).
    The rows of step i are the i-th B / num_steps of the batch; inside a step they are ordered by length, and
    columns that are padding in a whole micro-batch are cut off. Each micro-batch gets its `share`: its part
    of the action tokens of its optimiser step, so that shares of a step sum to 1.
    """
    lengths, actions = batch["lengths"], batch["tool_mask"].sum(dim=1)
    batches = []
    for step_rows in torch.arange(len(lengths), device=lengths.device).chunk(num_steps):
        tokens = actions[step_rows].sum().clamp(min=1)
        for group in length_groups(lengths[step_rows], micro_batch_size):
            rows = step_rows[group]
            width = int(lengths[rows].max()) - 1
            micro = {
                key: tensor[rows, :width] if tensor.dim() > 1 else tensor[rows]
                for key, tensor in batch.items()
            }
            batches.append(micro | {"share": actions[rows].sum() / tokens})
    return batches
