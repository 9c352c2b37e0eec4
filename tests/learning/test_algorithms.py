"""PPO, REINFORCE and GRPO through TRL: gradients against plain torch, resuming, what each leaves out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, Qwen3ForCausalLM, TrainerCallback

from affine_trainer.learning.checkpoints import CRITIC_FILE
from affine_trainer.learning.ppo_loop import RunHooks
from affine_trainer.policies.hf import decode_text
from tests.learning.ppo_runs import ToyRun, small_config
from tests.learning.toy import DIGITS
from tests.tiny_model import save_tiny_model, tiny_model, tiny_tokenizer

REINFORCE = {
    "algorithm": "reinforce",
    "ppo_epochs": 1,
    "advantage": "baseline",
    "normalize_advantages": "ema",
    "advantage_ema_decay": 0.6,
}
GRPO = {"algorithm": "grpo", "advantage": "group", "normalize_advantages": "scale", "samples_per_task": 4}
PPO = {"advantage": "gae", "normalize_advantages": "ema", "advantage_ema_decay": 0.6}


class Until(TrainerCallback):
    """Stops a run before optimiser step `step`, counted from 0, and keeps what it was about to apply."""

    def __init__(self, run: ToyRun, step: int) -> None:
        self.run, self.step = run, step
        self.gradients: dict[str, Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            named = self.run.trainer.policy_model.named_parameters()
            self.gradients = {name: p.grad.clone() for name, p in named if p.grad is not None}
            raise StopIteration


def gradients_at(run: ToyRun, step: int) -> dict[str, Tensor]:
    until = Until(run, step)
    run.trainer.add_callback(until)
    with pytest.raises(StopIteration):
        run.trainer.train()
    return until.gradients


def sampled_logprobs(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Of a micro-batch's action tokens in row-major order, one row at a time and without padding."""
    found = []
    for row, length in enumerate(batch["lengths"].tolist()):
        ids = torch.cat([batch["prompt_ids"][row], batch["completion_ids"][row]])[:length]
        logprobs = model(ids[None]).logits[0, :-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
        found.append(logprobs[batch["tool_mask"][row, : length - 1].bool()])
    return torch.cat(found)


@pytest.mark.parametrize("name", ["ppo", "reinforce", "grpo"])
def test_the_second_steps_gradient_is_that_of_the_algorithms_own_formula(tmp_path: Path, name: str) -> None:
    """One step after the policy has moved, where a ratio, a clipped one and none at all differ."""
    chosen = {"ppo": PPO, "reinforce": REINFORCE, "grpo": GRPO}[name]
    settings = {"learning_rate": 3e-3, "kl_coef": 0.2, "entropy_coef": 0.0, "max_grad_norm": 1000.0}
    config = small_config(**(chosen | settings | {"micro_batch_size": 8, "vf_coef": 1e-12, "ppo_epochs": 1}))
    run = ToyRun(tiny_model(), config, tmp_path, num_turns=2)
    found = gradients_at(run, step=1)
    (batch,) = run.trainer._buffered_inputs[1:]
    model, actions = run.trainer.policy_model, batch["tool_mask"].bool()
    model.zero_grad()
    new, old = sampled_logprobs(model, batch), batch["old_per_token_logps"][actions]
    advantages, reference = batch["advantages"][actions], batch["ref_per_token_logps"][actions]
    ratio = (new - old).exp()
    assert float((ratio.detach() - 1).abs().max()) > 0.2  # the policy has moved, beyond the clip range too
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    away = reference - new
    k3 = away.exp() - 1 - away
    if name == "reinforce":
        loss = -(advantages * new).mean() + 0.2 * ((new - new.detach()).exp() * k3).mean()
    else:
        loss = -surrogate.mean() + 0.2 * (ratio * k3).mean()
    loss.backward()
    expected = {n: p.grad for n, p in model.named_parameters() if p.grad is not None and "critic" not in n}
    assert any(bool(g.abs().max() > 1e-3) for g in expected.values())
    for parameter, gradient in expected.items():
        assert torch.allclose(found[parameter], gradient, atol=2e-6), parameter


def test_reinforce_through_trl_has_the_exact_policy_gradient_within_four_standard_errors(
    tmp_path: Path,
) -> None:
    """One token an episode: the gradient of the expected reward is summed over the whole vocabulary.

    Along the direction that makes rewarded tokens likelier, where it is steep, and random ones, given the
    drawn prompts: expectation and variance are exact, only the tokens are sampled.
    """
    settings = dict(REINFORCE, normalize_advantages="none", entropy_coef=0.0, vf_coef=1e-12)
    count = 1024
    config = small_config(
        **settings, rollout_batch_size=count, mini_batch_size=count, micro_batch_size=256, max_new_tokens=1
    )
    run = ToyRun(tiny_model(scale=0.1), config, tmp_path)
    torch.manual_seed(5)
    torch.nn.init.normal_(run.trainer.critic.value.weight, std=0.01)  # a baseline that knows nothing
    found = gradients_at(run, step=0)
    batches = run.trainer._buffered_inputs
    ids = torch.cat([torch.cat([b["prompt_ids"], b["completion_ids"]], 1) for b in batches])
    prompts, rows = torch.unique(ids[:, :-1], dim=0, return_inverse=True)  # all are of one length
    baselines = torch.cat([b["old_values"] for b in batches])[:, -1]
    assert float(baselines.abs().max()) > 0.03
    rewards = torch.tensor([rewards_of(prompt) for prompt in prompts.tolist()])

    model = run.trainer.policy_model
    named = {n: p for n, p in model.named_parameters() if n in found and "critic" not in n}
    logprobs = model(prompts).logits[:, -1].log_softmax(-1)
    scores = scores_of_tokens(logprobs, list(named.values()))
    chances, steepest = logprobs.detach().exp(), torch.cat([-found[name].flatten() for name in named])
    better = steered(scores, rewards - (chances * rewards).sum(1, keepdim=True))
    noise = torch.randn(3, len(steepest), generator=torch.Generator().manual_seed(0))
    for direction in [better, *noise]:
        slopes = scores @ direction
        exact = (chances * rewards * slopes).sum(1)[rows].mean()
        terms = (rewards[rows] - baselines[:, None]) * slopes[rows]  # what each token would have added
        mean = (chances[rows] * terms).sum(1)
        assert float(mean.mean()) == pytest.approx(float(exact), abs=1e-4)  # whatever the baseline says
        variance = (chances[rows] * terms**2).sum(1) - mean**2
        error = float(variance.sum().sqrt()) / count
        assert abs(float(steepest @ direction) - float(exact)) < 4 * error
        assert direction is not better or float(exact) > 8 * error  # the bound is no wide one


def rewards_of(prompt: list[int]) -> list[float]:
    """What every token of the vocabulary earns as the reply to a toy prompt."""
    tokenizer = tiny_tokenizer()
    shown = int(tokenizer.decode(prompt, skip_special_tokens=True)) % DIGITS
    ends = {tokenizer.eos_token_id}
    texts = ["" if token in ends else decode_text(tokenizer, [token]) for token in range(len(tokenizer))]
    return [float(text != "" and ord(text[0]) % DIGITS == shown) for text in texts]


def scores_of_tokens(logprobs: Tensor, parameters: list[torch.nn.Parameter]) -> Tensor:
    """(prompts, vocabulary, parameters): the gradient of each token's log-probability."""
    found = []
    for row in logprobs:
        seeds = torch.eye(len(row))
        gradients = torch.autograd.grad(
            row, parameters, seeds, is_grads_batched=True, retain_graph=True, materialize_grads=True
        )
        found.append(torch.cat([gradient.flatten(1) for gradient in gradients], dim=1))
    return torch.stack(found)


def steered(scores: Tensor, wanted: Tensor) -> Tensor:
    """A direction in which the log-probabilities change about as `wanted` (prompts, vocabulary): ridge."""
    rows = scores.flatten(0, 1)
    products = rows @ rows.T
    ridge = 1e-3 * products.diagonal().mean() * torch.eye(len(rows))
    return rows.T @ torch.linalg.solve(products + ridge, wanted.flatten())


def test_grpo_has_no_critic_and_its_advantages_are_each_groups_standard_scores(tmp_path: Path) -> None:
    run = ToyRun(tiny_model(), small_config(**GRPO, num_rollouts=1, save_frequency=1), tmp_path)
    run.trainer.train()
    assert run.trainer.critic is None
    assert not list(tmp_path.rglob(CRITIC_FILE))
    assert not {"rl/value_loss", "rl/explained_variance"} & run.reports[1].keys()
    episodes = run.episodes[0]
    expected = []
    for episode in episodes:
        group = [e.grade.reward for e in episodes if e.task_key == episode.task_key]
        mean = sum(group) / len(group)
        deviation = math.sqrt(sum((r - mean) ** 2 for r in group) / (len(group) - 1))
        expected += [(episode.grade.reward - mean) / (deviation + 1e-4)] * episode.num_completion_tokens
    batches = run.trainer._buffered_inputs
    found = torch.cat([b["advantages"][b["tool_mask"].bool()] for b in batches]).tolist()
    assert sorted(found) == pytest.approx(sorted(expected), abs=1e-5)
    assert any(abs(value) > 0.5 for value in expected)


def test_without_weight_on_the_value_loss_group_advantages_need_no_critic(tmp_path: Path) -> None:
    settings = dict(advantage="group", samples_per_task=4, vf_coef=0.0, num_rollouts=1)
    run = ToyRun(tiny_model(), small_config(**settings), tmp_path)
    run.trainer.train()
    assert run.trainer.critic is None
    assert math.isfinite(run.reports[1]["rl/total_loss"])


def test_reinforce_reports_its_own_loss_and_nothing_clipped(tmp_path: Path) -> None:
    run = ToyRun(tiny_model(), small_config(**REINFORCE, num_rollouts=1), tmp_path)
    run.trainer.train()
    assert "rl/clip_fraction" not in run.reports[1]
    assert math.isfinite(run.reports[1]["rl/policy_loss"])


def test_schedules_reach_the_loss_of_a_run(tmp_path: Path) -> None:
    settings = dict(
        kl_coef=0.4, final_kl_coef=0.1, kl_schedule="steps", schedule_stages=2, mini_batch_size=16
    )
    config = small_config(
        **settings,
        entropy_schedule="linear",
        entropy_coef=0.3,
        entropy_floor=0.0,
        num_rollouts=4,
        ppo_epochs=1,
    )
    run = ToyRun(tiny_model(), config, tmp_path)
    run.trainer.train()
    course = [run.reports[n] for n in range(1, 5)]
    assert [report["rl/kl_coefficient"] for report in course] == pytest.approx([0.4, 0.4, 0.1, 0.1])
    assert [report["rl/entropy_coefficient"] for report in course] == pytest.approx([0.3, 0.2, 0.1, 0.0])
    for report in course:
        parts = report["rl/policy_loss"] + 0.5 * report["rl/value_loss"]
        parts += report["rl/kl_coefficient"] * report["rl/kl_divergence"]
        parts -= report["rl/entropy_coefficient"] * report["rl/entropy"]
        assert report["rl/total_loss"] == pytest.approx(parts, abs=1e-6)


@pytest.mark.parametrize("name", ["ppo", "reinforce", "grpo"])
def test_each_algorithm_resumes_to_the_run_it_would_have_been(tmp_path: Path, name: str) -> None:
    chosen = {"ppo": PPO, "reinforce": REINFORCE, "grpo": GRPO}[name]
    moving = {"kl_coef": 0.05, "kl_schedule": "linear", "lr_schedule": "power", "warmup_steps": 3}
    settings = chosen | moving | {"num_rollouts": 4, "save_frequency": 2, "validation_frequency": 2}
    base = save_tiny_model(tmp_path / "base")

    def run(folder: str) -> ToyRun:
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
        config = small_config(use_lora=True, learning_rate=1e-2, **settings)
        return ToyRun(model, config, tmp_path / folder)

    whole, broken = run("whole"), run("broken")
    whole.trainer.train()
    broken.trainer.loop.hooks = RunHooks(broken.collect, broken.validate, interrupted_at_three)
    with pytest.raises(KeyboardInterrupt):
        broken.trainer.train()
    resumed = run("broken")
    steps = 2 * resumed.trainer.loop.steps_per_iteration
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / "broken" / f"checkpoint-{steps}"))

    assert list(resumed.reports) == [3, 4]
    for iteration in (3, 4):
        ours, theirs = (untimed(r.reports[iteration]) for r in (resumed, whole))
        assert ours.keys() == theirs.keys()
        assert {key for key in ours if ours[key] != theirs[key] and not math.isnan(ours[key])} == set()
    assert resumed.trainer.normaliser.running == whole.trainer.normaliser.running
    assert resumed.trainer.normaliser.running.weight > 0
    ours, theirs = (r.trainer.policy_model.state_dict() for r in (resumed, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def interrupted_at_three(iteration: int, metrics: dict[str, float]) -> None:
    if iteration == 3:
        raise KeyboardInterrupt


def untimed(report: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in report.items() if not name.startswith("time/")}


def test_the_best_models_running_moments_come_back_with_it(tmp_path: Path) -> None:
    config = small_config(**PPO, num_rollouts=3, validation_frequency=1, learning_rate=1e-2)
    run = ToyRun(tiny_model(), config, tmp_path)
    scores, kept = iter([0.1, 0.9, 0.3, 0.4]), {}

    def validate(finished: int) -> float:
        kept[finished] = run.trainer.normaliser.state_dict()
        return next(scores)

    run.trainer.loop.hooks = RunHooks(run.collect, validate, run.reports.__setitem__)
    run.trainer.train()
    assert run.trainer.normaliser.state_dict() != kept[1]
    run.trainer.load_best()
    assert run.trainer.normaliser.state_dict() == kept[1]
