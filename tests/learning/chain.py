"""A chain of states small enough to know everything about: values, gradients, and every way to walk it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from affine_trainer.learning.experience import Experience

NUM_STATES, START, HORIZON = 5, 1, 4  # a walk starts at 1, and ends at 0, at 4 or after four actions
EARNED = {0: 0.3, NUM_STATES - 1: 1.0}  # for stepping onto an end; every other step costs a little
STEP_COST = -0.05

Walk = tuple[int, ...]


@dataclass(frozen=True)
class Walked:
    """One walk: states before each action, actions, rewards of each."""

    states: tuple[int, ...]
    actions: Walk
    rewards: tuple[float, ...]


def walked(actions: Walk) -> Walked:
    """What happens with these actions (0 left, 1 right); those after an end are not taken."""
    state, states, rewards = START, [], []
    for action in actions:
        states.append(state)
        state += 1 if action else -1
        rewards.append(EARNED.get(state, STEP_COST))
        if state in EARNED:
            break
    return Walked(tuple(states), actions[: len(states)], tuple(rewards))


def every_walk() -> Iterator[Walked]:
    yield from dict.fromkeys(walked(actions) for actions in product((0, 1), repeat=HORIZON))


def log_probability(walk: Walked, logits: Tensor) -> Tensor:
    """Of the walk under a policy with `logits` (states, 2)."""
    return logits.log_softmax(-1)[list(walk.states), list(walk.actions)].sum()


def values(logits: Tensor, gamma: float) -> Tensor:
    """(time, state): the expected discounted rest of a walk, by backward induction; differentiable."""
    later, table = torch.zeros(NUM_STATES, dtype=logits.dtype), []
    for _ in range(HORIZON):
        now = (logits.softmax(-1) * action_values(later, gamma)).sum(-1)
        table.append(now)
        later = now
    return torch.stack(table[::-1])


def action_values(later: Tensor, gamma: float) -> Tensor:
    """(state, action) values of what is not an end, where `later` (state,) is worth what comes then."""
    inner = range(1, NUM_STATES - 1)
    earned = torch.tensor([EARNED.get(state, STEP_COST) for state in range(NUM_STATES)], dtype=later.dtype)
    goes_on = torch.tensor([state not in EARNED for state in range(NUM_STATES)])
    worth = earned + gamma * torch.where(goes_on, later, 0.0)
    nothing = torch.zeros(2, dtype=later.dtype)
    return torch.stack([nothing, *(torch.stack([worth[n - 1], worth[n + 1]]) for n in inner), nothing])


def sample(logits: Tensor, count: int, seed: int) -> list[Walked]:
    right = torch.rand((count, HORIZON), generator=torch.Generator().manual_seed(seed), dtype=logits.dtype)
    share, walks = logits.softmax(-1)[:, 1].tolist(), []
    for row in right.tolist():
        state, actions = START, []
        for draw in row:
            actions.append(int(draw < share[state]) if state not in EARNED else 0)
            state += 1 if actions[-1] else -1
        walks.append(walked(tuple(actions)))
    return walks


def experience(walks: Sequence[Walked], tasks: Sequence[int] | None = None) -> Experience:
    """The walks as rows: a prompt token, then each action as a turn of one token and an observation."""
    width = 2 * HORIZON
    mask = torch.zeros(len(walks), width, dtype=torch.long)
    rewards = torch.zeros(len(walks), width, dtype=torch.float64)
    for row, walk in enumerate(walks):
        for turn, reward in enumerate(walk.rewards):
            mask[row, 2 * turn], rewards[row, 2 * turn] = 1, reward
    lengths = torch.tensor([2 * len(walk.actions) for walk in walks])
    numbers = torch.tensor(tasks if tasks is not None else range(len(walks)))
    return Experience(
        token_ids=torch.zeros(len(walks), width + 1, dtype=torch.long),
        lengths=lengths,
        action_mask=mask,
        logprobs=torch.zeros(len(walks), width, dtype=torch.float64),
        rewards=rewards,
        turn_end=mask,
        cut_off=torch.zeros(len(walks), dtype=torch.bool),
        prompt_lengths=torch.ones(len(walks), dtype=torch.long),
        groups=torch.arange(len(walks)),
        tasks=numbers,
    )


def critic_values(walks: Sequence[Walked], table: Tensor) -> Tensor:
    """What a critic that knows the (time, state) `table` says; -7 at tokens where it must not be read."""
    said = torch.full((len(walks), 2 * HORIZON + 1), -7.0, dtype=table.dtype)
    for row, walk in enumerate(walks):
        for turn, state in enumerate(walk.states):
            said[row, 2 * turn] = table[turn, state]
    return said
