"""PPO on TRL: the loss against plain torch, the private seams, learning, resuming, the best model."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import PreTrainedModel, Qwen3ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from affine_trainer.learning.checkpoints import CRITIC_FILE
from affine_trainer.records import Episode
from tests.learning.ppo_runs import ToyRun, small_config
from tests.tiny_model import save_tiny_model, tiny_model, tiny_tokenizer


class GradientsOfFirstStep(TrainerCallback):
    """Keeps the gradients the optimiser sees at its first step, and stops the run there."""

    def __init__(self, model: Callable[[], torch.nn.Module]) -> None:
        self.model = model
        self.gradients: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        named = self.model().named_parameters()
        self.gradients = {name: p.grad.clone() for name, p in named if p.grad is not None}
        raise StopIteration


def reference_loss(
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    critic: torch.nn.Module,
    episodes: list[Episode],
    rl: Any,
) -> torch.Tensor:
    """PPO's loss of one optimiser step in plain torch: an episode at a time, no padding, no TRL."""

    def forward(lm: PreTrainedModel, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        output = lm(torch.tensor([ids]), output_hidden_states=True)
        return (output.logits[0, :-1] / rl.temperature).log_softmax(-1), output.hidden_states[-1][0]

    def gae(values: list[float], rewards: list[float], ends: list[bool], bootstrap: float) -> list[float]:
        advantages, following, later = [], bootstrap, 0.0
        for value, reward, end in zip(values[::-1], rewards[::-1], ends[::-1], strict=True):
            gamma, decay = (rl.gamma, rl.gamma * rl.gae_lambda) if end else (1.0, 1.0)
            later = reward + gamma * following - value + decay * later
            advantages.append(later)
            following = value
        return advantages[::-1]

    rows, all_advantages = [], []
    for episode in episodes:
        ids, mask = episode.conversation.token_ids, episode.conversation.action_mask
        logprobs, states = forward(model, ids)
        at = torch.tensor([t - 1 for t in range(len(ids)) if mask[t]])
        targets = torch.tensor([ids[t + 1] for t in at])
        values = critic(states)
        turns = [n for n, turn in enumerate(episode.turns) for _ in range(turn.num_tokens)]
        ends = [n + 1 == len(turns) or turns[n + 1] != turns[n] for n in range(len(turns))]
        rewards = [episode.turns[turn].reward if end else 0.0 for turn, end in zip(turns, ends, strict=True)]
        bootstrap = 0.0 if episode.stop_reason == "terminated" else float(values[-1])
        old_values = values[at].detach()
        advantages = torch.tensor(gae(old_values.tolist(), rewards, ends, bootstrap))
        old = torch.tensor([episode.conversation.logprobs[t + 1] for t in at])
        new = logprobs[at, targets]
        entropy = -(logprobs[at].exp() * logprobs[at]).sum(-1)
        kept = forward(reference, ids)[0][at, targets].detach() if reference is not None else None
        rows.append((new, old, entropy, kept, values[at], old_values, advantages + old_values))
        all_advantages.append(advantages)
    flat = torch.cat(all_advantages)
    loss, tokens = torch.zeros(()), len(flat)
    for (new, old, entropy, kept, values, old_values, returns), advantages in zip(
        rows, all_advantages, strict=True
    ):
        advantages = (advantages - flat.mean()) / flat.std(correction=0)
        ratio = (new - old).exp()
        clipped = ratio.clamp(1 - rl.clip_range, 1 + rl.clip_range)
        loss = loss - torch.minimum(ratio * advantages, clipped * advantages).sum() / tokens
        loss = loss - rl.entropy_coef * entropy.sum() / tokens
        moved = old_values + (values - old_values).clamp(-rl.clip_range_value, rl.clip_range_value)
        errors = torch.maximum((values - returns) ** 2, (moved - returns) ** 2)
        loss = loss + rl.vf_coef * 0.5 * errors.sum() / tokens
        if kept is not None:
            k3 = (kept - new).exp() - 1 - (kept - new)
            loss = (
                loss + rl.kl_coef * (ratio * k3).sum() / tokens
            )  # the ratio makes it the reverse KL's gradient
    return loss


@pytest.mark.parametrize(
    ("use_lora", "num_turns", "kl_coef", "temperature"),
    [(True, 3, 0.1, 0.8), (False, 1, 0.0, 1.0), (False, 2, 0.2, 1.3)],
)
def test_loss_and_gradients_of_an_optimiser_step_equal_plain_torch(
    tmp_path: Path, use_lora: bool, num_turns: int, kl_coef: float, temperature: float
) -> None:
    base = save_tiny_model(tmp_path / "base")
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = small_config(
        use_lora=use_lora,
        max_new_tokens=6,
        kl_coef=kl_coef,
        temperature=temperature,
        ppo_epochs=1,
        mini_batch_size=16,
        max_grad_norm=1000.0,
        clip_range=0.02,
    )
    run = ToyRun(model, config, tmp_path / "out", num_turns)
    trained = run.trainer.policy_model
    torch.manual_seed(5)
    torch.nn.init.normal_(run.trainer.critic.value.weight, std=0.3)
    for name, parameter in trained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    sampled_with = {name: p.detach().clone() for name, p in trained.named_parameters()}
    recorder = GradientsOfFirstStep(lambda: trained)
    run.trainer.add_callback(recorder)
    with pytest.raises(StopIteration):
        run.trainer.train()

    assert all(torch.equal(p, sampled_with[name]) for name, p in trained.named_parameters())
    trained.zero_grad()
    reference = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32) if kl_coef else None
    loss = reference_loss(trained, reference, run.trainer.critic, run.episodes[0], config.rl_training)
    loss.backward()
    metrics = run.trainer.iteration_metrics()
    assert metrics["rl/total_loss"] == pytest.approx(float(loss.detach()), abs=1e-5)
    expected = {name: p.grad for name, p in trained.named_parameters() if p.grad is not None}
    assert recorder.gradients.keys() == expected.keys()
    assert any(bool(g.abs().max() > 1e-3) for g in expected.values())
    for name, gradient in expected.items():
        assert torch.allclose(recorder.gradients[name], gradient, atol=1e-5), name


