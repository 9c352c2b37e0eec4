"""Damaged result files: an error that names file and line, or the numbers of the whole file; never others."""

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affine_trainer.config import load_config
from affine_trainer.errors import AffineError
from affine_trainer.report.pairing import read_evaluation
from affine_trainer.report.verdict import compare_all
from tests.evaluations import episodes, write_evaluation

CONFIG = load_config(None, ["sampling.bootstrap_samples=100"])
TASKS = 6
FIELDS = [
    ("task_key",),
    ("content_sha256",),
    ("policy",),
    ("grade",),
    ("grade", "reward"),
    ("grade", "success"),
    ("grade", "why"),
    ("stop_reason",),
    ("error",),
    ("num_prompt_tokens",),
    ("num_completion_tokens",),
    ("seconds",),
    ("turns",),
    ("turns", 0, "reward"),
    ("turns", 0, "info"),
]
# Each is of a wrong type or out of range for some of the fields, and a change without effect for others.
VALUES = [float("nan"), float("inf"), -1, 7, 2.5, 10**400, "", "x", None, True, [], [1], {}, {"a": []}]
WHERE = re.compile(r"damaged.*(episodes\.jsonl(, line \d+| is empty)|evaluation\.json)", re.DOTALL)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    names = ("affine:sat@small", "agentgym:babyai@embedded")
    for label, outcomes in (("rl", [True, True, False]), ("whole", [True, False, False])):
        write_evaluation(root / label, episodes({name: outcomes for name in names}), CONFIG)
    return root


@pytest.fixture(scope="module")
def expected(folders):
    return numbers(folders, "whole")


def numbers(root, baseline):
    """What a comparison says in numbers: without the names of files and of settings that differ."""
    rl, other = read_evaluation(root / "rl", "rl"), read_evaluation(root / baseline, "other")
    found = compare_all(rl, [other], CONFIG.sampling)
    found["candidate"].pop("folder")
    found.pop("sentence")
    for words in ("folder", "setting_differences", "sentence"):
        found["baselines"]["other"].pop(words)
    return json.dumps(found)


def check(root: Path, expected: str, name: str, damage) -> None:
    """Compare after `damage(text) -> text or bytes` of one file."""
    folder = root / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "whole", folder)
    damaged = damage((folder / name).read_text())
    (folder / name).write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    try:
        found = numbers(root, "damaged")
    except AffineError as error:
        assert WHERE.search(str(error)), str(error)
    else:
        assert found == expected


fuzzed = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@fuzzed
@given(st.integers(0, 10_000), st.sampled_from(["episodes.jsonl", "evaluation.json"]))
def test_a_file_cut_anywhere_is_an_error_or_changes_nothing(folders, expected, length, name):
    check(folders, expected, name, lambda text: text[: length % len(text)])


@settings(fuzzed, max_examples=100)
@given(st.integers(0, TASKS - 1), st.sampled_from(FIELDS), st.sampled_from(VALUES))
def test_a_field_of_another_type_is_an_error_or_changes_nothing(folders, expected, number, path, value):
    def damage(text):
        lines = text.splitlines()
        row = json.loads(lines[number])
        *parents, last = path
        holder = row
        for key in parents:
            holder = holder[key]
        if path == ("grade", "success") and isinstance(value, bool):
            return text  # a success is what it says
        if path == ("grade", "reward") and value == 1:
            return text
        holder[last] = value
        lines[number] = json.dumps(row)
        return "\n".join(lines) + "\n"

    check(folders, expected, "episodes.jsonl", damage)


@fuzzed
@given(st.integers(0, TASKS - 1), st.sampled_from([path[0] for path in FIELDS]))
def test_a_row_of_another_schema_is_an_error_with_its_line(folders, expected, number, field):
    def damage(text):
        lines = text.splitlines()
        row = json.loads(lines[number])
        row[f"{field}_v2"] = row.pop(field)
        lines[number] = json.dumps(row)
        return "\n".join(lines)

    check(folders, expected, "episodes.jsonl", damage)


@fuzzed
@given(st.integers(0, TASKS - 1), st.integers(0, TASKS))
def test_a_duplicated_task_is_an_error_with_both_lines(folders, expected, number, place):
    def damage(text):
        lines = text.splitlines()
        return "\n".join([*lines[:place], lines[number], *lines[place:]])

    check(folders, expected, "episodes.jsonl", damage)


@fuzzed
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=6))
def test_bytes_written_over_a_file_are_an_error_or_change_nothing(folders, expected, place, noise):
    def damage(text):
        whole = text.encode()
        start = whole.index(b'"turns"') if place % 2 else 0  # not the grade: another grade is another result
        at = start + place % 40
        return whole[:at] + noise + whole[at + len(noise) :]

    check(folders, expected, "episodes.jsonl", damage)


@fuzzed
@given(
    st.sampled_from(["per_environment", "settings", "schema_version", "success", "statistics"]),
    st.sampled_from(VALUES),
)
def test_a_summary_of_another_schema_is_an_error_or_changes_nothing(folders, expected, field, value):
    def damage(text):
        summary = json.loads(text)
        summary[field] = value
        return json.dumps(summary)

    check(folders, expected, "evaluation.json", damage)


def test_a_score_outside_0_to_1_is_an_error_with_its_line(folders, expected):
    def damage(text):
        return text.replace('"reward": 1.0, "success"', '"reward": 1.5, "success"', 1)

    with pytest.raises(AssertionError):  # the damage is real: it would change the numbers
        assert damage("") == (folders / "whole" / "episodes.jsonl").read_text()
    check(folders, expected, "episodes.jsonl", damage)
