"""Prints the size of each program family, and how often an input that was not meant gives the output."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from random import Random
from typing import NamedTuple

from affine_trainer.envs.programs import FAMILIES, Family, ProgramRow, generate
from affine_trainer.envs.programs.reference import run_reference
from affine_trainer.envs.programs.rows import draw_row
from affine_trainer.envs.splits import SPLIT_RANGES
from affine_trainer.records import Split, seed_from, sha256_of


class FamilyFigures(NamedTuple):
    """What was measured on the rows of one family; rates are shares of rows."""

    empty_rate: float
    other_rate: float
    echo_rate: float
    twin_rate: float
    program_chars: int
    prompt_chars: int


def reproduces(row: ProgramRow, stdin: str) -> bool:
    """Whether the row's program prints the row's output on another input; an error is a no."""
    try:
        return run_reference(row.program, stdin) == row.output
    except (ArithmeticError, EOFError, LookupError, ValueError, RecursionError):
        return False


def twin_passes(family: Family, row: ProgramRow, rng: Random) -> bool:
    """Whether the reference with one parameter changed passes all cases of the row."""
    near = [
        other
        for other in family.combinations
        if sum(other[name] != row.parameters[name] for name in other) == 1
    ]
    twin = replace(row, program=family.source(rng.choice(near)))
    return all(reproduces(replace(twin, output=case.stdout), case.stdin) for case in row.cases)


def measure(family: Family, count: int) -> FamilyFigures:
    """Figures over `count` rows, each tried with the input of the next row of the same family."""
    split: Split = "evaluation" if family.held_out else "train"
    rows = [draw_row(family, split, Random(seed_from("figures", family.name, i))) for i in range(count)]
    rng = Random(seed_from("twins", family.name))
    return FamilyFigures(
        empty_rate=sum(reproduces(row, "") for row in rows) / count,
        other_rate=sum(reproduces(row, rows[i - 1].inputs) for i, row in enumerate(rows)) / count,
        echo_rate=sum(reproduces(row, row.output) for row in rows) / count,
        twin_rate=sum(twin_passes(family, row, rng) for row in rows) / count,
        program_chars=max(len(row.program) for row in rows),
        prompt_chars=max(len(row.prompt) for row in rows),
    )


def print_families(count: int) -> None:
    """One line a family. The rates say how often a row accepts what it should not:

    empty, other, echo: ABD, the empty input, another row's input, and the output itself as the input;
    twin: DED, the reference program with one other parameter value.
    """
    print(
        "topic          family                   space  pretrain held-out difficulty "
        "empty  other  echo  twin  chars prompt"
    )
    for family in FAMILIES.values():
        figures = measure(family, count)
        print(
            f"{family.topic:14} {family.name:24} {family.parameter_space:5}  {family.pretrain!s:8} "
            f"{family.held_out!s:8} {family.difficulty:10.2f} {figures.empty_rate:6.1%} "
            f"{figures.other_rate:6.1%} {figures.echo_rate:5.1%} {figures.twin_rate:5.1%} "
            f"{figures.program_chars:6} {figures.prompt_chars:6}"
        )


def print_splits(count: int) -> None:
    """For each split: time a row, and the share of distinct problems among `count` rows."""
    for split, indices in SPLIT_RANGES.items():
        start = time.process_time()
        rows = [generate(index) for index in indices[:count]]
        milliseconds = (time.process_time() - start) / count * 1e3
        abd = len({sha256_of(row.abd_content) for row in rows}) / count
        ded = len({sha256_of(row.ded_content) for row in rows}) / count
        print(
            f"{split:10} {milliseconds:.2f} ms of CPU a row, distinct ABD {abd:.1%}, distinct DED {ded:.1%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200, help="rows per family")
    parser.add_argument("--split-rows", type=int, default=3000, help="rows per split")
    arguments = parser.parse_args()
    print_families(arguments.rows)
    print_splits(arguments.split_rows)


if __name__ == "__main__":
    main()