def test_before_the_first_step_no_ratio_differs_from_one(tmp_path: Path) -> None:
    config = small_config(num_rollouts=1, ppo_epochs=1, mini_batch_size=16, max_new_tokens=8)
    run = ToyRun(tiny_model(), config, tmp_path)
    run.trainer.train()
    assert abs(run.reports[1]["rl/approx_kl"]) < 1e-8
    assert run.reports[1]["rl/clip_fraction"] == 0.0


def test_with_a_nucleus_the_ratio_is_taken_between_models_and_starts_at_one(tmp_path: Path) -> None:
    config = small_config(num_rollouts=1, ppo_epochs=1, mini_batch_size=16, top_p=0.5)
    run = ToyRun(tiny_model(), config, tmp_path)
    run.trainer.train()
    assert abs(run.reports[1]["rl/approx_kl"]) < 1e-8


def test_trl_still_has_the_private_seams_this_trainer_stands_on() -> None:
    def parameters(method: Any) -> list[str]:
        return list(inspect.signature(method).parameters)

    assert parameters(GRPOTrainer._prepare_inputs) == ["self", "generation_batch"]
    assert parameters(GRPOTrainer._generate_and_score_completions) == ["self", "inputs"]
    assert parameters(GRPOTrainer._compute_loss) == ["self", "model", "inputs"]
    assert parameters(GRPOTrainer._save_checkpoint) == ["self", "model", "trial"]
    assert parameters(GRPOTrainer._get_per_token_logps_and_entropies)[:7] == [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
    ]


