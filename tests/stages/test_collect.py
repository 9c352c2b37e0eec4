"""Collecting expert data: every reply verified, no problem in two splits, readable by datasets and TRL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from trl import SFTConfig, SFTTrainer

from affine_trainer.artifacts import read_jsonl, read_manifest, write_jsonl
from affine_trainer.config import Config, load_config
from affine_trainer.envs import grade_reply, task_set, task_sets
from affine_trainer.envs.stage_tasks import evaluation_tasks, open_sandbox, practice_weights, weight_of
from affine_trainer.errors import ConfigError, DataError, StageError
from affine_trainer.learning.practice import open_practice
from affine_trainer.records import UNLIMITED, Environment, Message, Split, Task, TaskSet
from affine_trainer.sandbox import isolation_level
from affine_trainer.stages import collect as stage
from affine_trainer.stages.collect import Quota, check_overlaps, collect, counted, quotas, shared_out
from affine_trainer.stages.expert_samples import Answers, ExpertDraw, Rejections, TokenLimits
from tests.tiny_model import save_tiny_model, tiny_model, tiny_tokenizer

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "rl_training.weights={}",
    "model.name=base",
    "model.max_prompt_tokens=2000",
    "model.max_new_tokens=1000",
    "data.num_samples=60",
    "data.agentgym.environments=[]",
    "evaluation.num_samples=40",
    "evaluation.unseen_family_samples=5",
    "rl_training.validation_samples=12",
)
WEIGHTED = "data.affine.weights={sat: 1, abd: 2, ded: 3}"


@pytest.fixture(autouse=True)
def few_rl_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own with a tokenizer in it, and task lists that are quickly made."""
    monkeypatch.chdir(tmp_path)
    save_tiny_model(Path("base"))
    monkeypatch.setattr(stage, "MIN_RL_TASKS", 80)


def config_with(*overrides: str) -> Config:
    return load_config(None, [*SETTINGS, *overrides])


def sat_only(*overrides: str) -> Config:
    return config_with("data.affine.environments=[sat]", *overrides)


def rows_of(folder: Path, split: str) -> list[dict[str, Any]]:
    return list(read_jsonl(folder / f"{split}.jsonl"))


