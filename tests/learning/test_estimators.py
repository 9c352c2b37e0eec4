"""The estimators on a chain whose values and gradients are known, and what every key of theirs does."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from affine_trainer.config import Config, RLConfig
from affine_trainer.learning.advantages import group_advantages, group_standard_scores, turn_starts
from affine_trainer.learning.estimators import ESTIMATORS, Estimate, estimator_of, has_critic
from tests.learning.chain import (
    HORIZON,
    NUM_STATES,
    Walked,
    action_values,
    critic_values,
    every_walk,
    experience,
    log_probability,
    sample,
    values,
)

GAMMA = 0.9


def policy() -> Tensor:
    """Logits (states, 2) of the policy whose values are known."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(NUM_STATES, 2, dtype=torch.float64, generator=generator)


def settings(advantage: str, **changed: Any) -> RLConfig:
    """Settings whose batches do not matter here."""
    return RLConfig(advantage=advantage, oversampling=1.0, **({"vf_coef": 0.5} | changed))


def estimated(rl: RLConfig, walks: list[Walked], table: Tensor, tasks: list[int] | None = None) -> Estimate:
    return estimator_of(rl)(experience(walks, tasks), critic_values(walks, table))


def score_gradients(walks: list[Walked], advantages: Tensor) -> Tensor:
    """(walks, states, 2): each walk's sum over its actions of advantage times the gradient of log pi."""
    probabilities, found = policy().softmax(-1), torch.zeros(len(walks), NUM_STATES, 2, dtype=torch.float64)
    for row, walk in enumerate(walks):
        for turn, (state, action) in enumerate(zip(walk.states, walk.actions, strict=True)):
            score = torch.nn.functional.one_hot(torch.tensor(action), 2) - probabilities[state]
            found[row, state] += advantages[row, 2 * turn] * score
    return found


def exact_gradient() -> Tensor:
    """Of the expected undiscounted return, through the values themselves: no walk is drawn."""
    logits = policy().requires_grad_(True)
    values(logits, gamma=1.0)[0, 1].backward()
    assert logits.grad is not None
    return logits.grad


@pytest.mark.parametrize("gae_lambda", [0.0, 0.6, 1.0])
def test_gae_equals_the_sum_of_discounted_deltas(gae_lambda: float) -> None:
    table, walks = values(policy(), GAMMA), sample(policy(), 200, seed=0)
    found = estimated(settings("gae", gamma=GAMMA, gae_lambda=gae_lambda), walks, table)
    for row, walk in enumerate(walks):
        worth = [*(float(table[n, s]) for n, s in enumerate(walk.states)), 0.0]
        deltas = [r + GAMMA * worth[n + 1] - worth[n] for n, r in enumerate(walk.rewards)]
        for turn in range(len(deltas)):
            total = sum((GAMMA * gae_lambda) ** (k - turn) * deltas[k] for k in range(turn, len(deltas)))
            assert float(found.advantages[row, 2 * turn]) == pytest.approx(total, abs=1e-12)
            assert float(found.returns[row, 2 * turn]) == pytest.approx(total + worth[turn], abs=1e-12)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.6, 1.0])
def test_with_true_values_the_mean_of_gae_over_all_walks_is_the_true_advantage(gae_lambda: float) -> None:
    table, walks = values(policy(), GAMMA), list(every_walk())
    found = estimated(settings("gae", gamma=GAMMA, gae_lambda=gae_lambda), walks, table).advantages
    sums: dict[tuple[int, int, int], float] = defaultdict(float)
    weights: dict[tuple[int, int, int], float] = defaultdict(float)
    for row, walk in enumerate(walks):
        chance = math.exp(float(log_probability(walk, policy())))
        for turn, key in enumerate(zip(walk.states, walk.actions, strict=True)):
            sums[(turn, *key)] += chance * float(found[row, 2 * turn])
            weights[(turn, *key)] += chance
    later = torch.cat([table[1:], torch.zeros(1, NUM_STATES, dtype=torch.float64)])
    for (turn, state, action), total in sums.items():
        true = action_values(later[turn], GAMMA)[state, action] - table[turn, state]
        assert total / weights[turn, state, action] == pytest.approx(float(true), abs=1e-9)


