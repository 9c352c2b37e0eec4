"""What the policy learns from: scored experience as one batch, then as micro-batches of like length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from affine_trainer.learning.critic import explained_variance
from affine_trainer.learning.estimators import AdvantageEstimator
from affine_trainer.learning.experience import Experience, line_widths, share_out
from affine_trainer.learning.normaliser import Normaliser

# A sampled token that the policy has all but given up would pull with exp(30); this bounds its k3 near 10.
REFERENCE_LOG_RATIO = (-11.0, 2.6)


@dataclass(frozen=True, slots=True)
class Scores:
    """What models say of an Experience of B rows of T + 1 tokens, on the CPU.

    `values` (B, T + 1) is the critic at every token, None in a run without one; `logprobs` and `reference`
    (B, T) are of the policy that sampled and of the reference model, column t speaking of token t + 1; no
    reference without a KL term.
    """

    values: Tensor | None
    logprobs: Tensor
    reference: Tensor | None


def training_batch(
    experience: Experience, scores: Scores, estimator: AdvantageEstimator, normaliser: Normaliser
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The batch under TRL's key names, (B, T) but for the prompt, and what is known before the update."""
    actions = experience.action_mask.bool()
    estimate = estimator(experience, scores.values)
    chosen = estimate.advantages[actions]
    advantages, moments = normaliser(estimate.advantages, actions, rewards_differ=_rewards_differ(experience))
    metrics = {
        "rl/advantages": float(chosen.mean()),
        "rl/advantages_std": float(chosen.std(correction=0)),
        "rl/zero_advantages": float((chosen == 0.0).float().mean()),
        **moments,
        **estimate.metrics,
    }
    columns = torch.arange(1, experience.token_ids.shape[1])
    batch = {
        "prompt_ids": experience.token_ids[:, :1],
        "prompt_mask": torch.ones_like(experience.token_ids[:, :1]),
        "completion_ids": experience.token_ids[:, 1:],
        "completion_mask": (columns < experience.lengths[:, None]).long(),
        "tool_mask": experience.action_mask,
        "advantages": advantages,
        "old_per_token_logps": scores.logprobs,
        "lengths": experience.lengths,
        "prompt_lengths": experience.prompt_lengths,
        "groups": experience.groups,
    }
    if scores.values is not None:
        values, returns = scores.values[:, :-1], estimate.returns
        batch |= {"returns": returns, "old_values": values}
        metrics["rl/explained_variance"] = explained_variance(values[actions], returns[actions])
    if scores.reference is not None:
        away = (scores.reference - scores.logprobs).clamp(*REFERENCE_LOG_RATIO)
        batch["ref_per_token_logps"] = scores.logprobs + away
    return batch, metrics


def _rewards_differ(experience: Experience) -> bool:
    """Whether any episode earned more than another; if not, advantages are the critic's noise alone."""
    rewards = experience.rewards.sum(dim=1)[experience.action_mask.any(dim=1)]
    return bool(rewards.max() - rewards.min() > 1e-9)


def micro_batches(
    batch: Mapping[str, Tensor], *, num_steps: int, num_batches: int
) -> list[dict[str, Tensor]]:
    """Split the rows of `batch` into `num_steps` optimiser steps, each of `num_batches` of like length.

    `batch` holds `lengths`, `prompt_lengths` and `groups` (B,), `tool_mask` (B, T) with 1 on action tokens,
    and more tensors (B, columns). Groups stay whole and keep their order over the steps; inside a step they
    are ordered by length, and columns that are padding in a whole micro-batch are cut off. Each micro-batch
    gets its `share`: its part of the action tokens of its step, so that shares of a step sum to 1.
    """
    lengths, groups, actions = batch["lengths"], batch["groups"], batch["tool_mask"].sum(dim=1)
    widths = line_widths(lengths, batch["prompt_lengths"], groups)
    batches = []
    for step in share_out(groups.tolist(), num_steps):
        tokens = actions[step].sum().clamp(min=1)
        for part in share_out(groups[step].tolist(), num_batches, [widths[row] for row in step]):
            rows = torch.tensor([step[place] for place in part], device=lengths.device)
            width = int(lengths[rows].max()) - 1
            micro = {
                name: tensor[rows, :width] if tensor.dim() > 1 else tensor[rows]
                for name, tensor in batch.items()
            }
            batches.append(micro | {"share": actions[rows].sum() / tokens})
    return batches
