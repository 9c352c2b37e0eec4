"""Whole iterations with Monte-Carlo values: what the batch holds, and that a run resumes exactly."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3ForCausalLM

from affine_trainer.config import Config
from affine_trainer.learning.experience import pack_episodes
from affine_trainer.learning.vine import Values, monte_carlo_values, step_advantages
from tests.learning.ppo_runs import ToyRun, small_config
from tests.learning.test_trl_ppo import FailingAt
from tests.tiny_model import save_tiny_model, tiny_model

VINE = {"advantage": "vine", "vine_rollouts": 3, "num_rollouts": 1}


def vine_config(**changes: Any) -> Config:
    return small_config(**(VINE | changes))


def first_iteration(folder: Path, num_turns: int = 3, **changes: Any) -> ToyRun:
    run = ToyRun(tiny_model(scale=0.05), vine_config(**changes), folder, num_turns)
    run.trainer.train()
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return first_iteration(tmp_path_factory.mktemp("vine"))


def test_every_turn_has_a_value_and_the_steps_sum_to_what_was_earned_beyond_the_first(
    finished: ToyRun,
) -> None:
    gamma = finished.config.rl_training.gamma
    episodes = finished.episodes[0]
    packed = pack_episodes(episodes, pad_id=0)
    assert packed.state_values is not None
    begins = ~packed.state_values.isnan()
    assert begins.sum(dim=1).tolist() == [len(episode.turns) for episode in episodes]
    found = step_advantages(
        packed.rewards, packed.state_values, packed.action_mask, packed.turn_end, gamma=gamma
    )
    for row, episode in enumerate(episodes):
        steps = found[row][begins[row]].tolist()
        earned = sum(gamma**n * turn.reward for n, turn in enumerate(episode.turns))
        first = min(episode.state_values.items())[1]
        assert sum(gamma**n * step for n, step in enumerate(steps)) == pytest.approx(earned - first, abs=1e-6)
    assert len({round(value, 6) for e in episodes for value in e.state_values.values()}) > 3


def test_the_batch_learns_from_the_values_and_never_from_observations(finished: ToyRun) -> None:
    batches = finished.trainer._buffered_inputs
    assert all(bool((b["advantages"][b["tool_mask"] == 0] == 0).all()) for b in batches)
    assert sum(float(b["advantages"].abs().sum()) for b in batches) > 0
    assert finished.vine_metrics["vine_states"] == sum(len(e.turns) for e in finished.episodes[0])
    assert {"time/values", "time/generate"} <= finished.reports[1].keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"vine_rollouts": 2},
        {"vine_max_states": 2},
        {"vine_batch_size": 6},
        {"adaptive_rollouts": "adaptive", "min_rollouts": 2, "max_rollouts": 6},
        {"gamma": 0.5},
    ],
)
def test_each_key_changes_what_is_learned(finished: ToyRun, tmp_path: Path, changes: dict[str, Any]) -> None:
    other = first_iteration(tmp_path, **changes)
    kept, changed = (run.episodes[0] for run in (finished, other))
    assert [e.conversation.token_ids for e in kept] == [e.conversation.token_ids for e in changed]
    assert [e.state_values for e in kept] != [e.state_values for e in changed]
    if "vine_max_states" in changes:
        assert {len(e.state_values) for e in changed} == {2}
    if "vine_rollouts" in changes:
        assert other.vine_metrics["vine_rollouts"] < finished.vine_metrics["vine_rollouts"]


@pytest.mark.parametrize("kind", ["adaptive", "adaptive_mle"])
def test_only_the_biased_kind_takes_the_plain_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    asked: list[bool] = []

    def watched(*args: Any, unbiased: bool, **options: Any) -> Values:
        asked.append(unbiased)
        return monte_carlo_values(*args, unbiased=unbiased, **options)

    monkeypatch.setattr("affine_trainer.learning.rollouts.monte_carlo_values", watched)
    first_iteration(tmp_path, num_turns=1, adaptive_rollouts=kind, min_rollouts=2, max_rollouts=6)
    assert set(asked) == {kind == "adaptive"}


def test_a_resumed_run_ends_exactly_like_the_undisturbed_one(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    settings = {
        "num_rollouts": 3,
        "save_frequency": 1,
        "learning_rate": 1e-2,
        "adaptive_rollouts": "adaptive",
    }

    def run(folder: str) -> ToyRun:
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
        return ToyRun(model, vine_config(use_lora=True, **settings), tmp_path / folder, num_turns=2)

    whole = run("whole")
    whole.trainer.train()
    broken = run("broken")
    broken.trainer.loop.hooks = type(broken.trainer.loop.hooks)(
        broken.collect, broken.validate, FailingAt(3).__setitem__
    )
    with pytest.raises(KeyboardInterrupt):
        broken.trainer.train()
    resumed = run("broken")
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-8"))
    assert list(resumed.reports) == [3]
    for name, value in whole.reports[3].items():
        if name.startswith("rl/"):
            assert resumed.reports[3][name] == value or math.isnan(value), name
    assert resumed.vine_metrics == whole.vine_metrics
    ours, theirs = (r.trainer.policy_model.state_dict() for r in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