def test_walks_are_all_there_are_and_the_policy_draws_them_as_often_as_it_says() -> None:
    walks = list(every_walk())
    chances = {walk: math.exp(float(log_probability(walk, policy()))) for walk in walks}
    assert sum(chances.values()) == pytest.approx(1.0)
    drawn = sample(policy(), 4000, seed=1)
    for walk, chance in chances.items():
        assert abs(drawn.count(walk) / 4000 - chance) < 4 * math.sqrt(chance * (1 - chance) / 4000)


@pytest.mark.parametrize("said", ["nothing", "true values", "noise"])
def test_reinforce_has_the_exact_policy_gradient_whatever_its_baseline_says(said: str) -> None:
    """Over all walks with their probabilities, to rounding."""
    tables = {
        "nothing": torch.zeros(HORIZON, NUM_STATES, dtype=torch.float64),
        "true values": values(policy(), 1.0),
        "noise": torch.randn(
            HORIZON, NUM_STATES, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        ),
    }
    walks = list(every_walk())
    rl = settings("baseline", algorithm="reinforce", ppo_epochs=1, gamma=1.0)
    gradients = score_gradients(walks, estimated(rl, walks, tables[said]).advantages)
    chances = torch.stack([log_probability(walk, policy()).exp() for walk in walks])
    assert torch.allclose((chances[:, None, None] * gradients).sum(0), exact_gradient(), atol=1e-12)


def test_reinforces_gradient_of_sampled_walks_is_the_exact_one_within_four_standard_errors() -> None:
    walks = sample(policy(), 4000, seed=7)
    rl = settings("baseline", algorithm="reinforce", ppo_epochs=1, gamma=1.0)
    gradients = score_gradients(walks, estimated(rl, walks, values(policy(), 1.0)).advantages)
    errors = gradients.std(dim=0) / math.sqrt(len(walks))
    away = (gradients.mean(dim=0) - exact_gradient()).abs()
    visited = errors > 0
    assert bool((away[visited] < 4 * errors[visited]).all())
    assert int(visited.sum()) == 6
    assert float(errors.max()) < 0.1 * float(exact_gradient().abs().max())  # the bound is no wide one


