"""The rl stage: what it writes, that it resumes after a kill, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rich
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import Qwen3ForCausalLM

from affine_trainer.artifacts import data_dir, model_dir, read_jsonl, read_manifest, stage_folder, write_json
from affine_trainer.artifacts.files import sha256_file
from affine_trainer.config import Config, load_config
from affine_trainer.errors import ConfigError, DataError, StageError
from affine_trainer.learning.adapters import lora_config
from affine_trainer.stages.rl import read_tasks, rl
from tests.tiny_model import save_tiny_model, tiny_model, tiny_tokenizer

REPOSITORY = Path(__file__).parents[2]
SETTINGS = (
    "model.name=base",
    "model.max_prompt_tokens=2000",
    "model.max_new_tokens=8",
    "data.affine.environments=[sat]",
    "data.agentgym.environments=[]",
    "training.use_lora=true",
    "training.lora_r=4",
    "training.lora_alpha=8",
    "rl_training.num_rollouts=4",
    "rl_training.rollout_batch_size=8",
    "rl_training.mini_batch_size=4",
    "rl_training.micro_batch_size=4",
    "rl_training.learning_rate=1e-2",
    "rl_training.warmup_steps=5",
    "rl_training.advantage=gae",
    "rl_training.normalize_advantages=ema",
    "rl_training.oversampling=1.0",
    "rl_training.vf_coef=0.5",
    "rl_training.temperature=1.0",
    "rl_training.validation_frequency=3",
    "rl_training.save_frequency=2",
    "rl_training.enable_curriculum=true",
    "rl_training.curriculum_schedule=gate",
    "tracking.keep_tokens=1",
)


@dataclass(frozen=True)
class Finished:
    """A folder in which the stage has run once, and what it said."""

    folder: Path
    config: Config
    said: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The stage run to its end on the folders that collect and sft would leave, around a tiny model."""
    folder = tmp_path_factory.mktemp("rl")
    (folder / "config.yaml").write_text("run: t\n")
    config = load_config(folder / "config.yaml", SETTINGS)
    save_tiny_model(folder / "base")
    with pytest.MonkeyPatch.context() as patch, rich.get_console().capture() as captured:
        patch.chdir(folder)
        prepare(config)
        assert rl(config) == model_dir(config, "rl_best")
    return Finished(folder, config, captured.get())


