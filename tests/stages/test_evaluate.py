"""Evaluating a tiny model: the same tasks for all, nothing lost to a kill, trivial policies beside it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from affine_trainer.artifacts import (
    append_jsonl,
    data_dir,
    log_dir,
    model_dir,
    read_jsonl,
    read_manifest,
    stage_folder,
    write_jsonl,
)
from affine_trainer.config import Config, load_config
from affine_trainer.envs.stage_tasks import TaskGroup, evaluation_tasks
from affine_trainer.errors import AffineError, StageError
from affine_trainer.records import Episode
from affine_trainer.report.episodes import read_episodes
from affine_trainer.rollout import chunk_plan
from affine_trainer.stages.evaluate import check_graded, check_unseen, choose_model, evaluate, whole_chunks
from affine_trainer.stages.run_state import stage_states
from tests.evaluations import episode
from tests.tiny_model import save_tiny_model

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "model.name=base",
    "model.max_prompt_tokens=3000",
    "model.max_new_tokens=8",
    "data.agentgym.environments=[]",
    "evaluation.num_samples=10",
    "evaluation.unseen_family_samples=3",
    "evaluation.batch_size=4",
    "evaluation.temperature=0.7",
)
TIMINGS = ("seconds_per_task",)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A config whose base is a tiny random model, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    save_tiny_model(Path("base"))
    return load_config(None, SETTINGS)


def sat_only(*overrides: str) -> Config:
    return load_config(None, [*SETTINGS, "data.affine.environments=[sat]", *overrides])


def finished_model(config: Config, stage: str, leaf: str, seed: int) -> Path:
    """A whole model where `stage` would have left its own."""
    path = model_dir(config, leaf)
    with stage_folder(stage, path, config, reads=("seed",), inputs={}) as folder:
        save_tiny_model(path, seed)
        folder.finish({})
    return path


def untimed(episodes: list[Episode]) -> list[Episode]:
    return [dataclasses.replace(episode, seconds=0.0) for episode in episodes]


def summary_of(folder: Path) -> dict[str, Any]:
    """evaluation.json without what depends on the clock."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if name not in TIMINGS}
        return value

    return strip(json.loads((folder / "evaluation.json").read_text()))


def test_every_environment_is_played_and_unseen_families_stand_apart(config: Config) -> None:
    folder = evaluate(config, "base")
    summary = summary_of(folder)
    assert folder == Path("logs/default/eval/base")
    assert {name: part["num_samples"] for name, part in summary["per_environment"].items()} == {
        "affine:sat": 10,
        "affine:abd": 10,
        "affine:ded": 10,
    }
    unseen = summary["slices"]["unseen_families"]
    assert {name: (part["families"], part["num_samples"]) for name, part in unseen.items()} == {
        "affine:abd": (["heldout-v1"], 3),
        "affine:ded": (["heldout-v1"], 3),
    }
    assert summary["total_samples"] == 30
    assert set(summary["per_environment"]["affine:ded"]["trivial_policies"]) == {
        "silent-program",
        "echo-program",
    }
    episodes = read_episodes(folder / "episodes.jsonl")
    assert len(episodes) == 36
    assert {episode.policy for episode in episodes} == {"base"}
    assert all(episode.num_completion_tokens > 0 for episode in episodes)
    manifest = read_manifest(folder)
    assert manifest is not None and manifest.metrics["prompts"] == 30
    assert manifest.device["isolation"] in ("strong", "standard", "basic")


def test_two_models_meet_the_same_tasks_and_share_the_trivial_policies(config: Config) -> None:
    config = sat_only()
    finished_model(config, "sft", "sft_final", seed=1)
    base = evaluate(config, "base")
    written = {path: path.stat().st_mtime_ns for path in log_dir(config, "eval", "trivial").iterdir()}
    sft = evaluate(config, "sft")
    assert {path: path.stat().st_mtime_ns for path in log_dir(config, "eval", "trivial").iterdir()} == written
    tasks = [
        [(e.task_key, e.content_sha256) for e in read_episodes(f / "episodes.jsonl")] for f in (base, sft)
    ]
    assert tasks[0] == tasks[1]
    replies = [[e.turns[0].reply for e in read_episodes(f / "episodes.jsonl")] for f in (base, sft)]
    assert replies[0] != replies[1]