def files_of(folder: Path) -> dict[str, str]:
    """Name and hash of every file, as the manifest has them."""
    manifest = read_manifest(folder)
    assert manifest is not None
    return {name: entry["sha256"] for name, entry in manifest.files.items()}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all three environments give with `WEIGHTED`, made once for the tests that only read it."""
    place = tmp_path_factory.mktemp("collected")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(stage, "MIN_RL_TASKS", 80)
        save_tiny_model(Path("base"))
        return place / collect(config_with(WEIGHTED))


def test_samples_follow_the_weights_and_the_split(collected: Path) -> None:
    folder = collected
    train, validation = rows_of(folder, "train"), rows_of(folder, "validation")
    assert Counter(row["environment"] for row in [*train, *validation]) == {
        "affine:sat": 10,
        "affine:abd": 20,
        "affine:ded": 30,
    }
    assert Counter(row["environment"] for row in validation) == {
        "affine:sat": 1,
        "affine:abd": 2,
        "affine:ded": 3,
    }
    assert len({row["environment"] for row in train[:12]}) > 1, "the rows must be shuffled over environments"


def test_the_manifest_says_how_well_programs_were_isolated(collected: Path) -> None:
    manifest = read_manifest(collected)
    assert manifest is not None and manifest.device["isolation"] == isolation_level()
    assert manifest.config["sandbox"]["allow_unsandboxed"] is False


def test_every_written_reply_passes_its_grader_again(collected: Path) -> None:
    config, folder = config_with(WEIGHTED), collected
    with open_sandbox(config) as sandbox:
        sets = task_sets(config, sandbox)
        for row in [*rows_of(folder, "train"), *rows_of(folder, "validation")]:
            tasks = sets[row["environment"]]
            (task,) = tasks.tasks([int(row["task_key"].rpartition("/")[2])])
            assert (task.key, task.content_sha256) == (row["task_key"], row["content_sha256"])
            assert [message.content for message in task.prompt] == [m["content"] for m in row["prompt"]]
            grade = grade_reply(tasks, task, row["completion"][0]["content"])
            assert grade is not None and grade.success


def test_no_key_and_no_content_stands_in_two_splits(collected: Path) -> None:
    config, folder = config_with(WEIGHTED), collected
    lists = json.loads((folder / "tasks.json").read_text())
    splits = {split: {row["task_key"] for row in rows_of(folder, split)} for split in ("train", "validation")}
    for section in ("rl", "validation", "evaluation"):
        splits[f"{section} list"] = {f"{name}/{i}" for name, ids in lists[section].items() for i in ids}
    assert sum(map(len, splits.values())) == len(set().union(*splits.values()))
    assert sum(len(ids) for ids in lists["rl"].values()) == 3 * 80
    assert {name: len(ids) for name, ids in lists["validation"].items()} == {
        "affine:sat@small": 2,
        "affine:abd@generated-v1": 4,
        "affine:ded@generated-v1": 6,
    }
    expected = {group.name: [task.index for task in group.tasks] for group in evaluation_tasks(config, None)}
    assert lists["evaluation"] == expected
    contents = {split: contents_of(config, keys) for split, keys in splits.items()}
    for first in contents:
        for second in contents:
            same_split = {first, second} in ({"train", "rl list"}, {"validation", "validation list"})
            if first < second and not same_split:
                assert not contents[first] & contents[second], (first, second)
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["overlaps"]["train/evaluation"] == {"keys": 0, "contents": 0}
    assert audit["counts"]["train"]["affine:sat@small"] == 9


def contents_of(config: Config, keys: set[str]) -> set[tuple[str, str]]:
    found = set()
    for key in keys:
        name, _, index = key.rpartition("/")
        env, _, family = name.partition("@")
        (task,) = task_set(env, family, config=config, sandbox=None).tasks([int(index)])
        found.add((env, task.content_sha256))
    return found


def test_the_files_load_with_datasets_and_train_with_trl() -> None:
    folder = collect(sat_only())
    files = {split: str(folder / f"{split}.jsonl") for split in ("train", "validation")}
    loaded = datasets.load_dataset("json", data_files=files, cache_dir="cache")
    assert loaded["train"].num_rows == 54
    trainer = SFTTrainer(
        model=tiny_model(),
        args=SFTConfig(
            output_dir="trl",
            max_steps=1,
            per_device_train_batch_size=2,
            bf16=False,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            max_length=None,
        ),
        processing_class=tiny_tokenizer(),
        train_dataset=loaded["train"],
        eval_dataset=loaded["validation"],
    )
    first = trainer.train_dataset[0]
    row = loaded["train"][0]
    reply = tiny_tokenizer().encode(row["completion"][0]["content"], add_special_tokens=False)
    scored = [label for label in first["labels"] if label != -100]
    assert scored[: len(reply)] == reply
    assert len(scored) < len(first["input_ids"])
    assert trainer.train().training_loss > 0


def test_a_second_collect_does_nothing_and_a_forced_one_gives_the_same_files() -> None:
    folder = collect(sat_only())
    written = (folder / "train.jsonl").stat().st_mtime_ns
    collect(sat_only())
    assert (folder / "train.jsonl").stat().st_mtime_ns == written
    files = files_of(folder)
    collect(sat_only(), force=True)
    assert (folder / "train.jsonl").stat().st_mtime_ns > written
    assert files_of(folder) == files


def test_another_seed_gives_other_samples_and_the_same_evaluation() -> None:
    first, second = collect(sat_only("run=a")), collect(sat_only("run=b", "seed=1"))
    assert {row["task_key"] for row in rows_of(first, "train")}.isdisjoint(
        row["task_key"] for row in rows_of(second, "train")
    )
    lists = [json.loads((folder / "tasks.json").read_text()) for folder in (first, second)]
    assert lists[0]["evaluation"] == lists[1]["evaluation"]
    assert lists[0]["rl"] != lists[1]["rl"]


def test_evaluation_and_rl_keys_never_invalidate_the_data() -> None:
    folder = collect(sat_only())
    written = (folder / "train.jsonl").stat().st_mtime_ns
    collect(sat_only("evaluation.num_samples=99", "rl_training.num_rollouts=7", "sandbox.workers=1"))
    assert (folder / "train.jsonl").stat().st_mtime_ns == written
    with pytest.raises(StageError, match=r"data.num_samples was 60, now 61"):
        collect(sat_only("data.num_samples=61"))


def test_a_killed_collect_ends_with_the_files_of_an_undisturbed_one(tmp_path: Path) -> None:
    settings = [*SETTINGS, "data.affine.environments=[abd]", "data.num_samples=200"]
    code = (
        "from affine_trainer.config import load_config; from affine_trainer.stages import collect as stage; "
        f"stage.MIN_RL_TASKS = 80; stage.collect(load_config(None, {settings!r}))"
    )
    cache = Path("data/default/expert_cache.jsonl")
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None and not (cache.is_file() and cache.read_bytes().count(b"\n") > 30):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    verified = cache.read_bytes().count(b"\n")
    assert read_manifest(cache.parent) is None, "the kill must hit the middle for this test to mean anything"
    with cache.open("a") as file:
        file.write('{"task_key": "affine:abd@gen')
    files = files_of(collect(load_config(None, settings)))
    assert cache.read_bytes().count(b"\n") > verified
    assert files == files_of(collect(load_config(None, [*settings, "run=calm"])))


def rows_file(path: Path, count: int, wrong: Sequence[int] = ()) -> Path:
    """A user's own data set: programs that add a number, some with an answer that is not right."""
    rows = []
    for n in range(count):
        cases = [{"type": "stdin_stdout", "input": f"{i}\n", "output": f"{i + n}\n"} for i in range(3)]
        rows.append(
            {
                "prompt": f"Add {n} to the number.",
                "program": f"print(int(input()) + {n + (n in wrong)})",
                "inputs": "5",
                "output": str(5 + n),
                "test_cases": json.dumps(cases),
            }
        )
    write_jsonl(path, rows)
    return path