def test_our_batch_has_the_keys_and_shapes_of_trls_own(tmp_path: Path) -> None:
    """TRL's batch for a rollout function with a mask, and ours, hold the same to TRL's loss."""

    def rollout(prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        n = len(prompts)
        masks = [[1, 0, 1]] * n
        return {
            "prompt_ids": [[7, 8]] * n,
            "completion_ids": [[9, 10, 1]] * n,
            "logprobs": None,
            "env_mask": masks,
        }

    arguments = GRPOConfig(
        output_dir=str(tmp_path / "grpo"),
        per_device_train_batch_size=4,
        generation_batch_size=16,
        num_generations=16,
        num_iterations=2,
        beta=0.1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
    )
    base = save_tiny_model(tmp_path / "base")
    theirs = GRPOTrainer(
        model=Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32),
        reward_funcs=[lambda completions, **rest: [0.0] * len(completions)],
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["x"]}),
        processing_class=tiny_tokenizer(),
        rollout_func=rollout,
    )
    theirs.model.train()
    expected = theirs._generate_and_score_completions([{"prompt": "x"}] * 16)
    run = ToyRun(
        Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32),
        small_config(kl_coef=0.1),
        tmp_path / "ppo",
    )
    ours = run.trainer._generate_and_score_completions([{"prompt": ""}] * 16)
    assert expected.keys() - ours.keys() == {"num_items_in_batch"}  # only other losses than ours read it
    assert ours.keys() - expected.keys() == {"returns", "old_values", "lengths", "prompt_lengths", "groups"}
    columns = ours["completion_ids"].shape
    for name in ("completion_mask", "tool_mask", "advantages", "old_per_token_logps", "ref_per_token_logps"):
        assert ours[name].shape == columns
        assert ours[name].dtype == expected[name].dtype


def test_reward_rises_on_a_learnable_task(tmp_path: Path) -> None:
    config = small_config(
        num_rollouts=30,
        rollout_batch_size=64,
        mini_batch_size=32,
        micro_batch_size=32,
        learning_rate=5e-3,
        validation_samples=64,
        max_new_tokens=2,
    )
    run = ToyRun(tiny_model(scale=0.05), config, tmp_path)
    run.trainer.train()
    first = sum(mean_reward(run, n) for n in range(1, 6)) / 5
    last = sum(mean_reward(run, n) for n in range(26, 31)) / 5
    assert last > first + 0.15
    assert run.validations[30] > run.validations[0] + 0.5


def mean_reward(run: ToyRun, iteration: int) -> float:
    episodes = run.episodes[iteration - 1]
    return sum(episode.grade.reward for episode in episodes) / len(episodes)


def test_observations_of_a_many_turn_task_are_read_but_never_trained_on(tmp_path: Path) -> None:
    run = ToyRun(tiny_model(), small_config(num_rollouts=1), tmp_path, num_turns=3)
    run.trainer.train()
    episodes = run.episodes[0]
    assert all(len(episode.turns) == 3 for episode in episodes)
    lengths = [len(e.conversation.token_ids) - e.num_completion_tokens for e in episodes]
    assert min(lengths) > 3  # prompt and two observations, all in the context
    sampled = sum(e.num_completion_tokens for e in episodes)
    batches = run.trainer._buffered_inputs
    assert sum(int(b["tool_mask"].sum()) for b in batches) == sampled
    assert all(bool((b["advantages"][b["tool_mask"] == 0] == 0).all()) for b in batches)


def test_critic_learns_and_metrics_are_complete_and_finite(tmp_path: Path) -> None:
    config = small_config(
        num_rollouts=8, rollout_batch_size=32, critic_learning_rate=3e-2, validation_frequency=4
    )
    run = ToyRun(tiny_model(scale=0.05), config, tmp_path)
    run.trainer.train()
    assert run.reports[8]["rl/value_loss"] < run.reports[1]["rl/value_loss"]
    wanted = (
        "policy_loss value_loss entropy entropy_coefficient clip_fraction learning_rate total_loss advantages"
    )
    for report in run.reports.values():
        assert all(math.isfinite(report[f"rl/{name}"]) for name in wanted.split())
        phases = {name for name in report if name.startswith("time/")}
        assert phases == {"time/generate", "time/grade", "time/score", "time/update"}
    assert list(run.validations) == [0, 4, 8]
    assert run.reports[1]["rl/entropy_coefficient"] > run.reports[8]["rl/entropy_coefficient"]


