"""Reward functions of the user's own: what they are given and paid, and how the wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from affine_trainer.errors import ConfigError, StageError
from affine_trainer.learning.reward_function import RewardFunction
from affine_trainer.records import Episode, Grade, Message, Task, Turn

TASK = Task("toy:repeat", "digits", 3, (Message("user", "3"),), 0.5, "")


HALF = Grade(0.25, False, "half")


def episode(grade: Grade | None = HALF) -> Episode:
    turns = [Turn("look", "one", 0.25, 3, {"action": "one"}), Turn("", "two two", 0.5, 4)]
    return Episode(TASK.key, "", "toy", turns, grade, "terminated", None, 1, 7, 0.0)


def written(tmp_path: Path, body: str, signature: str = "task, turns, grade, default") -> str:
    path = tmp_path / "mine.py"
    path.write_text(f"import math\n\n\ndef reward({signature}):\n    {body}\n")
    return f"{path}:reward"


def paid(tmp_path: Path, body: str) -> list[float]:
    function = RewardFunction.load(written(tmp_path, body))
    return [turn.reward for turn in function.pay(TASK, episode()).turns]


@pytest.mark.parametrize(
    ("body", "rewards"),
    [
        ("return -1", [0.0, -1.0]),
        ("return default * 2", [0.0, 1.5]),
        ("return [turn.reward for turn in turns]", [0.25, 0.5]),
        ("return tuple(len(turn.reply) for turn in turns)", [3.0, 7.0]),
        ("return grade.reward + 10 * grade.success + task.difficulty", [0.0, 0.75]),
        ("return float(turns[0].info['action'] == 'one' and task.key == 'toy:repeat@digits/3')", [0.0, 1.0]),
    ],
)
def test_a_float_is_paid_at_the_end_and_a_sequence_turn_by_turn(
    tmp_path: Path, body: str, rewards: list[float]
) -> None:
    assert paid(tmp_path, body) == rewards


def test_grade_and_success_stay_the_environments(tmp_path: Path) -> None:
    before = episode()
    after = RewardFunction.load(written(tmp_path, "return 99")).pay(TASK, before)
    assert after.grade == before.grade
    assert [turn.reward for turn in before.turns] == [0.25, 0.5]


def test_the_function_cannot_change_the_episode_it_looks_at(tmp_path: Path) -> None:
    body = "turns[0].info.clear(); turns[0].reply = 'other'; return 1"
    after = RewardFunction.load(written(tmp_path, body)).pay(TASK, episode())
    assert (after.turns[0].reply, after.turns[0].info) == ("one", {"action": "one"})


def test_an_episode_without_a_grade_is_not_paid(tmp_path: Path) -> None:
    function = RewardFunction.load(written(tmp_path, "return 99"))
    ungraded = episode(None)
    assert function.pay(TASK, ungraded) is ungraded


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nowhere.py:reward", r"there is no file nowhere\.py"),
        ("reward", r"expected path/to/file\.py:function, got 'reward'"),
        ("mine.py:", r"expected path/to/file\.py:function"),
        ("mine.py:other", r"has no function 'other'; it has reward$"),
        ("mine.py:math", r"has no function 'math'"),
    ],
)
def test_what_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "return 1")
    with pytest.raises(ConfigError, match=message):
        RewardFunction.load(value)


@pytest.mark.parametrize("signature", ["", "episode", "task, turns, grade", "task, turns, grade, default, x"])
def test_another_signature_is_refused_with_the_arguments_it_should_have(
    tmp_path: Path, signature: str
) -> None:
    with pytest.raises(ConfigError, match="should take the arguments task, turns, grade, default"):
        RewardFunction.load(written(tmp_path, "return 1", signature))


@pytest.mark.parametrize("signature", ["**given", "turns, task, default, grade, more=1", "task, **rest"])
def test_any_signature_that_takes_them_by_name_will_do(tmp_path: Path, signature: str) -> None:
    RewardFunction.load(written(tmp_path, "return 1", signature))


def test_a_file_that_cannot_be_loaded_is_refused_with_its_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    for text, error in (("def reward(:", "SyntaxError"), ("import no_such_module", "ModuleNotFoundError")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=f"cannot be loaded: {error}"):
            RewardFunction.load(f"{path}:reward")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match=r"should end in \.py"):
        RewardFunction.load(f"{tmp_path / 'notes.txt'}:reward")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", r"failed on toy:repeat@digits/3: ZeroDivisionError: division by zero"),
        ("return math.nan", "returned nan for toy:repeat@digits/3; expected a finite float"),
        ("return [0.0, math.inf]", r"returned \[0.0, inf\]"),
        ("return None", "returned None"),
        ("return '1'", "returned '1'"),
        ("return True", "returned True"),
        ("return [1.0]", "gave 1 rewards for the 2 turns"),
    ],
)
def test_what_it_must_not_do_is_said_with_the_task(tmp_path: Path, body: str, message: str) -> None:
    function = RewardFunction.load(written(tmp_path, body))
    with pytest.raises(StageError, match=message):
        function.pay(TASK, episode())
    with pytest.raises(ConfigError, match=f"{message}.*sample episode before the run"):
        function.check(TASK, episode())


def test_the_example_in_the_documentation_works(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
    path = tmp_path / "mine.py"
    path.write_text(text.partition("```python\n")[2].partition("```")[0])
    found = RewardFunction.load(f"{path}:reward").pay(TASK, episode())
    assert [turn.reward for turn in found.turns] == pytest.approx([0.0, (2 * 0.75 + 1) / 3])