def test_the_tasks_do_not_depend_on_the_seed_and_a_smaller_draw_is_part_of_a_larger() -> None:
    def keys(*overrides: str) -> set[str]:
        groups = evaluation_tasks(sat_only(*overrides), None)
        return {task.key for group in groups for task in group.tasks}

    assert keys("seed=5") == keys()
    assert keys("evaluation.num_samples=4") < keys()
    assert keys("evaluation.task_seed=1").isdisjoint(keys())


def test_a_finished_evaluation_is_skipped_without_importing_torch(config: Config) -> None:
    evaluate(sat_only(), "base")
    code = (
        "import sys; from affine_trainer.config import load_config; "
        "from affine_trainer.stages.evaluate import evaluate; "
        f"evaluate(load_config(None, {[*SETTINGS, 'data.affine.environments=[sat]']!r}), 'base'); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is complete, nothing to do" in done.stdout


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_a_killed_evaluation_ends_as_an_undisturbed_one(config: Config, tmp_path: Path) -> None:
    settings = ["evaluation.num_samples=100", "model.max_new_tokens=24"]
    whole = evaluate(sat_only(*settings), "base")
    calm, summary = untimed(read_episodes(whole / "episodes.jsonl")), summary_of(whole)
    (tmp_path / "killed").mkdir()
    os.chdir(tmp_path / "killed")
    save_tiny_model(Path("base"))
    code = (
        "from affine_trainer.config import load_config; "
        "from affine_trainer.stages.evaluate import evaluate; "
        f"evaluate(load_config(None, {[*SETTINGS, 'data.affine.environments=[sat]', *settings]!r}), 'base')"
    )
    episodes = whole / "episodes.jsonl"
    run_until([sys.executable, "-c", code], lambda: count_lines(episodes) >= 12)
    assert 12 <= count_lines(episodes) < 100, "the kill must hit the middle for this test to mean anything"
    with episodes.open("a") as file:
        file.write('{"task_key": "affine:sat@sm')
    evaluate(sat_only(*settings), "base")
    assert untimed(read_episodes(episodes)) == calm
    assert summary_of(whole) == summary


def run_until(command: list[str], reached: Callable[[], bool]) -> None:
    """Start a process and kill it, as a lost machine would, once `reached`."""
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None and not reached():
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def groups_of(config: Config) -> list[TaskGroup]:
    return evaluation_tasks(config, None)


@pytest.mark.parametrize(
    ("left", "kept"), [(0, (0, 0)), (3, (0, 0)), (5, (1, 4)), (10, (2, 8)), (17, (4, 16)), (20, (6, 20))]
)
def test_what_a_kill_left_is_cut_to_whole_chunks(tmp_path: Path, left: int, kept: tuple[int, int]) -> None:
    groups = groups_of(load_config(None, [*SETTINGS, "data.affine.environments=[sat, abd]"]))[:2]
    path = tmp_path / "episodes.jsonl"
    keys = [t.key for place in chunk_plan(groups, 4) for t in groups[place.group].tasks[place.tasks]]
    for key in keys[:left]:
        append_jsonl(path, {"task_key": key})
    assert whole_chunks(path, groups, chunk_size=4) == kept
    if left:
        assert count_lines(path) == kept[1]


def test_episodes_of_other_tasks_are_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    for index in range(8):
        append_jsonl(path, {"task_key": f"affine:sat@small/{index}"})
    with pytest.raises(StageError, match="episodes of other tasks"):
        whole_chunks(path, groups_of(sat_only()), chunk_size=4)


def test_without_a_name_the_last_trained_model_is_taken(config: Config) -> None:
    assert choose_model(config, None).label == "base"
    sft = finished_model(config, "sft", "sft_final", seed=1)
    assert (choose_model(config, None).label, choose_model(config, None).folder) == ("sft", sft)
    finished_model(config, "rl", "rl_best", seed=2)
    assert choose_model(config, None).label == "rl"


def test_a_stage_that_has_not_run_is_named_with_its_command(config: Config) -> None:
    with pytest.raises(StageError, match="affine sft"):
        evaluate(config, "sft")
    with pytest.raises(StageError, match="affine rl"):
        evaluate(config, "rl")


def test_a_folder_gets_a_label_of_its_own(config: Config) -> None:
    folder = save_tiny_model(Path("models/mine/best"), 3)
    chosen = choose_model(config, str(folder))
    assert (chosen.label, chosen.folder) == ("models-mine-best", folder)
    assert choose_model(config, "Owner/Model-1").label == "Owner--Model-1"


def test_a_model_path_that_does_not_exist_leaves_nothing_behind(config: Config) -> None:
    with pytest.raises(AffineError, match=r"the model folder \./nowhere does not exist"):
        evaluate(config, "./nowhere")
    assert not Path("logs").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_model_that_cannot_be_loaded_leaves_no_begun_evaluation(config: Config, force: bool) -> None:
    Path("hollow").mkdir()
    with pytest.raises(AffineError, match="cannot load the folder hollow"):
        evaluate(sat_only(), "hollow", force=force)
    assert not log_dir(config, "eval", "hollow").exists()
    assert not [state for state in stage_states(config) if "hollow" in state.stage]


def test_a_changed_setting_is_refused_by_name_and_force_redoes_it(config: Config) -> None:
    evaluate(sat_only(), "base")
    with pytest.raises(StageError, match=r"evaluation.num_samples was 10, now 6"):
        evaluate(sat_only("evaluation.num_samples=6"), "base")
    folder = evaluate(sat_only("evaluation.num_samples=6"), "base", force=True)
    assert len(read_episodes(folder / "episodes.jsonl")) == 6


def test_a_prompt_over_the_limit_is_refused_and_a_higher_limit_evaluates(config: Config) -> None:
    with pytest.raises(AffineError, match=r"tokens, more than model.max_prompt_tokens = 100"):
        evaluate(sat_only("model.max_prompt_tokens=100"), "base")
    folder = evaluate(sat_only(), "base", force=True)
    assert len(read_episodes(folder / "episodes.jsonl")) == 10


def test_an_environment_of_which_nothing_could_be_graded_is_no_result() -> None:
    ungraded = [episode(f"affine:sat@small/{index}", None) for index in range(3)]
    with pytest.raises(StageError, match=r"not one task of affine:sat could be graded.*unreachable"):
        check_graded(ungraded, Path("logs"))
    check_graded([*ungraded, episode("affine:sat@small/9", True)], Path("logs"))


def test_problems_that_were_trained_on_are_not_evaluated(config: Config) -> None:
    groups, data = groups_of(sat_only()), data_dir(config)
    row = {"environment": "affine:sat", "content_sha256": "new"}
    write_jsonl(data / "train.jsonl", [row])
    check_unseen(data, groups)
    write_jsonl(data / "train.jsonl", [row, row | {"content_sha256": groups[0].tasks[3].content_sha256}])
    with pytest.raises(StageError, match=r"1 rows of .*train.jsonl hold problems of this evaluation"):
        check_unseen(data, groups)


def test_greedy_replies_to_equal_prompts_are_kept_with_their_stop(config: Config) -> None:
    folder = evaluate(sat_only("evaluation.temperature=0"), "base")
    rows = list(read_jsonl(folder / "episodes.jsonl"))
    assert {row["turns"][0]["info"]["stop"] for row in rows} <= {"stop", "length"}
    assert all(row["difficulty"] is not None for row in rows)
