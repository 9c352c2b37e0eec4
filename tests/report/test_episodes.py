"""Episode files: nothing is lost on the way to the disk and back, and every mistake names its line."""

import json
from dataclasses import replace

import pytest

from affine_trainer.artifacts import write_jsonl
from affine_trainer.errors import DataError
from affine_trainer.records import Grade, Turn
from affine_trainer.report.episodes import (
    environment_of,
    episode_row,
    family_of,
    group_by_environment,
    is_unseen,
    read_episode_file,
    read_episodes,
)
from tests.evaluations import episode

KEY = "affine:sat@small/17"


def write(path, rows):
    write_jsonl(path, rows)
    return path


def test_an_episode_comes_back_whole(tmp_path):
    play = replace(
        episode(KEY, 0.25, difficulty=1.5),
        turns=[
            Turn("look: ¬x1", "go\n<|end|>", -0.5, 3, {"score": [1, None, "ü"]}),
            Turn("", "", 0.0, 0),
        ],
        grade=Grade(0.25, False, "2 of 8 clauses, 'half'"),
        stop_reason="turn_limit",
    )
    assert read_episodes(write(tmp_path / "e.jsonl", [episode_row(play)])) == [play]


def test_an_ungraded_episode_keeps_its_error_and_no_grade(tmp_path):
    (play,) = read_episodes(write(tmp_path / "e.jsonl", [episode_row(episode(KEY, None))]))
    assert play.grade is None
    assert play.error == "the grader was unreachable"


def test_rows_from_a_newer_writer_with_further_fields_are_read(tmp_path):
    row = {**episode_row(episode(KEY)), "note": "later"}
    assert read_episodes(write(tmp_path / "e.jsonl", [row])) == [episode(KEY)]


def test_keys_give_environment_and_family():
    key = "affine:ded@someone/rl-python/17"
    assert (environment_of(key), family_of(key)) == ("affine:ded", "someone/rl-python")
    assert is_unseen("affine:ded@heldout-v1/3")
    assert not is_unseen("affine:ded@generated-v1/3")


def test_episodes_are_grouped_in_order():
    plays = [episode("b@f/0"), episode("a@f/0"), episode("b@f/1")]
    groups = group_by_environment(plays)
    assert list(groups) == ["b", "a"]
    assert groups["b"] == [plays[0], plays[2]]


def test_a_task_that_appears_twice_is_refused_with_both_lines(tmp_path):
    rows = [episode_row(episode(f"affine:sat@small/{i}")) for i in (1, 2, 1)]
    with pytest.raises(DataError, match=r"line 3: task affine:sat@small/1 is already on line 1"):
        read_episodes(write(tmp_path / "e.jsonl", rows))


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "e.jsonl"
    row = json.dumps(episode_row(episode(KEY)))
    path.write_text(f"\n{row}\n\n{row.replace('/17', '/18')}\n")
    assert read_episode_file(path).lines == {KEY: 2, "affine:sat@small/18": 4}


def test_a_truncated_last_line_is_refused_by_number(tmp_path):
    path = write(
        tmp_path / "e.jsonl", [episode_row(episode(KEY)), episode_row(episode("affine:sat@small/18"))]
    )
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"e\.jsonl, line 2: not valid JSON"):
        read_episodes(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "null", '"1"'])
def test_a_reward_that_is_no_finite_number_is_refused(tmp_path, number):
    path = write(tmp_path / "e.jsonl", [episode_row(episode(KEY))])
    path.write_text(path.read_text().replace('"grade": {"reward": 1.0', f'"grade": {{"reward": {number}'))
    with pytest.raises(DataError, match=r"e\.jsonl, line 1: grade\.reward"):
        read_episodes(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_key", "affine:sat/17"),
        ("content_sha256", ""),
        ("grade", 1.0),
        ("num_completion_tokens", -1),
        ("seconds", float("nan")),
        ("stop_reason", "bored"),
        ("turns", {}),
    ],
)
def test_a_field_of_another_shape_is_refused_by_name(tmp_path, field, value):
    path = write(tmp_path / "e.jsonl", [{**episode_row(episode(KEY)), field: value}])
    with pytest.raises(DataError, match=rf"line 1: {field}"):
        read_episodes(path)


def test_a_row_without_its_grade_is_refused(tmp_path):
    row = episode_row(episode(KEY))
    del row["grade"]
    with pytest.raises(DataError, match=r"line 1: the row lacks grade"):
        read_episodes(write(tmp_path / "e.jsonl", [row]))


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "e.jsonl").touch()
    with pytest.raises(DataError, match="empty"):
        read_episodes(tmp_path / "e.jsonl")
