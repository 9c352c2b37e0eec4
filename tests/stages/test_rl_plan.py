"""`affine rl --dry-run`: the figures of the plan, the measured sample, and that nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from affine_trainer.artifacts import data_dir, model_dir, stage_folder, write_json
from affine_trainer.cli import app
from affine_trainer.config import RLConfig, load_config
from affine_trainer.errors import ConfigError, StageError
from affine_trainer.learning.adapters import lora_config
from affine_trainer.stages.rl import beforehand
from affine_trainer.stages.rl_plan import plan
from tests.tiny_model import save_tiny_model, tiny_model, tiny_tokenizer

SETTINGS = (
    "model.name=base",
    "model.max_prompt_tokens=2000",
    "model.max_new_tokens=8",
    "data.affine.environments=[sat]",
    "data.agentgym.environments=[textcraft]",
    "rl_training.weights={sat: 3, textcraft: 1}",
    "data.agentgym.max_reply_tokens=4",
    "training.use_lora=true",
    "training.lora_r=4",
    "rl_training.num_rollouts=6",
    "rl_training.rollout_batch_size=32",
    "rl_training.samples_per_task=2",
    "rl_training.oversampling=1.5",
    "rl_training.mini_batch_size=8",
    "rl_training.micro_batch_size=4",
    "rl_training.learning_rate=1e-2",
    "rl_training.warmup_steps=3",
    "rl_training.validation_frequency=4",
    "rl_training.enable_curriculum=true",
)
SAT, CRAFT = "affine:sat@small", "agentgym:textcraft@embedded"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What collect and sft would leave, around a tiny model."""
    from peft import get_peft_model

    folder = tmp_path_factory.mktemp("plan")
    (folder / "config.yaml").write_text("run: t\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = load_config(Path("config.yaml"), SETTINGS)
        save_tiny_model(Path("base"))
        data, sft = data_dir(config), model_dir(config, "sft_final")
        crafting = [*range(2_000_000, 2_000_030)]
        lists = {"rl": {SAT: [*range(2_000_000, 2_000_060)], CRAFT: crafting}}
        lists["validation"] = {SAT: [*range(1_000_000, 1_000_006)], CRAFT: [1_000_000, 1_000_001]}
        with stage_folder("collect", data, config, reads=("seed",), inputs={}) as made:
            write_json(data / "tasks.json", lists)
            made.finish({})
        with stage_folder("sft", sft, config, reads=("seed",), inputs={}) as made:
            get_peft_model(tiny_model(), lora_config(config.training)).save_pretrained(
                sft, save_embedding_layers=False
            )
            tiny_tokenizer().save_pretrained(sft)
            made.finish({})
    return folder


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_plan_says_what_the_run_would_do_and_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    before = listing(folder)
    found = plan(load_config(Path("config.yaml"), SETTINGS))
    shown = capsys.readouterr().out
    assert listing(folder) == before

    assert found["episodes"] == {"played": 6 * 48, "learned_from": 6 * 32, "validation": 3 * 8}
    assert (found["optimiser_steps"], found["validations"]) == (6 * 2 * 4, 3)
    sat, craft = (found["environments"][name] for name in (SAT, CRAFT))
    assert sat["tasks_an_iteration"] + craft["tasks_an_iteration"] == 24
    assert sat["tasks_an_iteration"] == pytest.approx(18, abs=2)
    assert sat["times_each_task"] == pytest.approx(6 * sat["tasks_an_iteration"] / 60)
    assert sat["sampled"]["turns"] == 1.0 and 1.0 < craft["sampled"]["turns"] <= 10.0
    assert 0 < sat["sampled"]["completion_tokens"] <= 8
    sampled = sum(e["episodes"] * e["sampled"]["completion_tokens"] for e in (sat, craft))
    assert found["tokens"]["sampled"] == round(sampled)
    assert found["schedules"]["learning_rate"] == pytest.approx((1e-2 / 4, 1e-2, 1e-3))
    assert found["curriculum"]["limit"] == [4.0, 10.0]
    first, last = found["curriculum"]["tasks"][SAT]
    assert 24 <= first < last == 60
    seconds = found["seconds"]
    assert found["continuations"] is None and seconds["values"] == 0.0 and "continuations" not in shown
    assert all(seconds[phase] > 0 for phase in ("play", "score", "update", "validation"))
    assert seconds["total"] == pytest.approx(6 * seconds["iteration"] + 3 * seconds["validation"])
    assert found["memory"]["needed_bytes"] > 2**29
    for text in (SAT, "288 episodes played", "48 optimiser steps", "an estimate from", "GiB"):
        assert text in shown


def test_what_to_know_beforehand_is_a_warm_up_that_never_ends_and_the_plan_of_continuations() -> None:
    steps = 3 * 64 // 32  # iterations, batch, episodes a step; one pass
    sizes = {"num_rollouts": 3, "rollout_batch_size": 64, "mini_batch_size": 32, "micro_batch_size": 32}
    short = RLConfig(**sizes, ppo_epochs=1, warmup_steps=steps)
    assert beforehand(short) == [
        "the learning rate never reaches its peak: rl_training.warmup_steps is 6, and 3 iterations are 6 "
        "optimiser steps"
    ]
    assert beforehand(RLConfig(**sizes, ppo_epochs=1, warmup_steps=steps - 1)) == []
    assert "continuations" in beforehand(RLConfig(advantage="vine"))[0]


def test_the_plays_that_value_states_are_part_of_the_plan(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    vine = ("rl_training.advantage=vine", "rl_training.oversampling=1", "rl_training.enable_curriculum=false")
    once, thrice = (
        plan(load_config(Path("config.yaml"), (*SETTINGS, *vine, f"rl_training.vine_rollouts={count}")))
        for count in (1, 3)
    )
    shown = capsys.readouterr().out
    took = thrice["continuations"]
    assert took["an_episode"] == pytest.approx(3 * once["continuations"]["an_episode"])
    assert 3.0 * 6 / 8 <= took["an_episode"] <= 3 * 8  # a state or more, shared by the two plays of a task
    assert took["played"] == round(6 * 32 * took["an_episode"])
    episodes = sum(e["episodes"] * e["sampled"]["completion_tokens"] for e in thrice["environments"].values())
    assert thrice["tokens"]["sampled"] == round(episodes) + took["sampled"]
    assert 1.5 < took["sampled"] / once["continuations"]["sampled"] < 4.5
    assert took["read"] > took["sampled"] > 0
    seconds = thrice["seconds"]
    assert seconds["values"] > 0.0
    assert seconds["iteration"] == pytest.approx(
        seconds["play"] + seconds["values"] + seconds["score"] + seconds["update"]
    )
    assert f"{took['played']:,} continuations value states" in shown and ", values " in shown


def test_json_alone_goes_to_stdout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["rl", "--dry-run", "--json", *(f"--set={key}" for key in SETTINGS)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["iterations"] == 6
    assert "measuring a small sample" in done.stderr


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("run=other", StageError, "affine collect"),
        ("rl_training.reward_function=gone.py:f", ConfigError, "there is no file"),
    ],
)
def test_what_the_run_refuses_its_plan_refuses_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, setting: str, error: Any, message: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(error, match=message):
        plan(load_config(Path("config.yaml"), (*SETTINGS, setting)))
    assert torch.is_grad_enabled()
