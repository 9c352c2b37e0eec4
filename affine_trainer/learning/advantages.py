"""From rewards and values to advantages and returns: GAE over action tokens, and its normalisation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

# What GRPO's public code adds to the deviation of a group.
GROUP_STD_EPSILON = 1e-4
# Below this spread the advantages of a batch are rounding noise, and dividing by it would make them a signal.
MIN_STD = 1e-6


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    action_mask: Tensor,
    turn_end: Tensor,
    bootstrap: Tensor,
    *,
    gamma: float,
    gae_lambda: float,
    level: Literal["turn", "token"],
) -> tuple[Tensor, Tensor]:
    """Advantages and returns (Schulman et al. 2015), both (B, T) and zero off the action tokens.

    All but `bootstrap` are (B, T), column t being one token. `action_mask` marks sampled tokens; others are
    passed over, so that the successor of a turn's last token is the next turn's first. `turn_end` marks the
    last token of each turn. `bootstrap`, (B,), is the value behind an episode's last token: 0 where it
    terminated, the critic's where it was cut off. At level "turn" `gamma` and `gae_lambda` act at turn ends
    and are 1 inside a turn; at level "token" they act at every action token.
    """
    actions = action_mask.bool()
    decays = turn_end.bool() if level == "turn" else actions
    advantages = torch.zeros_like(values)
    factors = values.new_tensor([[gamma], [gamma * gae_lambda]])
    next_value, next_advantage = bootstrap.to(values), torch.zeros_like(bootstrap).to(values)
    for t in range(values.shape[1] - 1, -1, -1):
        discount, trace = torch.where(decays[:, t], factors, 1.0)
        delta = rewards[:, t] + discount * next_value - values[:, t]
        advantage = delta + trace * next_advantage
        advantages[:, t] = torch.where(actions[:, t], advantage, 0.0)
        next_value = torch.where(actions[:, t], values[:, t], next_value)
        next_advantage = torch.where(actions[:, t], advantage, next_advantage)
    return advantages, torch.where(actions, advantages + values, 0.0)


def group_advantages(rewards: Tensor, action_mask: Tensor, tasks: Tensor) -> Tensor:
    """Each episode's return minus the mean return of the others of its task; (B, T), zero off the actions.

    Kool et al. 2019 (RLOO): unbiased, and zero where all of a task's episodes ended alike. `rewards` and
    `action_mask` are (B, T), `tasks` (B,) numbers the tasks. An episode that is alone gets 0; rows without an
    action token count for nothing.
    """
    actions = action_mask.bool()
    counted = actions.any(dim=1)
    same = (tasks[:, None] == tasks[None, :]) & counted[None, :] & counted[:, None]
    others = same & ~torch.eye(len(tasks), dtype=torch.bool, device=tasks.device)
    returns, number = rewards.sum(dim=1), others.sum(dim=1)
    mean = (others.to(returns) @ returns) / number.clamp(min=1)
    advantages = torch.where(number > 0, returns - mean, 0.0)
    return torch.where(actions, advantages[:, None], 0.0)


def group_standard_scores(rewards: Tensor, action_mask: Tensor, tasks: Tensor, *, divide: bool) -> Tensor:
    """Each episode's return minus the mean of its whole group; with `divide` over its standard deviation.

    GRPO (Shao et al. 2024, DeepSeekMath, equation 4): the deviation is the unbiased one plus 1e-4, as in TRL.
    Arguments, result and what counts for nothing as in `group_advantages`.
    """
    actions = action_mask.bool()
    counted = actions.any(dim=1)
    same = ((tasks[:, None] == tasks[None, :]) & counted[None, :]).to(rewards)
    returns, number = rewards.sum(dim=1), same.sum(dim=1)
    mean = (same @ returns) / number.clamp(min=1)
    advantages = torch.where(number > 1, returns - mean, 0.0)
    if divide:
        squares = (same * (returns[None, :] - mean[:, None]) ** 2).sum(dim=1)
        advantages = advantages / ((squares / (number - 1).clamp(min=1)).sqrt() + GROUP_STD_EPSILON)
    return torch.where(actions, advantages[:, None], 0.0)


def turn_starts(action_mask: Tensor, turn_end: Tensor) -> Tensor:
    """For each action token the column of its turn's first one, (B, T); 0 off the action tokens.

    Both arguments are (B, T); a turn is a stretch of action tokens that ends where `turn_end` says.
    """
    actions, ends = action_mask.bool(), turn_end.bool()
    begins = actions.clone()
    begins[:, 1:] &= ~actions[:, :-1] | ends[:, :-1]
    columns = torch.arange(actions.shape[1], device=actions.device)
    return torch.where(actions, torch.where(begins, columns, 0).cummax(dim=1).values, 0)


def scale(advantages: Tensor, action_mask: Tensor) -> Tensor:
    """Standard deviation 1 over the action tokens of the whole batch, the zero left where it is.

    For advantages whose zero means something: those of a group whose episodes all ended alike.
    """
    actions = action_mask.bool()
    spread = advantages[actions].std(correction=0) if bool(actions.any()) else advantages.new_zeros(())
    return torch.where(actions, advantages / torch.where(spread < MIN_STD, 1.0, spread), 0.0)


def whiten(advantages: Tensor, action_mask: Tensor, *, rescale: bool = True) -> Tensor:
    """Mean 0 and standard deviation 1 over the action tokens of the whole batch; zero elsewhere.

    With `rescale` off, and where the advantages are all alike, they are only centred.
    """
    actions = action_mask.bool()
    if not bool(actions.any()):
        return torch.zeros_like(advantages)
    chosen = advantages[actions]
    spread = chosen.std(correction=0)
    scale = torch.where(spread < MIN_STD, 1.0, spread) if rescale else 1.0
    return torch.where(actions, (advantages - chosen.mean()) / scale, 0.0)
