"""What checkpoints hold: interrupted runs equal whole ones, the best model returns, patience counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen3ForCausalLM

from tests.learning.ppo_runs import ToyRun, small_config
from tests.tiny_model import save_tiny_model, tiny_model

CURRICULUM = {
    "enable_curriculum": True,
    "initial_max_steps": 1,
    "final_max_steps": 4,
    "curriculum_until": 0.85,
}
GATE = {"curriculum_schedule": "gate", "curriculum_gate": 0.1, "curriculum_window": 2}
# How many turns, LoRA or not, and the keys of each way to learn.
LEARNERS = {
    "gae, LoRA, longer and longer": (4, True, {"kl_coef": 0.05}),
    "gae, gated": (1, False, {"kl_coef": 0.05, "entropy_coef": 0.02, **GATE}),
    "group, gated": (1, False, {"advantage": "group", "samples_per_task": 4, **GATE}),
}


def state_of(run: ToyRun) -> dict[str, Any]:
    """Everything that decides how a run goes on."""
    trainer = run.trainer
    optimizer, scheduler = trainer.optimizer.state_dict(), trainer.lr_scheduler.state_dict()
    moments = {
        f"{parameter}/{name}": value
        for parameter, found in optimizer["state"].items()
        for name, value in found.items()
    }
    return {
        "weights": {name: w.detach().clone() for name, w in trainer.policy_model.named_parameters()},
        "critic": {name: w.detach().clone() for name, w in trainer.critic.named_parameters()},
        "optimiser": {name: value.clone() for name, value in moments.items()},
        "rates": torch.tensor([group["lr"] for group in optimizer["param_groups"]]),
        "scheduler": torch.tensor(scheduler["last_epoch"]),
        "entropy": torch.tensor(float(trainer.entropy_coef)),
        "random": torch.get_rng_state(),
        "stopping": replace(trainer.loop.stopping),
        "curriculum": run.curriculum.state_dict() if run.curriculum else None,
    }


def assert_equal(ours: Any, theirs: Any, where: str = "") -> None:
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), where
        for name, value in theirs.items():
            assert_equal(ours[name], value, f"{where}/{name}")
    elif isinstance(theirs, torch.Tensor):
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs, where


def tokens(run: ToyRun) -> dict[int, list[list[int]]]:
    return {n: [episode.conversation.token_ids for episode in found] for n, found in run.episodes.items()}


@pytest.mark.parametrize("learner", LEARNERS)
def test_an_interrupted_run_equals_the_whole_one_step_for_step(tmp_path: Path, learner: str) -> None:
    """With the curriculum on, stopped behind each checkpoint in turn, and gone on with by fresh objects."""
    base = save_tiny_model(tmp_path / "base")
    num_turns, use_lora, rl = LEARNERS[learner]

    def run(folder: str) -> ToyRun:
        torch.manual_seed(len(folder))  # a new process begins with any state of the generator
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
        settings = dict(num_rollouts=6, save_frequency=2, validation_frequency=2, learning_rate=1e-2)
        config = small_config(use_lora=use_lora, **settings, **CURRICULUM, **rl)
        return ToyRun(model, config, tmp_path / folder, num_turns)

    whole, after = run("whole"), {}
    report = whole.reports.__setitem__

    def remember(finished: int, metrics: dict[str, float]) -> None:
        report(finished, metrics)
        after[finished] = state_of(whole) | {"limit": whole.curriculum.limit("toy", finished - 1)}

    whole.trainer.loop.hooks = replace(whole.trainer.loop.hooks, report=remember)
    whole.trainer.train()
    limits = [found["limit"] for found in after.values()]
    assert limits[0] == 1 < limits[1] < limits[-1] == 4

    for stop in (3, 5):
        begun = run(f"stopped-{stop}")
        begun.trainer.loop.hooks = replace(begun.trainer.loop.hooks, report=stop_at(stop))
        with pytest.raises(KeyboardInterrupt):
            begun.trainer.train()
        resumed, steps = run(f"stopped-{stop}"), {}

        def compare(finished: int, metrics: dict[str, float], resumed=resumed, steps=steps) -> None:
            steps[finished] = metrics
            limit = {"limit": resumed.curriculum.limit("toy", finished - 1)}
            assert_equal(state_of(resumed) | limit, after[finished], f"iteration {finished}")

        resumed.trainer.loop.hooks = replace(resumed.trainer.loop.hooks, report=compare)
        checkpoint = tmp_path / f"stopped-{stop}" / f"checkpoint-{(stop - 1) * 4}"
        resumed.trainer.train(resume_from_checkpoint=str(checkpoint))
        assert list(steps) == list(range(stop, 7))
        assert tokens(resumed) == {n: found for n, found in tokens(whole).items() if n >= stop - 1}
        assert resumed.validations == {n: v for n, v in whole.validations.items() if n >= stop}
        assert_equal(state_of(resumed), state_of(whole), "at the end")


def stop_at(iteration: int) -> Any:
    def report(finished: int, metrics: dict[str, float]) -> None:
        if finished == iteration:
            raise KeyboardInterrupt

    return report


def scored(run: ToyRun, scores: list[float]) -> dict[int, dict[str, Any]]:
    """Give the run these validation scores, and keep its state at each of them."""
    found, rest = {}, iter(scores)

    def validate(finished: int) -> float:
        named = run.trainer.policy_model.named_parameters()
        found[finished] = {name: w.detach().clone() for name, w in named if w.requires_grad}
        return next(rest)

    run.trainer.loop.hooks = replace(run.trainer.loop.hooks, validate=validate)
    return found


@pytest.mark.parametrize("use_lora", [True, False])
def test_the_best_of_an_interrupted_run_comes_back_with_its_critic(tmp_path: Path, use_lora: bool) -> None:
    """The best validation lies before the interruption, and later checkpoints have cleared up behind it."""
    base = save_tiny_model(tmp_path / "base")

    def run() -> ToyRun:
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
        settings = dict(num_rollouts=5, save_frequency=1, validation_frequency=1, learning_rate=1e-2)
        return ToyRun(model, small_config(use_lora=use_lora, **settings), tmp_path / "out")

    begun = run()
    kept = scored(begun, [0.1, 0.9, 0.3, 0.4])
    begun.trainer.loop.hooks = replace(begun.trainer.loop.hooks, report=stop_at(4))
    with pytest.raises(KeyboardInterrupt):
        begun.trainer.train()
    resumed = run()
    later = scored(resumed, [0.5, 0.6])
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-12"))
    assert list(later) == [4, 5]
    assert resumed.trainer.loop.stopping.best_iteration == 1
    assert resumed.trainer.loop.stopping.num_without_improvement == 4
    resumed.trainer.load_best()
    weights = dict(resumed.trainer.policy_model.named_parameters())
    assert_equal({name: weights[name].detach() for name in kept[1]}, kept[1])
    critic = load_file(tmp_path / "out" / "best-1" / "critic.safetensors")
    assert_equal({name: w.detach() for name, w in resumed.trainer.critic.state_dict().items()}, critic)
    assert any(name.rpartition("critic.")[1] for name in kept[1])


def test_what_was_restored_is_a_copy_that_later_training_cannot_change(tmp_path: Path) -> None:
    """`state_dict()` holds the live tensors: a best model kept in it would follow every later step."""
    run = ToyRun(tiny_model(), small_config(num_rollouts=1, validation_frequency=1), tmp_path)
    kept = scored(run, [0.9, 0.1])
    run.trainer.train()
    parameters = dict(run.trainer.policy_model.named_parameters())
    for _ in range(2):
        with torch.no_grad():
            for weight in parameters.values():
                weight.add_(1.0)
        assert not any(torch.equal(parameters[name], value) for name, value in kept[0].items())
        run.trainer.load_best()
        assert_equal({name: parameters[name].detach() for name in kept[0]}, kept[0])


@pytest.mark.parametrize("interrupted_at", [None, 3])
def test_patience_counts_over_an_interruption(tmp_path: Path, interrupted_at: int | None) -> None:
    scores = [0.5, 0.6, 0.55, 0.6005, 0.5, 0.9]  # the third rise is smaller than min_improvement

    def run() -> ToyRun:
        settings = dict(num_rollouts=9, validation_frequency=1, save_frequency=1, patience=3)
        return ToyRun(tiny_model(), small_config(**settings, min_improvement=0.01), tmp_path)

    begun = run()
    scored(begun, scores)
    checkpoint = None
    if interrupted_at is not None:
        begun.trainer.loop.hooks = replace(begun.trainer.loop.hooks, report=stop_at(interrupted_at))
        with pytest.raises(KeyboardInterrupt):
            begun.trainer.train()
        begun, checkpoint = run(), str(tmp_path / f"checkpoint-{(interrupted_at - 1) * 4}")
        scored(begun, scores[interrupted_at:])
    begun.trainer.train(resume_from_checkpoint=checkpoint)
    loop = begun.trainer.loop
    assert (loop.finished, loop.stop_reason) == (4, "patience")
    assert (loop.stopping.best_iteration, loop.stopping.best_score) == (1, 0.6)