def test_a_resumed_run_ends_exactly_like_the_undisturbed_one(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")

    def run(folder: str) -> ToyRun:
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
        settings = dict(
            num_rollouts=6, save_frequency=2, validation_frequency=3, kl_coef=0.05, learning_rate=1e-2
        )
        return ToyRun(model, small_config(use_lora=True, **settings), tmp_path / folder)

    whole = run("whole")
    whole.trainer.train()
    broken = run("broken")
    broken.reports = FailingAt(5)
    broken.trainer.loop.hooks = type(broken.trainer.loop.hooks)(
        broken.collect, broken.validate, broken.reports.__setitem__
    )
    with pytest.raises(KeyboardInterrupt):
        broken.trainer.train()
    resumed = run("broken")
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-16"))

    assert list(resumed.reports) == [5, 6]
    for name, value in whole.reports[6].items():
        if name.startswith("rl/"):
            assert resumed.reports[6][name] == value or math.isnan(value), name
    assert resumed.trainer.loop.stopping == whole.trainer.loop.stopping
    ours, theirs = (r.trainer.policy_model.state_dict() for r in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


class FailingAt(dict):
    """Reports that stop the run at one iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def __setitem__(self, key: int, value: Any) -> None:
        if key == self.iteration:
            raise KeyboardInterrupt
        super().__setitem__(key, value)


@pytest.mark.parametrize("use_lora", [True, False])
def test_the_best_weights_come_back_with_their_critic(tmp_path: Path, use_lora: bool) -> None:
    config = small_config(use_lora=use_lora, num_rollouts=4, validation_frequency=1, learning_rate=1e-2)
    run = ToyRun(tiny_model(), config, tmp_path)
    scores = iter([0.1, 0.2, 0.9, 0.3, 0.4])
    kept: dict[int, dict[str, torch.Tensor]] = {}

    def validate(finished: int) -> float:
        state = run.trainer.policy_model.named_parameters()
        kept[finished] = {name: value.detach().clone() for name, value in state if value.requires_grad}
        return next(scores)

    run.trainer.loop.hooks = type(run.trainer.loop.hooks)(run.collect, validate, run.reports.__setitem__)
    run.trainer.train()
    assert run.trainer.loop.stopping.best_iteration == 2
    weights = run.trainer.policy_model.state_dict()
    assert not all(torch.equal(weights[name], value) for name, value in kept[2].items())
    run.trainer.load_best()
    weights = run.trainer.policy_model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in kept[2].items())
    assert any("critic" in name for name in kept[2])


def test_patience_ends_the_run_and_says_so(tmp_path: Path) -> None:
    config = small_config(num_rollouts=9, validation_frequency=1, patience=2, min_improvement=1.0)
    run = ToyRun(tiny_model(), config, tmp_path)
    run.trainer.train()
    assert list(run.reports) == [1, 2]
    assert run.trainer.loop.stop_reason == "patience"


def test_only_the_newest_checkpoints_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    config = small_config(
        num_rollouts=6, save_frequency=1, save_total_limit=2, validation_frequency=2, learning_rate=1e-2
    )
    run = ToyRun(tiny_model(), config, tmp_path)
    run.trainer.train()
    best = run.trainer.loop.stopping.best_iteration
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"checkpoint-20", "checkpoint-24", f"best-{best}"}
    assert set(load_file(tmp_path / "checkpoint-24" / CRITIC_FILE)) == {
        "hidden.weight",
        "hidden.bias",
        "value.weight",
        "value.bias",
    }


def test_a_whole_model_is_saved_without_the_critic_in_it(tmp_path: Path) -> None:
    run = ToyRun(tiny_model(), small_config(num_rollouts=1), tmp_path / "out")
    run.trainer.train()
    run.trainer.export(tmp_path / "final", tmp_path / "unused", "tiny")
    loaded, info = Qwen3ForCausalLM.from_pretrained(tmp_path / "final", output_loading_info=True)
    assert not info["unexpected_keys"]
    assert not info["missing_keys"]
    ids = torch.arange(5, 15)[None]
    trained = run.trainer.policy_model.eval()
    assert torch.allclose(loaded(ids).logits, trained(ids).logits, atol=1e-6)
    assert (tmp_path / "final" / CRITIC_FILE).is_file()
