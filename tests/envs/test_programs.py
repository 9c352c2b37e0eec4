"""The generator of programming problems: its rows are valid, discriminating, pure, and apart by split."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from itertools import product
from random import Random
from string import Template

import pytest

from affine_trainer.envs.programs import FAMILIES, TOPICS, Family, ProgramRow, generate
from affine_trainer.envs.programs.frames import FRAMES
from affine_trainer.envs.programs.reference import run_reference
from affine_trainer.envs.programs.rows import draw_row
from affine_trainer.envs.splits import SPLIT_RANGES
from affine_trainer.errors import AffineError
from affine_trainer.records import Split, sha256_of

# Task keys name these rows: when this changes, every published result of an earlier version is void.
DIGEST = "702fe952a37a8144082899eb09a32e1af7c2aafdbf813482ccfaa5a852b87f0a"

KNOWN = [family for family in FAMILIES.values() if not family.held_out]
ERRORS = (ArithmeticError, EOFError, LookupError, ValueError, RecursionError)


@cache
def rows_of(split: Split, count: int) -> tuple[ProgramRow, ...]:
    return tuple(generate(index) for index in SPLIT_RANGES[split][:count])


@cache
def held_out_rows(count: int) -> tuple[ProgramRow, ...]:
    return tuple(generate(index, held_out=True) for index in range(count))


def family_rows(family: Family, count: int) -> list[ProgramRow]:
    split: Split = "evaluation" if family.held_out else "train"
    return [draw_row(family, split, Random(seed)) for seed in range(count)]


def reproduces(program: str, stdin: str, stdout: str) -> bool:
    try:
        return run_reference(program, stdin) == stdout
    except ERRORS:
        return False


def passes_input_gate(program: str, stdin: str) -> bool:
    """The check that validators make before they run an abduced input."""
    lines = stdin.split("\n")
    if "for _ in range(int(input()))" in program and lines[0].isdigit():
        return len(lines) > int(lines[0])
    return len(lines) >= program.count("input()")


def fields_of(text: str) -> set[str]:
    return {match["named"] or match["braced"] for match in Template.pattern.finditer(text)}


def digest_of_rows() -> str:
    rows = [generate(index) for split in SPLIT_RANGES for index in SPLIT_RANGES[split][:60]]
    rows += [generate(index, held_out=True) for index in range(30)]
    return sha256_of([[row.prompt, row.program, row.inputs, row.output, row.cases] for row in rows])


def test_there_are_enough_families_in_every_topic():
    assert len(FAMILIES) >= 64
    assert sum(len(families) for families in TOPICS.values()) == len(FAMILIES)
    assert len(TOPICS) == 9
    assert all(len(families) >= 6 for families in TOPICS.values())
    assert all(family.topic == topic for topic, families in TOPICS.items() for family in families)


def test_about_ten_families_over_most_topics_are_held_out():
    held_out = [family for family in FAMILIES.values() if family.held_out]
    assert 8 <= len(held_out) <= 12
    assert len({family.topic for family in held_out}) >= 8


def test_about_a_quarter_of_the_known_families_are_for_pretraining():
    pretrain = [family for family in KNOWN if family.pretrain]
    others = [family for family in KNOWN if not family.pretrain]
    assert 0.2 <= len(pretrain) / len(KNOWN) <= 0.3
    assert max(family.difficulty for family in pretrain) < min(family.difficulty for family in others)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_description_names_every_parameter(family: Family):
    assert len(family.descriptions) >= 3
    for description in family.descriptions:
        assert fields_of(description) | fields_of(family.reads) == set(family.parameters)
        assert not description.endswith(".")
        assert description.startswith("$op ") or description[0].islower()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_rows_of_every_family_are_valid(family: Family):
    for row in family_rows(family, 12):
        assert "$" not in row.program + row.prompt
        assert len(row.program) <= 350
        assert len(row.prompt) <= 200
        assert 0 < len(row.output) <= 40
        assert len(row.inputs.split("\n")) <= 5
        assert run_reference(row.program, row.inputs) == row.output
        assert passes_input_gate(row.program, row.inputs)
        assert len({case.stdin for case in row.cases}) == len(row.cases) >= 6
        assert len({case.stdout for case in row.cases}) >= 2
        assert 2 * sum(case.hidden for case in row.cases) == len(row.cases)
        for stdin in (row.inputs, *(case.stdin for case in row.cases)):
            assert all(line and line == line.strip() for line in stdin.split("\n"))


@pytest.mark.parametrize("split", SPLIT_RANGES)
def test_references_pass_their_own_cases(split: Split):
    for row in rows_of(split, 1000):
        assert all(reproduces(row.program, case.stdin, case.stdout) for case in row.cases)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_the_interpreter_agrees_with_the_expected_outputs(family: Family):
    row = family_rows(family, 1)[0]
    case = row.cases[-1]
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", row.program],
        input=case.stdin + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout.rstrip() == case.stdout


def test_programs_with_one_other_parameter_fail_the_cases():
    tried = passed = 0
    for family in FAMILIES.values():
        for row in family_rows(family, 6):
            near = [
                other
                for other in family.combinations
                if sum(other[name] != row.parameters[name] for name in other) == 1
            ]
            program = family.source(Random(row.prompt.count("e")).choice(near))
            tried += 1
            passed += all(reproduces(program, case.stdin, case.stdout) for case in row.cases)
    assert passed / tried < 0.03


def test_few_inputs_that_were_not_meant_lead_to_the_output():
    others, empties, echoes = [], [], []
    for family in FAMILIES.values():
        rows = family_rows(family, 40)
        others.append(
            sum(reproduces(row.program, rows[i - 1].inputs, row.output) for i, row in enumerate(rows)) / 40
        )
        empties.append(sum(reproduces(row.program, "", row.output) for row in rows) / 40)
        echoes.append(sum(reproduces(row.program, row.output, row.output) for row in rows) / 40)
    assert max(others) < 0.4
    assert sum(others) / len(others) < 0.05
    assert sum(empties) / len(empties) < 0.01
    assert sum(echoes) / len(echoes) < 0.05


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_the_simplest_input_gives_the_same_output_and_is_no_longer(family: Family):
    for row in family_rows(family, 12):
        simple = row.simplest_input
        assert run_reference(row.program, simple) == row.output
        assert passes_input_gate(row.program, simple)
        assert (len(simple.split()), len(simple)) <= (len(row.inputs.split()), len(row.inputs))


def test_many_inputs_that_are_not_unique_become_simpler():
    rows = rows_of("train", 600)
    assert 0.25 < sum(row.simplest_input != row.inputs for row in rows) / len(rows) < 0.6


def test_no_two_parameter_combinations_give_the_same_program():
    programs = [family.source(chosen) for family in FAMILIES.values() for chosen in family.combinations]
    assert len(set(programs)) == len(programs)


@pytest.mark.parametrize("family", KNOWN, ids=lambda family: family.name)
def test_splits_share_no_parameters(family: Family):
    assert 20 <= family.parameter_space <= 5000
    groups = family.parameters_of
    assert sum(len(group) for group in groups.values()) == family.parameter_space
    assert all(len(group) >= 4 for group in groups.values())
    drawn = [sha256_of(chosen) for group in groups.values() for chosen in group]
    assert len(set(drawn)) == len(drawn)
    assert ("pretrain" in groups) == family.pretrain


@pytest.mark.parametrize("family", KNOWN, ids=lambda family: family.name)
def test_validation_and_evaluation_wordings_are_unseen_pairs_of_known_parts(family: Family):
    groups = family.phrasings_of
    seen = set(groups["train"])
    assert groups["pretrain"] == groups["train"]
    assert groups["validation"] and groups["evaluation"]
    assert not seen & set(groups["validation"])
    assert not seen & set(groups["evaluation"])
    assert not set(groups["validation"]) & set(groups["evaluation"])
    assert seen | set(groups["validation"]) | set(groups["evaluation"]) == set(
        product(range(len(family.descriptions)), range(len(FRAMES)))
    )
    assert {description for description, _ in seen} == set(range(len(family.descriptions)))


def test_every_frame_is_known_from_training():
    assert {frame for family in KNOWN for _, frame in family.phrasings_of["train"]} == set(range(len(FRAMES)))


def test_no_problem_of_either_kind_is_in_two_splits():
    for kind in ("abd_content", "ded_content"):
        contents = [{sha256_of(getattr(row, kind)) for row in rows_of(split, 3000)} for split in SPLIT_RANGES]
        contents.append({sha256_of(getattr(row, kind)) for row in held_out_rows(1000)})
        assert len(set().union(*contents)) == sum(map(len, contents))


def test_most_training_problems_are_distinct():
    rows = rows_of("train", 3000)
    assert len({sha256_of(row.abd_content) for row in rows}) >= 0.98 * len(rows)
    assert len({sha256_of(row.ded_content) for row in rows}) >= 0.85 * len(rows)


def test_held_out_families_appear_only_when_asked_for():
    known = {family.name for family in KNOWN}
    assert {row.family for split in SPLIT_RANGES for row in rows_of(split, 3000)} == known
    assert {row.family for row in held_out_rows(1000)} == set(FAMILIES) - known


def test_pretraining_meets_only_its_families():
    easy = {family.name for family in KNOWN if family.pretrain}
    assert {row.family for row in rows_of("pretrain", 3000)} == easy


@pytest.mark.parametrize("index", [1_000_000, 2_000_000, 1_000_000_000])
def test_held_out_rows_are_refused_outside_evaluation(index: int):
    with pytest.raises(AffineError, match="evaluation only"):
        generate(index, held_out=True)


def test_an_index_outside_every_split_is_refused():
    with pytest.raises(AffineError, match="2000000000"):
        generate(2_000_000_000)


def test_a_row_depends_on_its_index_alone():
    indices = [3, 1_000_003, 2_000_003, 1_000_000_003]
    first = [generate(index) for index in indices]
    assert [generate(index) for index in reversed(indices)] == first[::-1]
    assert first[0] != generate(3, held_out=True)


def test_rows_are_the_same_in_every_process_and_python_version():
    assert digest_of_rows() == DIGEST


def test_hash_randomisation_does_not_change_rows():
    code = "from affine_trainer.envs.programs import generate; print(generate(2_000_017))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{generate(2_000_017)}\n"}
