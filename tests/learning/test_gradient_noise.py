"""Streamed sums of per-episode gradients against brute force autograd, on a toy policy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from affine_trainer.learning.gradient_noise import gradient_sums
from affine_trainer.stats import gradient_noise

TASKS = [5, 5, 5, 2, 2, 9, 9, 9]


@pytest.fixture
def policy() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def losses(policy: nn.Module, episode: int) -> list[torch.Tensor | None]:
    """Two estimators' losses of an episode; the second has nothing to say on every third one."""
    generator = torch.Generator().manual_seed(episode)
    states = torch.randn(6, 3, generator=generator)
    actions = torch.randint(2, (6,), generator=generator)
    advantages = torch.randn(2, 6, generator=generator)
    logprobs = torch.log_softmax(policy(states), dim=1)[torch.arange(6), actions]
    first, second = -(advantages * logprobs).sum(dim=1)
    return [first, None if episode % 3 == 0 else second]


def brute_force(policy: nn.Module, number: int) -> np.ndarray:
    """Each episode's whole gradient, (episodes, parameters)."""
    rows = []
    for episode in range(len(TASKS)):
        policy.zero_grad()
        loss = losses(policy, episode)[number]
        if loss is not None:
            loss.backward()
        rows.append(torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten().clone()
                               for p in policy.parameters()]))  # fmt: skip
    return torch.stack(rows).double().numpy()


@pytest.mark.parametrize("number", [0, 1])
def test_the_sums_and_the_statistics_are_those_of_brute_force(policy, number):
    runs = []
    found = gradient_sums(
        lambda i: losses(policy, i), list(policy.parameters()), TASKS, lambda: runs.append(1)
    )[number]
    gradients, tasks = brute_force(policy, number), np.array(TASKS)
    sums = np.stack([gradients[tasks == task].sum(axis=0) for task in (5, 2, 9)])
    assert found.sizes.tolist() == [3, 2, 3] and len(runs) == 2 * len(TASKS)
    assert found.squares == pytest.approx([(gradients[tasks == t] ** 2).sum() for t in (5, 2, 9)], rel=1e-6)
    assert found.task_squares == pytest.approx((sums**2).sum(axis=1), rel=1e-6)
    assert found.dots == pytest.approx(sums @ gradients.sum(axis=0), rel=1e-6, abs=1e-6)
    noise = gradient_noise(found)
    count, total = len(TASKS), gradients.sum(axis=0)
    norm = (total @ total - (gradients**2).sum()) / (count * (count - 1))
    assert noise.squared_norm.value == pytest.approx(norm, abs=1e-6)
    assert noise.variance.value == pytest.approx(np.cov(gradients, rowvar=False).trace(), abs=1e-6)


def test_episodes_of_a_task_that_lie_apart_are_refused(policy):
    with pytest.raises(ValueError, match="must stand together"):
        gradient_sums(lambda i: losses(policy, i), list(policy.parameters()), [0, 1, 0])
