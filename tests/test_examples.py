"""The environments of examples/: loaded as a user's own, collected, practised, evaluated, and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from affine_trainer.artifacts import data_dir, log_dir, read_jsonl
from affine_trainer.config import Config, load_config
from affine_trainer.envs import resolve_task, task_sets
from affine_trainer.envs.custom import CustomEnvironment, CustomTasks, file_digest
from affine_trainer.envs.single_turn import grade_reply
from affine_trainer.envs.splits import split_of
from affine_trainer.errors import AffineError, ConfigError, StageError
from affine_trainer.policies.scripted import SAYS_NOTHING
from affine_trainer.records import Sampling, TaskGroup, TaskSet
from affine_trainer.rollout import play
from affine_trainer.stages import collect as collecting
from affine_trainer.stages.audit import audit
from affine_trainer.stages.collect import collect
from affine_trainer.stages.evaluate import evaluate
from affine_trainer.stages.report import can_pose
from affine_trainer.stages.rl import rl
from affine_trainer.stages.sft import sft
from tests.tiny_model import save_tiny_model

EXAMPLES = Path(__file__).parents[1] / "examples"
SETTINGS = (
    "model.name=base",
    "model.max_prompt_tokens=3000",
    "model.max_episode_tokens=3500",
    "data.num_samples=24",
    "data.affine.environments=[]",
    "data.agentgym.environments=[]",
    f"data.custom.environments={{change: {EXAMPLES}/change.py:Change, guess: {EXAMPLES}/guess.py:Guess}}",
    "data.custom.weights={change: 1, guess: 1}",
    "training.num_epochs=1",
    "training.batch_size=4",
    "training.eval_steps=5",
    "rl_training.num_rollouts=1",
    "rl_training.weights={change: 1, guess: 1}",
    "rl_training.rollout_batch_size=8",
    "rl_training.samples_per_task=2",
    "rl_training.mini_batch_size=8",
    "rl_training.micro_batch_size=4",
    "rl_training.validation_samples=4",
    "evaluation.num_samples=4",
    "evaluation.agent_samples=3",
    "evaluation.batch_size=4",
)


def own(tmp_path: Path, body: str, name: str = "Mine") -> Config:
    """A config with one environment, whose class has `body` instead of some of the example's."""
    path = tmp_path / "mine.py"
    example = (EXAMPLES / "change.py").read_text()
    path.write_text(f"{example}\n\nclass Mine(Change):\n    {body}\n")
    return load_config(
        None,
        [
            f"data.custom.environments={{mine: '{path}:{name}'}}",
            "data.custom.weights={mine: 1}",
            "rl_training.weights={}",
        ],
    )


def tasks_of(config: Config) -> TaskSet:
    return task_sets(config, None)["custom:mine"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("examples"))
        patch.setattr(collecting, "MIN_RL_TASKS", 8)
        save_tiny_model(Path("base"))
        config = load_config(None, SETTINGS)
        collect(config)
        sft(config)
        rl(config)
        evaluate(config, "rl")
        yield config


def test_experts_of_both_examples_fill_the_data(finished: Config) -> None:
    rows = list(read_jsonl(data_dir(finished) / "train.jsonl"))
    assert {row["family"] for row in rows} == {"v1"}
    assert {row["environment"] for row in rows} == {"custom:change", "custom:guess"}
    turns = [len(row["completion"]) for row in rows if row["environment"] == "custom:guess"]
    assert max(turns) > 1 and all(number % 2 for number in turns)


def test_both_are_practised_and_evaluated_beside_someone_who_says_nothing(finished: Config) -> None:
    [first, *_] = [row for row in read_jsonl(log_dir(finished, "rl") / "events.jsonl") if "rl/reward" in row]
    assert {"rl/reward/custom:change@v1", "rl/reward/custom:guess@v1"} <= set(first)
    summary = json.loads((log_dir(finished, "eval", "rl") / "evaluation.json").read_text())
    found = {name: each["num_samples"] for name, each in summary["per_environment"].items()}
    assert found == {"custom:change": 4, "custom:guess": 3}
    assert set(summary["per_environment"]["custom:change"]["trivial_policies"]) == {"says-nothing"}


def test_their_leaks_are_found_by_key_and_content(finished: Config, tmp_path: Path) -> None:
    assert audit(finished)[1] == 0
    for env in ("custom:change@v1", "custom:guess@v1"):
        lists = json.loads((data_dir(finished) / "tasks.json").read_text())
        key = f"{env}/{lists['evaluation'][env][0]}"
        row = {"prompt": "It is between 1 and 9.", "completion": "5", "task_key": key}
        (tmp_path / "seen.jsonl").write_text(json.dumps(row))
        assert audit(finished, [str(tmp_path / "seen.jsonl")])[1] == 1


