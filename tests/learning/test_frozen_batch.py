"""A frozen batch: every estimator's advantages, and gradients that add up to those of PPO's own surrogate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from affine_trainer.learning.estimators import ESTIMATORS
from affine_trainer.learning.experience import pack_episodes
from affine_trainer.learning.frozen_batch import FrozenBatch, freeze, row_of, surrogate_losses, tokens_by_step
from affine_trainer.learning.gradient_noise import gradient_sums
from affine_trainer.stats import gradient_noise
from tests.learning.ppo_runs import ToyRun, small_config
from tests.tiny_model import tiny_model


def play(tmp_path: Path, num_turns: int) -> tuple[ToyRun, FrozenBatch]:
    """Sixteen episodes of four tasks, by an untrained policy whose critic says something."""
    run = ToyRun(tiny_model(), small_config(samples_per_task=4), tmp_path, num_turns)
    assert run.trainer.critic is not None
    torch.manual_seed(1)
    torch.nn.init.normal_(run.trainer.critic.value.weight, std=0.1)
    with run.trainer.sampling():
        episodes = run.rollouts.collect(0)["toy"][:16]
    experience = pack_episodes(episodes, run.trainer.pad_id)
    values = run.trainer.scored(experience).values
    return run, freeze(episodes, experience, values, run.config.rl_training)


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[ToyRun, FrozenBatch]:
    return play(tmp_path_factory.mktemp("frozen"), num_turns=1)


def surrogate(run: ToyRun, batch: FrozenBatch, advantages: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """PPO's surrogate over all action tokens, of these rows' tokens alone, by a plain forward."""
    total = torch.zeros(())
    for row in rows:
        alone = row_of(batch.experience, row)
        logits = run.model(alone.ids).logits[:, :-1]
        logprobs = torch.log_softmax(logits, dim=-1).gather(2, alone.ids[:, 1:, None])[..., 0]
        ratio = (logprobs - logprobs.detach()).exp()
        total = total - (ratio * advantages[row, : logprobs.shape[1]] * alone.actions).sum()
    return total / batch.actions.sum()


def flat_gradient(run: ToyRun, loss: torch.Tensor) -> torch.Tensor:
    parameters = run.trainer.trained_parameters()
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found]).double()


@pytest.mark.parametrize("name", ["gae", "group", "baseline"])
def test_statistics_of_a_real_policy_are_those_of_plain_autograd(played, name):
    run, batch = played
    only = dataclasses.replace(batch, advantages={name: batch.advantages[name]})
    tasks, count = batch.experience.tasks.tolist(), batch.experience.num_episodes
    [sums] = gradient_sums(
        lambda row: surrogate_losses(
            only, row, run.trainer.logprobs_with_gradients(row_of(batch.experience, row))
        ),
        run.trainer.trained_parameters(),
        tasks,
    )
    plain = [count * flat_gradient(run, surrogate(run, batch, batch.advantages[name], [row]))
             for row in range(count)]  # fmt: skip
    gradients = torch.stack(plain)
    total = gradients.sum(dim=0)
    norm = (total @ total - (gradients**2).sum()) / (count * (count - 1))
    variance = gradients.var(dim=0).sum()
    found = gradient_noise(sums)
    assert found.squared_norm.value == pytest.approx(float(norm), rel=1e-4, abs=1e-6)
    assert found.variance.value == pytest.approx(float(variance), rel=1e-4)
    whole = flat_gradient(run, surrogate(run, batch, batch.advantages[name], list(range(count))))
    assert float((total / count - whole).norm() / whole.norm()) < 1e-4


def test_the_critic_is_not_among_the_trained_parameters(played):
    run, _ = played
    critic = {id(parameter) for parameter in run.trainer.critic.parameters()}
    trained = run.trainer.trained_parameters()
    assert trained and not critic & {id(parameter) for parameter in trained}


def test_estimators_that_lack_what_they_need_are_left_out(played):
    run, batch = played
    episodes = run.rollouts.collect(0)["toy"][:16]
    assert {"gae", "group", "baseline"} <= set(ESTIMATORS) and set(batch.advantages) == {
        "gae",
        "group",
        "baseline",
    }
    without = freeze(episodes, batch.experience, None, run.config.rl_training)
    assert set(without.advantages) == {"group"}
    alone = run.config.rl_training.model_copy(update={"samples_per_task": 1})
    assert set(freeze(episodes, batch.experience, None, alone).advantages) == set()


@pytest.mark.parametrize("num_turns", [1, 3])
def test_steps_and_outcomes_share_out_every_action_token_once(tmp_path, num_turns):
    _, batch = play(tmp_path, num_turns)
    found = list(tokens_by_step(batch))
    assert torch.equal(sum(mask.long() for _, _, mask in found), batch.actions.long())
    names = {step for step, _, _ in found}
    assert names == ({"token 1", "tokens 2-3"} if num_turns == 1 else {"turn 1", "turn 2", "turn 3"})
    for _, outcome, mask in found:
        rows = mask.any(dim=1).nonzero()[:, 0].tolist()
        assert {batch.outcomes[row] for row in rows} == {outcome}
