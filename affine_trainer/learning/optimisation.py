"""Policy and critic in one optimiser, each with its own learning rate and its own gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from affine_trainer.learning.critic import Critic


def set_critic_apart(optimizer: torch.optim.Optimizer, critic: Critic, learning_rate: float) -> None:
    """Move the critic's parameters to a group of their own, without weight decay."""
    parameters = list(critic.parameters())
    apart = {id(parameter) for parameter in parameters}
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if id(p) not in apart]
    optimizer.add_param_group({"params": parameters, "lr": learning_rate, "weight_decay": 0.0})


def clip_apart(parameters: Iterable[nn.Parameter], critic: Critic | None, max_norm: float) -> Tensor:
    """Clip policy and critic apart: a critic that is far off must not shrink the policy's step.

    `parameters` are the whole model's; returns the norm of the policy's gradient before it was clipped.
    """
    of_critic = list(critic.parameters()) if critic is not None else []
    apart = {id(parameter) for parameter in of_critic}
    policy = [p for p in parameters if p.grad is not None and id(p) not in apart]
    assert policy and all(p.grad is not None for p in of_critic), "both must see gradients"
    norm = nn.utils.clip_grad_norm_(policy, max_norm)
    if of_critic:
        nn.utils.clip_grad_norm_(of_critic, max_norm)
    return norm