def test_a_changed_file_is_another_environment_to_every_stage(
    finished: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "change.py"
    copy.write_text((EXAMPLES / "change.py").read_text())
    environments = f"data.custom.environments={{change: {copy}:Change}}"
    rest = [s for s in SETTINGS if not s.startswith(("data.custom", "rl_training.weights"))]
    config = load_config(None, [*rest, environments, "data.custom.weights={change: 1}", "run=edited",
                                "rl_training.weights={}"])  # fmt: skip
    monkeypatch.setattr(collecting, "MIN_RL_TASKS", 8)
    collect(config)
    before = file_digest("custom:change", config)
    copy.write_text(copy.read_text() + "\n# another word\n")
    assert file_digest("custom:change", config) != before
    with pytest.raises(StageError, match=r"its input `data\.custom\.environments\.change` has changed"):
        collect(config)


@pytest.mark.parametrize("env", ["change", "guess"])
def test_tasks_of_the_examples_are_a_function_of_their_index_and_lie_in_their_split(env: str) -> None:
    config = load_config(None, SETTINGS)
    tasks, task = resolve_task(f"custom:{env}/7", config, None)
    assert tasks.tasks([7]) == [task] and task.key == f"custom:{env}@v1/7"
    for split in ("evaluation", "validation", "train"):
        found = tasks.indices(split, 20, 0)
        assert {split_of(index) for index in found} == {split}
        assert found[:5] == tasks.indices(split, 5, 0)


def test_the_reply_of_one_expert_is_graded_best_and_a_costlier_one_in_part() -> None:
    tasks, task = resolve_task("custom:change/3", load_config(None, SETTINGS), None)
    reply = tasks.expert_reply(task)
    best = grade_reply(tasks, task, str(reply))
    assert best is not None and (best.reward, best.success) == (1.0, True)
    costly = grade_reply(tasks, task, "[" + "1," * 43 + "]")
    assert costly is not None and 0 < costly.reward < 1 and not costly.success


def test_a_play_is_put_back_to_where_it_was() -> None:
    tasks, task = resolve_task("custom:guess/3", load_config(None, SETTINGS), None)
    first, second = tasks.start(task), tasks.start(task)
    first.step("0")
    assert isinstance(first, CustomEnvironment)
    first.step(first.expert_reply())
    second.restore(first.snapshot())
    assert second.observe() == first.observe() != tasks.start(task).observe()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("family = 'a/b'", r"should have a family such as 'v1'"),
        ("max_turns = 0", r"should have max_turns, a whole number of at least 1, and has 0"),
        ("start = None", r"has no method start"),
        ("def __init__(self, env): self.env = 'x'", r"should have env = 'custom:mine'"),
        ("def __init__(self): pass", r"failed when it was called with 'custom:mine': TypeError"),
    ],
)
def test_a_task_set_that_lacks_something_is_refused(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.custom\.environments\.mine: .*{message}"):
        tasks_of(own(tmp_path, body))


def test_a_factory_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no factory 'Other'; it has Change, fewest, Mine"):
        tasks_of(own(tmp_path, "pass", name="Other"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def indices(self, *a): return [1, 1]", r"indices should give at most 2 different whole numbers"),
        (
            "def task(self, index): return 5",
            r"tasks should give the Task custom:mine@v1/0 in its place",
        ),
        ("def problem(self, index): return 1 / 0", r"tasks failed: ZeroDivisionError"),
    ],
)
def test_what_a_task_set_gives_amiss_ends_as_one_sentence(tmp_path: Path, body: str, message: str) -> None:
    tasks = tasks_of(own(tmp_path, body))
    with pytest.raises(StageError, match=rf"custom:mine \(.*mine\.py:Mine\): {message}"):
        tasks.tasks(tasks.indices("evaluation", 2, 0) and [0])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("def grade(self, task, reply): raise TypeError('no')", "custom:mine: step failed: TypeError: no"),
        ("def start(self, task): raise KeyError('gone')", "custom:mine: start failed: KeyError"),
        ("def start(self, task): return 5", "custom:mine: what start returned has no task"),
        ("def grade(self, task, reply): return Grade(float('nan'), True, '')", "should hold a finite reward"),
    ],
)
def test_an_environment_that_fails_is_an_episode_without_a_grade(
    tmp_path: Path, body: str, error: str
) -> None:
    tasks = tasks_of(own(tmp_path, body))
    [[episode]] = play(
        [TaskGroup(tasks, tasks.tasks([0]))], SAYS_NOTHING, Sampling(0.0, 1.0, 1, 0), seed=0, chunk_size=1
    )
    assert episode.grade is None and error in str(episode.error)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.custom.environments.a=x.py:A"], r"data\.custom: weights needs a number for a"),
        (["data.custom.weights.a=1"], r"data\.custom: weights has a, which environments does not name"),
        (
            ["data.custom.environments.sat=x.py:A", "data.custom.weights.sat=1"],
            r"sat is an environment of affine: choose another name",
        ),
        (
            ["data.custom.environments.a=x.py:A", "data.custom.weights.a=0", "rl_training.weights={}"],
            r"rl_training\.weights needs a number above 0 for a, whose share of data is 0",
        ),
        (["rl_training.weights.b=1"], r"rl_training\.weights\.b: unknown key; there are sat, .* or webshop"),
        (["data.custom.environments={'a b': x}"], r"must start with a letter or digit"),
    ],
)
def test_names_and_shares_that_do_not_fit_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, settings)


def test_a_file_that_is_not_there_is_named() -> None:
    config = load_config(None, ["data.custom.environments.a=nowhere.py:A", "data.custom.weights.a=1",
                                "rl_training.weights.a=1"])  # fmt: skip
    with pytest.raises(AffineError, match=r"data\.custom\.environments\.a: there is no file nowhere\.py"):
        resolve_task("custom:a/1", config, None)


def test_a_report_poses_its_tasks_while_the_file_is_there() -> None:
    config = load_config(None, SETTINGS)
    assert can_pose(config, "custom:change", "v1")
    assert not can_pose(config, "custom:other", "v1")


def test_a_custom_environment_is_its_own_type() -> None:
    assert isinstance(task_sets(load_config(None, SETTINGS), None)["custom:change"], CustomTasks)
