"""Rows come from the generator or from a data set, whose mistakes are named by row, line and field."""

import itertools
import json
import subprocess
import sys

import pytest
from datasets import Dataset

from affine_trainer.config import load_config
from affine_trainer.envs import grade_reply, resolve_task, task_set, task_sets
from affine_trainer.envs.cases import TestCase, parse_cases
from affine_trainer.envs.row_sources import short_name
from affine_trainer.errors import AffineError, DataError

CASES = json.dumps({"test_cases": [{"type": "stdin_stdout", "input": "2", "output": "4"}]})


def raw_row(number):
    return {
        "program": f"print(int(input()) + {number})",
        "inputs": "1",
        "output": str(1 + number),
        "prompt": f"Add {number} to the number on the input.",
        "verification_info": repr(
            {"test_cases": [{"type": "stdin_stdout", "input": ["2"], "output": [str(2 + number)]}]}
        ),
    }


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_config(path, *overrides):
    return load_config(None, [f"data.affine.programs={path}", *overrides])


def program_tasks(env, path, *overrides, sandbox=None):
    config = rows_config(path, *overrides)
    return task_set(env, short_name(str(path)), config=config, sandbox=sandbox)


def test_a_json_lines_file_gives_one_family_named_after_it(tmp_path):
    path = write_rows(tmp_path / "my rows.jsonl", map(raw_row, range(50)))
    sets = task_sets(rows_config(path), None)
    [task] = sets["affine:abd"].tasks([17])
    assert task.key == "affine:abd@my-rows/17"
    assert "print(int(input()) + 17)" in task.prompt[0].content
    [task] = sets["affine:ded"].tasks([17])
    assert task.prompt[0].content.startswith("Add 17 to the number on the input.\n")


@pytest.mark.parametrize("env", ["affine:abd", "affine:ded"])
def test_the_own_answers_of_a_data_set_pass_and_those_of_another_row_fail(tmp_path, sandbox, env):
    path = write_rows(tmp_path / "r.jsonl", map(raw_row, range(20)))
    tasks = program_tasks(env, path, sandbox=sandbox)
    asked = tasks.tasks(range(20))
    replies = [tasks.expert_reply(task) for task in asked]
    assert all(grade_reply(tasks, task, reply).success for task, reply in zip(asked, replies, strict=True))
    wrong = "<INPUT>2</INPUT>" if env == "affine:abd" else replies[1]
    assert not grade_reply(tasks, asked[0], wrong).success


def test_a_parquet_file_and_a_folder_are_read_by_the_same_rows(tmp_path):
    rows = [raw_row(number) for number in range(30)]
    Dataset.from_list(rows[:20]).to_parquet(str(tmp_path / "a.parquet"))
    write_rows(tmp_path / "b.jsonl", rows[20:])
    whole = write_rows(tmp_path.parent / "whole.jsonl", rows)
    of_folder = program_tasks("affine:ded", tmp_path).tasks(range(30))
    of_file = program_tasks("affine:ded", whole).tasks(range(30))
    assert [task.prompt for task in of_folder] == [task.prompt for task in of_file]
    [of_parquet] = program_tasks("affine:ded", tmp_path / "a.parquet").tasks([7])
    assert of_parquet.prompt == of_file[7].prompt


def test_the_splits_of_a_data_set_are_disjoint_and_cover_it(tmp_path):
    tasks = program_tasks("affine:ded", write_rows(tmp_path / "r.jsonl", map(raw_row, range(400))))
    splits = [tasks.indices(split, 400, 0) for split in ("train", "validation", "evaluation")]
    assert sorted(itertools.chain.from_iterable(splits)) == list(range(400))
    assert 250 < len(splits[0]) < 390


def test_equal_problems_share_a_split(tmp_path):
    rows = [raw_row(number % 40) for number in range(120)]
    tasks = program_tasks("affine:ded", write_rows(tmp_path / "r.jsonl", rows))
    split_of = {index: s for s in ("train", "validation", "evaluation") for index in tasks.indices(s, 120, 0)}
    assert all(split_of[index] == split_of[index + 40] == split_of[index + 80] for index in range(40))


def test_a_shorter_draw_of_rows_is_a_prefix_and_follows_the_seed(tmp_path):
    tasks = program_tasks("affine:abd", write_rows(tmp_path / "r.jsonl", map(raw_row, range(300))))
    drawn = tasks.indices("train", 100, 5)
    assert tasks.indices("train", 30, 5) == drawn[:30]
    assert tasks.indices("train", 100, 6) != drawn


def test_a_data_set_is_read_no_further_than_the_buffer_needs(tmp_path):
    path = write_rows(tmp_path / "r.jsonl", map(raw_row, range(100)))
    with path.open("a") as file:
        file.write("{broken\n")
    overrides = ("data.affine.buffer_size=20", "data.affine.max_batch=10")
    [task] = program_tasks("affine:abd", path, *overrides).tasks([60])
    assert task.index == 60
    with pytest.raises(DataError, match="line 101"):
        program_tasks("affine:abd", path, *overrides).tasks([95])


@pytest.mark.parametrize(
    ("env", "field"),
    [("affine:abd", "program"), ("affine:abd", "inputs"), ("affine:abd", "output"), ("affine:ded", "prompt")],
)
def test_a_missing_field_is_named_with_its_row(tmp_path, env, field):
    rows = [raw_row(number) for number in range(5)]
    del rows[3][field]
    with pytest.raises(DataError, match=rf"row 3 of .*r\.jsonl lacks the field '{field}'"):
        program_tasks(env, write_rows(tmp_path / "r.jsonl", rows)).tasks([0])