@pytest.fixture
def config(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The finished run's config, in its folder."""
    monkeypatch.chdir(finished.folder)
    return finished.config


def prepare(config: Config) -> None:
    data, sft = data_dir(config), model_dir(config, "sft_final")
    lists = {"rl": {"affine:sat@small": [*range(2_000_000, 2_000_040)]}}
    lists["validation"] = {"affine:sat@small": [*range(1_000_000, 1_000_008)]}
    with stage_folder("collect", data, config, reads=("seed",), inputs={}, force=True) as folder:
        write_json(data / "tasks.json", lists)
        folder.finish({})
    with stage_folder("sft", sft, config, reads=("seed",), inputs={}, force=True) as folder:
        save_sft_adapter(config, sft)
        folder.finish({})


def save_sft_adapter(config: Config, path: Path) -> None:
    model = get_peft_model(tiny_model(), lora_config(config.training))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(path, save_embedding_layers=False)
    tiny_tokenizer().save_pretrained(path)


def events(config: Config) -> list[dict[str, Any]]:
    """The events without the times in them."""
    timing = ("time", "tokens_per_second")
    return [
        {name: value for name, value in row.items() if not any(part in name for part in timing)}
        for row in read_jsonl(Path("logs") / config.run / "rl" / "events.jsonl")
    ]


def untimed(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "seconds"}


def test_both_models_load_with_plain_peft_on_the_pristine_base_and_their_critics_lie_beside(
    config: Config,
) -> None:
    for leaf in ("rl_best", "rl_final"):
        folder = model_dir(config, leaf)
        assert read_manifest(folder) is not None
        base = Qwen3ForCausalLM.from_pretrained("base", dtype=torch.float32)
        loaded = PeftModel.from_pretrained(base, folder)
        assert loaded.peft_config["default"].r == 8
        assert set(load_file(folder / "critic.safetensors")) >= {"value.weight", "value.bias"}
        settings = json.loads((folder / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == "base"


def test_the_manifest_says_how_many_steps_there_were_and_what_ended_the_run(config: Config) -> None:
    metrics = read_manifest(model_dir(config, "rl_best")).metrics
    assert metrics["iterations"] == 4
    assert metrics["optimiser_steps"] == 4 * 2 * 2
    assert metrics["stop_reason"] == "num_rollouts"


def test_events_hold_every_iteration_and_validation_and_the_last_tokens_are_kept(config: Config) -> None:
    rows = events(config)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 3, 4, 4]
    assert {"rl/reward", "rl/success", "rl/reward/affine:sat@small", "rl/kl_divergence"} <= rows[1].keys()
    assert [row["rl/curriculum_limit"] for row in rows if "rl/reward" in row] == [4.0, 4.0, 10.0, 10.0]
    opened = [row["rl/curriculum_tasks/affine:sat@small"] for row in rows if "rl/reward" in row]
    assert 16 <= opened[0] == opened[1] < opened[2] == 40
    assert {"rl/completion_length", "rl/explained_variance", "rl/clip_fraction"} <= rows[1].keys()
    guide = "episode reward avg_reward_100 policy_loss value_loss entropy entropy_coefficient advantages"
    guide = f"{guide} kl_divergence total_loss learning_rate".split()
    assert {f"rl/{name}" for name in guide} <= rows[1].keys()
    moments = {f"train/{kind}_adv_{moment}" for kind in ("running", "batch") for moment in ("mean", "std")}
    assert moments <= rows[1].keys()
    assert [row["rl/episode"] for row in rows if "rl/episode" in row] == [8, 16, 24, 32]
    tokens = Path("logs") / "t" / "rl" / "tokens"
    assert [path.name for path in tokens.iterdir()] == ["iteration-000004.safetensors"]


def test_equal_rewards_are_explained_and_the_end_names_the_next_command(finished: Finished) -> None:
    assert "every episode earned 0" in finished.said
    assert "next: affine eval" in finished.said


def test_a_finished_run_is_not_done_again(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    before = events(config)
    rl(config)
    assert "nothing to do" in capsys.readouterr().out
    assert events(config) == before


def test_rl_best_is_the_sft_model_where_no_validation_beat_it(config: Config) -> None:
    """On tasks that a random model never solves, the first validation stays the best."""
    best = model_dir(config, "rl_best")
    assert read_manifest(best).metrics["best_iteration"] == 0
    ids = torch.arange(5, 25)[None]
    logits = []
    for adapter in (best, model_dir(config, "sft_final")):
        base = Qwen3ForCausalLM.from_pretrained("base", dtype=torch.float32)
        with torch.no_grad():
            logits.append(PeftModel.from_pretrained(base, adapter).eval()(ids).logits)
    assert torch.allclose(*logits, atol=1e-5)


def test_a_run_killed_with_sigkill_goes_on_and_ends_like_the_undisturbed_one(config: Config) -> None:
    other = load_config(Path("config.yaml"), (*SETTINGS, "run=killed"))
    prepare(other)
    kill_after_first_checkpoint()
    assert read_manifest(model_dir(other, "rl_best")) is None
    rl(other)
    assert events(other) == events(config)
    ours, theirs = (read_manifest(model_dir(c, "rl_best")).metrics for c in (other, config))
    assert untimed(ours) == untimed(theirs)
    for leaf in ("rl_best", "rl_final"):
        for name in ("adapter_model.safetensors", "critic.safetensors"):
            ours, theirs = (load_file(model_dir(c, leaf) / name) for c in (other, config))
            assert all(torch.equal(ours[key], value) for key, value in theirs.items())


def kill_after_first_checkpoint() -> None:
    code = (
        "from pathlib import Path\n"
        "from affine_trainer.config import load_config\n"
        "from affine_trainer.stages.rl import rl\n"
        f"rl(load_config(Path('config.yaml'), {(*SETTINGS, 'run=killed')!r}))"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    state = Path("models/killed/rl_checkpoints/checkpoint-8/trainer_state.json")
    deadline = time.monotonic() + 300
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"


def test_without_sft_the_command_to_run_is_named(config: Config) -> None:
    other = config.model_copy(update={"run": "other"})
    with stage_folder("collect", data_dir(other), other, reads=("seed",), inputs={}) as folder:
        write_json(data_dir(other) / "tasks.json", {})
        folder.finish({})
    with pytest.raises(StageError, match="affine sft"):
        rl(other)


def test_without_data_the_command_to_run_is_named(config: Config) -> None:
    with pytest.raises(StageError, match="affine collect"):
        rl(config.model_copy(update={"run": "nothing"}))


@pytest.mark.parametrize("tasks", [{}, {"rl": {}}, {"rl": [1, 2]}, {"rl": {"affine:sat@small": []}}])
def test_a_task_file_without_tasks_is_refused_with_its_path(tmp_path: Path, tasks: Any) -> None:
    write_json(tmp_path / "tasks.json", tasks)
    with pytest.raises(DataError, match=r"tasks\.json"):
        read_tasks(tmp_path / "tasks.json", "rl")


REWARD = "def reward(task, turns, grade, default):\n    return {}\n"


def test_a_reward_function_pays_training_alone_and_its_contents_count_as_an_input(config: Config) -> None:
    Path("mine.py").write_text(REWARD.format("len(turns[0].reply) + 0.5"))
    rewarded = ("rl_training.reward_function=mine.py:reward", "rl_training.num_rollouts=1", "run=rewarded")
    other = load_config(Path("config.yaml"), (*SETTINGS, *rewarded))
    prepare(other)
    rl(other)
    first, trained, last = events(other)
    assert trained["rl/return"] >= 0.5
    assert trained["rl/return_std"] > 0.0 == trained["rl/reward_std"]
    assert trained["rl/reward"] == trained["rl/success"] == first["validation/return"] == 0.0
    assert last["validation/return"] == last["validation/reward"]
    given = read_manifest(model_dir(other, "rl_best")).inputs["reward_function"]
    assert given == {"path": "mine.py", "digest": sha256_file(Path("mine.py"))}
    Path("mine.py").write_text(REWARD.format("1.0"))
    with pytest.raises(StageError, match="its input `reward_function` has changed"):
        rl(other)


def test_what_is_refused_before_the_start_leaves_nothing_behind(config: Config) -> None:
    Path("nan.py").write_text(REWARD.format("float('nan')"))
    for key, message in (
        ("rl_training.reward_function=nan.py:reward", r"returned nan for affine:sat@small/20000"),
        ("rl_training.reward_function=gone.py:reward", r"there is no file gone\.py"),
        ("rl_training.curriculum_limits=[rounds]", "nothing to limit"),
    ):
        other = load_config(Path("config.yaml"), (*SETTINGS, "run=refused", key))
        prepare(other)
        with pytest.raises(ConfigError, match=message):
            rl(other)
        assert not model_dir(other, "rl_best").exists()


def test_a_changed_key_is_named_and_nothing_is_lost(config: Config) -> None:
    changed = load_config(Path("config.yaml"), (*SETTINGS, "rl_training.gamma=0.5"))
    with pytest.raises(StageError, match=r"rl_training\.gamma"):
        rl(changed)
    assert read_manifest(model_dir(config, "rl_best")) is not None


def test_several_processes_are_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        rl(config)


def test_with_vine_the_plan_is_said_first_and_its_cost_is_in_the_events(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    vine = ("rl_training.advantage=vine", "rl_training.vine_rollouts=2", "rl_training.num_rollouts=1")
    run = load_config(Path("config.yaml"), (*SETTINGS, *vine, "run=vine"))
    prepare(run)
    rl(run)
    said = capsys.readouterr().out
    assert said.index("2 continuations of every state") < said.index("1 iterations")
    [row] = [row for row in events(run) if "rl/reward" in row]
    assert row["rl/vine_states"] >= 8 and row["rl/vine_unvalued"] == 0
    assert row["rl/vine_rollouts"] >= 2 and row["rl/vine_tokens"] > 0


def test_a_plan_that_never_stops_early_is_refused_before_anything_is_written(config: Config) -> None:
    adaptive = ("rl_training.advantage=vine", "rl_training.adaptive_rollouts=adaptive")
    never = (*SETTINGS, *adaptive, "rl_training.target_ci_width=0.15", "run=never")
    with pytest.raises(ConfigError, match=r"target_ci_width = 0\.15 can never be reached"):
        rl(load_config(Path("config.yaml"), never))
    assert not Path("models/never").exists()