@pytest.mark.parametrize(
    ("settings_of_group", "factor"),
    [({}, 1.0), ({"algorithm": "grpo", "normalize_advantages": "none"}, 0.5)],
    ids=["leave one out", "grpo without the deviation"],
)
def test_a_pair_compared_with_itself_has_the_exact_gradient_times_a_known_factor(
    settings_of_group: dict[str, Any], factor: float
) -> None:
    """Over all pairs of walks. The mean of n episodes holds each one itself, which leaves (n - 1) / n."""
    walks = list(every_walk())
    pairs = list(product(range(len(walks)), repeat=2))
    rows = [walks[n] for pair in pairs for n in pair]
    tasks = [n // 2 for n in range(len(rows))]
    table = torch.zeros(HORIZON, NUM_STATES, dtype=torch.float64)
    gradients = score_gradients(
        rows, estimated(settings("group", **settings_of_group), rows, table, tasks).advantages
    )
    chances = torch.stack([log_probability(walk, policy()).exp() for walk in walks])
    weights = torch.stack([chances[a] * chances[b] for a, b in pairs])
    mean = (weights[:, None, None] * gradients.view(len(pairs), 2, NUM_STATES, 2).mean(dim=1)).sum(0)
    assert torch.allclose(mean, factor * exact_gradient(), atol=1e-12)


def test_group_advantages_and_standard_scores_equal_plain_loops() -> None:
    torch.manual_seed(2)
    rewards, mask = torch.rand(18, 5, dtype=torch.float64), (torch.rand(18, 5) < 0.6).long()
    mask[4] = 0  # an episode that could not be graded
    tasks = torch.tensor([0] * 5 + [1] * 4 + [2] * 8 + [3])
    left_out = group_advantages(rewards, mask, tasks)
    plain = group_standard_scores(rewards, mask, tasks, divide=False)
    divided = group_standard_scores(rewards, mask, tasks, divide=True)
    for row in range(18):
        group = [n for n in range(18) if tasks[n] == tasks[row] and mask[n].any()]
        returns = {n: float(rewards[n].sum()) for n in group}
        others = [returns[n] for n in group if n != row]
        if row not in group or not others:
            expected = (0.0, 0.0, 0.0)
        else:
            mean = sum(returns.values()) / len(group)
            variance = sum((value - mean) ** 2 for value in returns.values()) / (len(group) - 1)
            centred = returns[row] - mean
            expected = (
                returns[row] - sum(others) / len(others),
                centred,
                centred / (math.sqrt(variance) + 1e-4),
            )
        for found, value in zip((left_out, plain, divided), expected, strict=True):
            assert torch.allclose(found[row], value * mask[row].double(), atol=1e-12)


def test_episodes_that_all_ended_alike_teach_grpo_nothing() -> None:
    rewards, mask = torch.full((4, 3), 0.1), torch.ones(4, 3)
    found = group_standard_scores(rewards, mask, torch.zeros(4, dtype=torch.long), divide=True)
    assert float(found.abs().max()) < 1e-3


def test_a_turns_tokens_share_the_baseline_before_its_first_one() -> None:
    mask = torch.tensor([[0, 1, 1, 0, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0, 0, 0]])
    ends = torch.tensor([[0, 0, 1, 0, 0, 0, 1, 0], [0, 1, 0, 1, 0, 0, 0, 0]])
    assert turn_starts(mask, ends).tolist() == [[0, 1, 1, 0, 4, 4, 4, 0], [0, 0, 2, 2, 0, 0, 0, 0]]


def test_a_baseline_is_one_number_a_turn_and_nothing_is_guessed_behind_a_cut() -> None:
    walks = [walk for walk in every_walk() if len(walk.actions) == HORIZON][:1]
    cut = experience(walks)
    cut.cut_off[:] = True
    rl, table = settings("baseline", gamma=GAMMA), values(policy(), GAMMA)
    found = estimator_of(rl)(cut, critic_values(walks, table))
    paid = [sum(GAMMA ** (k - n) * walks[0].rewards[k] for k in range(n, HORIZON)) for n in range(HORIZON)]
    worth = [float(table[n, state]) for n, state in enumerate(walks[0].states)]
    assert found.returns[0, ::2].tolist() == pytest.approx(paid)
    assert found.advantages[0, ::2].tolist() == pytest.approx(
        [p - w for p, w in zip(paid, worth, strict=True)]
    )


@pytest.mark.parametrize(
    ("start", "changed"),
    [
        ({"advantage": "gae"}, {"advantage": "baseline"}),
        ({"advantage": "gae"}, {"advantage": "group"}),
        ({"advantage": "group"}, {"algorithm": "grpo"}),
        ({"advantage": "group", "algorithm": "grpo"}, {"normalize_advantages": "none"}),
        ({"advantage": "gae"}, {"gae_lambda": 0.1}),
        ({"advantage": "gae"}, {"gamma": 0.5}),
        ({"advantage": "baseline"}, {"gamma": 0.5}),
    ],
    ids=str,
)
def test_every_key_of_the_estimators_changes_the_advantages(
    start: dict[str, Any], changed: dict[str, Any]
) -> None:
    walks, table = sample(policy(), 12, seed=4), values(policy(), GAMMA)
    tasks = [n // 4 for n in range(12)]

    def advantages(**keys: Any) -> Tensor:
        return estimated(settings(**keys), walks, table, tasks).advantages

    assert not torch.allclose(advantages(**start), advantages(**(start | changed)), atol=1e-3)


def test_only_what_needs_a_critic_is_refused_without_one_and_grpo_never_has_one() -> None:
    needing = {name for name, make in ESTIMATORS.items() if make(settings(name)).needs_critic}
    assert needing == {"gae", "baseline"}
    for name in needing:
        with pytest.raises(ValueError, match=f"advantage: {name} needs a critic"):
            Config(rl_training=settings(name, vf_coef=0.0))
    assert has_critic(settings("group"))
    assert not has_critic(settings("group", vf_coef=0.0))
    assert not has_critic(settings("group", algorithm="grpo"))
    walks = sample(policy(), 6, seed=0)
    found = estimator_of(settings("group"))(experience(walks, [0] * 6), None)
    assert bool(torch.isfinite(found.advantages).all())