def test_a_field_that_is_not_text_is_named_with_its_row(tmp_path):
    rows = [raw_row(0), raw_row(1) | {"inputs": 7}]
    with pytest.raises(DataError, match=r"row 1 of .* has no text in the field 'inputs'"):
        program_tasks("affine:abd", write_rows(tmp_path / "r.jsonl", rows)).tasks([0])


def test_a_row_without_cases_is_named(tmp_path):
    rows = [raw_row(0) | {"verification_info": None}]
    with pytest.raises(DataError, match=r"row 0 of .* lacks verification_info or test_cases"):
        program_tasks("affine:ded", write_rows(tmp_path / "r.jsonl", rows)).tasks([0])


def test_a_broken_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(raw_row(0)) + "\n{not json\n")
    with pytest.raises(DataError, match=r"r\.jsonl.*line 2"):
        program_tasks("affine:abd", path).tasks([0])


def test_a_broken_set_stays_broken_when_it_is_asked_again(tmp_path):
    tasks = program_tasks("affine:abd", write_rows(tmp_path / "r.jsonl", [raw_row(0), {}]))
    for _ in range(2):
        with pytest.raises(DataError, match="row 1 of"):
            tasks.tasks([0])


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_an_empty_file_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("")
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        program_tasks("affine:abd", path).tasks([0])


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"there is no file or folder .*nowhere\.jsonl"):
        program_tasks("affine:abd", tmp_path / "nowhere.jsonl").tasks([0])


def test_a_folder_or_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"holds no \.jsonl"):
        program_tasks("affine:abd", tmp_path).tasks([0])
    with pytest.raises(DataError, match=r"rows\.csv ends in none of"):
        program_tasks("affine:abd", tmp_path / "rows.csv").tasks([0])


def test_a_split_without_rows_and_a_row_beyond_the_end_are_refused(tmp_path):
    tasks = program_tasks("affine:abd", write_rows(tmp_path / "r.jsonl", [raw_row(0)]))
    with pytest.raises(DataError, match="no pretrain rows among its 1"):
        tasks.indices("pretrain", 1, 0)
    with pytest.raises(DataError, match="has 1 rows; there is no row 5"):
        tasks.tasks([5])


def test_a_key_finds_its_row_and_an_unknown_family_lists_those_there_are(tmp_path):
    path = write_rows(tmp_path / "set.jsonl", map(raw_row, range(5)))
    config = rows_config(path)
    assert resolve_task("affine:ded/3", config, None)[1].key == "affine:ded@set/3"
    assert resolve_task("affine:ded@generated-v1/3", config, None)[1].family == "generated-v1"
    with pytest.raises(AffineError, match="no family 'other'; there are set, generated-v1, heldout-v1"):
        resolve_task("affine:ded@other/3", config, None)


@pytest.mark.parametrize(
    "key", ["affine:sat", "affine:sat/x", "affine:sat@/1", "affine:sat@small/-1", "", "/1"]
)
def test_a_malformed_key_is_refused_with_an_example(key):
    with pytest.raises(AffineError, match=r"as in affine:sat@small/17|no environment"):
        resolve_task(key, load_config(None), None)


def test_generated_tasks_are_functions_of_their_index_and_share_nothing_between_splits():
    config = load_config(None)
    for env in ("affine:abd", "affine:ded"):
        tasks = task_set(env, "generated-v1", config=config, sandbox=None)
        by_split = [tasks.tasks(range(start, start + 150)) for start in (0, 1_000_000, 2_000_000, 10**9)]
        assert by_split[0] == task_set(env, "generated-v1", config=config, sandbox=None).tasks(range(150))
        hashes = [{task.content_sha256 for task in group} for group in by_split]
        assert not any(hashes[a] & hashes[b] for a in range(4) for b in range(a))


def test_posing_generated_tasks_does_not_import_the_datasets_library():
    code = (
        "import sys; from affine_trainer.config import load_config; "
        "from affine_trainer.envs import task_sets; "
        "config = load_config(None, ['data.agentgym.environments=[]']); "
        "[tasks.tasks(range(3)) for tasks in task_sets(config, None).values()]; "
        "sys.exit('datasets' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("written", "cases"),
    [
        (CASES, (TestCase("stdin_stdout", "2", "4"),)),
        (
            "{'test_cases': [{'type': 'stdin_stdout', 'input': ['1', 2], 'output': None}]}",
            (TestCase("stdin_stdout", ["1", 2], None),),
        ),
        (
            {"test_cases": [{"type": "function_call", "fn_name": "f", "input": [1], "output": [2]}]},
            (TestCase("function_call", [1], [2], "f"),),
        ),
        ('[{"type": "stdin_stdout", "input": "1", "output": "1"}]', (TestCase("stdin_stdout", "1", "1"),)),
        ('{"test_cases": [{"type": "telepathy"}]}', (TestCase("telepathy", None, None),)),
        ("{broken", ()),
        ("[" * 100_000, ()),
        ('"text"', ()),
        (None, ()),
        (7, ()),
    ],
)
def test_cases_are_read_as_json_or_as_a_python_literal(written, cases):
    assert parse_cases(written) == cases


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("satpalsr/rl-python", "rl-python"),
        ("a/b c.jsonl", "b-c"),
        ("data/folder/", "folder"),
        ("x.parquet", "x"),
    ],
)
def test_a_source_has_a_short_name(source, name):
    assert short_name(source) == name
