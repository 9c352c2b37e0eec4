"""GAE against its definition summed by brute force, and whitening."""

from __future__ import annotations

import random

import pytest
import torch

from affine_trainer.learning.advantages import generalized_advantages, group_advantages, whiten

GAMMA, LAMBDA = 0.9, 0.7


def brute_force(rewards, values, mask, ends, bootstrap, level):
    """Advantage of each action token as the sum of discounted deltas over all later action tokens."""
    actions = [t for t, chosen in enumerate(mask) if chosen]
    advantages = [0.0] * len(mask)
    for place, t in enumerate(actions):
        weight = 1.0
        for k in range(place, len(actions)):
            now = actions[k]
            acts = bool(ends[now]) or level == "token"
            following = values[actions[k + 1]] if k + 1 < len(actions) else bootstrap
            delta = rewards[now] + (GAMMA if acts else 1.0) * following - values[now]
            advantages[t] += weight * delta
            weight *= GAMMA * LAMBDA if acts else 1.0
    return advantages


def random_episode(rng: random.Random, length: int):
    """A prompt, then turns of 1-4 action tokens with observations of 0-3 tokens between them."""
    mask, ends = [0] * rng.randint(0, 3), []
    while len(mask) < length:
        mask += [1] * rng.randint(1, 4) + [0] * rng.randint(1, 3)
    mask = mask[:length]
    ends = [int(mask[t] and (t + 1 == length or not mask[t + 1])) for t in range(length)]
    rewards = [rng.uniform(-1, 1) if end else 0.0 for end in ends]
    values = [rng.uniform(-1, 1) for _ in range(length)]
    return rewards, values, mask, ends, rng.choice([0.0, rng.uniform(-1, 1)])


@pytest.mark.parametrize("level", ["turn", "token"])
def test_gae_equals_the_sum_of_its_definition(level: str) -> None:
    rng = random.Random(1)
    episodes = [random_episode(rng, 17) for _ in range(50)]
    columns = [torch.tensor(column, dtype=torch.float64) for column in zip(*episodes, strict=True)]
    advantages, returns = generalized_advantages(*columns, gamma=GAMMA, gae_lambda=LAMBDA, level=level)
    expected = torch.tensor([brute_force(*episode, level) for episode in episodes], dtype=torch.float64)
    assert torch.allclose(advantages, expected, rtol=0, atol=1e-12)
    actions = columns[2].bool()
    assert torch.allclose(returns[actions], (expected + columns[1])[actions], rtol=0, atol=1e-12)
    assert torch.all(returns[~actions] == 0)


def test_inside_one_turn_every_token_gets_reward_less_its_value() -> None:
    values = torch.tensor([[0.2, 0.5, -0.3, 0.0]])
    mask = torch.tensor([[1, 1, 1, 0]])
    advantages, returns = generalized_advantages(
        torch.tensor([[0.0, 0.0, 1.0, 0.0]]),
        values,
        mask,
        torch.tensor([[0, 0, 1, 0]]),
        torch.tensor([0.0]),
        gamma=0.5,
        gae_lambda=0.1,
        level="turn",
    )
    assert torch.allclose(advantages, (1.0 - values) * mask)
    assert torch.allclose(returns, 1.0 * mask.float())


def test_a_cut_off_episode_is_worth_what_the_critic_says_behind_it_and_a_terminated_one_nothing() -> None:
    shape = torch.zeros(2, 2)
    advantages, _ = generalized_advantages(
        shape,
        shape,
        torch.ones(2, 2),
        torch.tensor([[0, 1], [0, 1]]),
        torch.tensor([0.0, 0.8]),
        gamma=0.5,
        gae_lambda=1.0,
        level="turn",
    )
    assert torch.allclose(advantages, torch.tensor([[0.0, 0.0], [0.4, 0.4]]))


def test_whitened_advantages_have_mean_zero_and_unit_spread_over_action_tokens_alone() -> None:
    advantages = torch.randn(6, 9) * 7 + 3
    mask = torch.rand(6, 9) < 0.4
    white = whiten(advantages, mask)
    assert abs(float(white[mask].mean())) < 1e-6
    assert abs(float(white[mask].std(correction=0)) - 1) < 1e-5
    assert torch.all(white[~mask] == 0)


def test_equal_advantages_become_zero_and_not_noise() -> None:
    assert torch.all(whiten(torch.full((2, 3), 0.1), torch.ones(2, 3)) == 0)
    assert torch.all(whiten(torch.full((2, 3), 0.1), torch.zeros(2, 3)) == 0)
    small = torch.tensor([[0.1, 0.3]])
    assert torch.allclose(whiten(small, torch.ones(1, 2), rescale=False), torch.tensor([[-0.1, 0.1]]))


def test_group_advantages_compare_an_episode_with_the_others_of_its_task() -> None:
    rewards = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]])
    mask = torch.tensor([[1, 1], [1, 0], [0, 1], [1, 1], [1, 1], [0, 0]])
    tasks = torch.tensor([0, 0, 0, 1, 2, 0])  # the last row was never graded
    found = group_advantages(rewards, mask, tasks)
    assert found.tolist() == [[1, 1], [-0.5, 0], [0, -0.5], [0, 0], [0, 0], [0, 0]]


def test_group_advantages_of_a_task_sum_to_zero_and_vanish_where_all_ended_alike() -> None:
    torch.manual_seed(0)
    rewards, mask = torch.rand(12, 3), torch.ones(12, 3)
    tasks = torch.arange(12) // 4
    rewards[4:8] = 0.25
    found = group_advantages(rewards, mask, tasks)[:, 0]
    assert torch.allclose(found.view(3, 4).sum(dim=1), torch.zeros(3), atol=1e-6)
    assert torch.all(found[4:8] == 0)