def test_wrong_answers_of_a_data_set_are_named_and_never_written() -> None:
    source = rows_file(Path("own.jsonl"), 200, wrong=range(0, 200, 4))
    folder = collect(
        config_with(
            "data.affine.environments=[ded]",
            f"data.affine.programs={source}",
            "data.num_samples=50",
            "evaluation.num_samples=10",
        )
    )
    written = [row["task_key"] for split in ("train", "validation") for row in rows_of(folder, split)]
    rejected = rows_of(folder, "rejected")
    assert len(written) == 50
    assert not any(int(key.rpartition("/")[2]) % 4 == 0 for key in written)
    assert all(int(row["task_key"].rpartition("/")[2]) % 4 == 0 for row in rejected)
    assert rejected[0]["reason"] == "not_verified"
    assert "the program printed something else" in rejected[0]["why"]
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["rejected"]["affine:ded@own"]["not_verified"] == len(rejected) > 3


def test_too_few_usable_rows_are_refused_with_their_number() -> None:
    source = rows_file(Path("own.jsonl"), 200)
    with pytest.raises(DataError, match=r"affine:ded@own has only \d+ train tasks .*, and 190 are wanted"):
        collect(
            config_with(
                "data.affine.environments=[ded]",
                f"data.affine.programs={source}",
                "data.num_samples=200",
                "data.train_split=0.95",
                "evaluation.num_samples=10",
            )
        )


def test_samples_that_do_not_fit_the_model_are_counted_and_left_out() -> None:
    folder = collect(sat_only("model.max_prompt_tokens=560"))
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["rejected"]["affine:sat@small"]["too_long"] > 0
    assert audit["tokens"]["affine:sat@small"]["prompt"]["max"] <= 560
    assert rows_of(folder, "rejected")[0]["why"].endswith("more than model.max_prompt_tokens = 560")
    assert len(rows_of(folder, "train")) == 54


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [(10, [1, 1, 1], [4, 3, 3]), (7, [0.5, 0.25, 0.25], [3, 2, 2]), (2, [1, 5], [0, 2]), (9, [1], [9])],
)
def test_shares_add_up_and_follow_the_weights(total: int, weights: list[float], expected: list[int]) -> None:
    assert shared_out(total, weights) == expected


def test_a_share_too_small_to_validate_is_refused() -> None:
    assert quotas(sat_only("data.num_samples=2"), ["affine:sat"])[0].validation == 1
    with pytest.raises(DataError, match="leaves no sample for validation"):
        quotas(
            config_with("data.num_samples=3", "data.affine.weights={sat: 1, abd: 1, ded: 1}"),
            ["affine:sat", "affine:abd", "affine:ded"],
        )


def test_an_overlap_between_splits_stops_the_stage() -> None:
    tasks = task_sets(sat_only(), None)["affine:sat"].tasks([5, 6, 7])
    assert check_overlaps({"train": tasks[:1], "evaluation": tasks[1:]}) == {
        "train/evaluation": {"keys": 0, "contents": 0}
    }
    twin = replace(tasks[0], index=9)
    with pytest.raises(StageError, match="train and evaluation share 1 problems"):
        check_overlaps({"train": tasks[:1], "evaluation": [twin]})
    assert check_overlaps({"train": tasks[:1], "rl": [twin]})["train/rl"]["contents"] == 1


class EchoTasks:
    """Asks for its index modulo 10; the expert is wrong about 3, and knows nothing about 4."""

    env, family = "toy:echo", "v1"
    max_turns, max_reply_tokens, max_open = 1, UNLIMITED, UNLIMITED

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return list(range(min(count, 50)))

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        return [
            Task(self.env, self.family, i, (Message("user", str(i % 10)),), 0.5, f"content {i % 10}")
            for i in indices
        ]

    def start(self, task: Task) -> Environment:
        from affine_trainer.envs import SingleTurn
        from affine_trainer.records import Grade

        def grader(reply: str) -> Grade:
            right = reply == task.prompt[0].content
            return Grade(float(right), right, "as asked" if right else "not what was asked")

        return SingleTurn(task, grader)

    def expert_reply(self, task: Task) -> str | None:
        return {"3": "three", "4": None}.get(task.prompt[0].content, task.prompt[0].content)


def draw_from(cache: Path, rejections: Rejections) -> ExpertDraw:
    limits = TokenLimits(lambda prompt, turns: (len(prompt[0].content), len(turns)), 5, 5, 5)
    return ExpertDraw(0, limits, Answers(cache, limits, threads=2), rejections, lambda count: None)


def test_a_draw_passes_over_what_is_taken_repeated_unknown_or_wrong(tmp_path: Path) -> None:
    tasks: TaskSet = EchoTasks()
    rejections = Rejections()
    samples = draw_from(tmp_path / "cache", rejections).samples(tasks, "train", 7, {"content 0"})
    assert [sample.turns[0].content for sample in samples] == ["1", "2", "5", "6", "7", "8", "9"]
    assert rejections.counts["not_verified"] == 1
    assert rejections.counts["no_expert"] == 1
    assert rejections.counts["in_another_split"] == 5
    assert rejections.counts["duplicate"] == 36
    assert [row["why"] for row in rejections.named] == ["not what was asked", "there is no expert reply"]


def test_a_draw_that_runs_out_says_how_many_there_were(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="toy:echo@v1 has only 8 train tasks that can be used, and 9"):
        draw_from(tmp_path / "cache", Rejections()).samples(EchoTasks(), "train", 9, set())


def test_verdicts_are_taken_from_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    write_jsonl(cache, [{"task_key": "toy:echo@v1/1", "fault": "said so before"}])
    rejections = Rejections()
    samples = draw_from(cache, rejections).samples(EchoTasks(), "train", 1, set())
    assert samples[0].turns[0].content == "0"
    assert {"task_key": "toy:echo@v1/1", "reason": "not_verified", "why": "said so before"} in (
        draw_all_rejections(cache)
    )


def draw_all_rejections(cache: Path) -> list[dict[str, str]]:
    rejections = Rejections()
    draw_from(cache, rejections).samples(EchoTasks(), "train", 2, set())
    return rejections.named


def test_shares_of_practice_are_apart_from_those_of_the_data():
    envs = ["affine:sat", "agentgym:webshop"]
    apart = load_config(None, ["rl_training.weights.sat=3", "rl_training.weights.webshop=1"])
    assert practice_weights(envs, apart) == [3, 1]
    as_in_data = load_config(None, ["rl_training.weights={}"])
    assert practice_weights(envs, as_in_data) == [weight_of(env, as_in_data) for env in envs]


def test_an_environment_without_a_share_of_practice_gets_no_tasks_for_rl():
    envs = ["affine:sat", "affine:abd", "affine:ded"]
    config = config_with("rl_training.weights={sat: 1, abd: 0}")
    assert practice_weights(envs, config) == [1, 0, 0]
    found = quotas(config, envs)
    assert [(quota.rl > 0, quota.rl_validation) for quota in found] == [(True, 12), (False, 0), (False, 0)]
    assert all(quota.train and quota.validation for quota in found)


def test_what_the_bar_counts_is_said_in_words():
    wanted = [Quota(900, 100, 3000, 12), Quota(90, 10, 300, 4)]
    assert counted(wanted) == (
        "4,416 tasks at most: 1,100 with an expert's sample (990 to train, 110 to validate), "
        "3,300 for RL to play and 16 to validate it"
    )


def test_something_must_be_left_to_practise():
    for weights in ("{chess: 1}", "{sat: 0}"):
        with pytest.raises(ConfigError, match=r"rl_training\.weights leaves nothing to practise"):
            load_config(None, [f"rl_training.weights={weights}"])


def test_tasks_of_an_environment_without_a_share_are_not_written_or_practised() -> None:
    config = config_with("run=some", "rl_training.weights={sat: 1, abd: 0}", "evaluation.num_samples=3")
    lists = json.loads((collect(config) / "tasks.json").read_text())
    assert [*lists["rl"], *lists["validation"]] == ["affine:sat@small", "affine:sat@small"]
    assert {"affine:abd@generated-v1", "affine:ded@generated-v1"} < set(lists["evaluation"])
    every = {"affine:sat@small": [0, 1], "affine:abd@generated-v1": [0, 1]}  # as data of before has them
    with open_sandbox(config) as sandbox:
        practice = open_practice(every, every, config, sandbox)
    assert set(practice.tasks) == set(practice.validation) == {"affine:sat@small"}
    assert "affine:abd, affine:ded: no share in rl_training.weights" in practice.notes[0]
