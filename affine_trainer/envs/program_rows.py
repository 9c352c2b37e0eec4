"""The rows that ABD and DED pose: our generator's, or those of a data set on the hub or on disk."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from affine_trainer.config import AffineDataConfig
from affine_trainer.envs.cases import TestCase, parse_cases
from affine_trainer.envs.programs import generate
from affine_trainer.envs.row_sources import RawRow, read_batches, short_name
from affine_trainer.envs.splits import draw_indices
from affine_trainer.errors import DataError
from affine_trainer.records import Split, seed_from, sha256_of
from affine_trainer.tracking import progress

GENERATED_FAMILIES = ("generated-v1", "heldout-v1")
EVALUATION_PERCENT = 10
VALIDATION_PERCENT = 10
UNKNOWN_DIFFICULTY = 0.5
CASE_FIELDS = ("verification_info", "test_cases")


@dataclass(frozen=True, slots=True)
class Row:
    """One problem. `abd_sha256` and `ded_sha256` name what each environment asks, whatever its wording.

    `find_input` gives an input with that `output`, and may search for a simple one.
    """

    prompt: str
    program: str
    find_input: Callable[[], str]
    output: str
    cases: tuple[TestCase, ...]
    difficulty: float
    abd_sha256: str
    ded_sha256: str


class Rows(Protocol):
    """Rows by index, and which of them each split holds."""

    family: str

    def indices(self, env: str, split: Split, count: int, seed: int) -> list[int]: ...

    def row(self, index: int) -> Row: ...


class GeneratedRows:
    """Rows of our own generator: the known program families, or with `held_out` those kept for evaluation."""

    def __init__(self, *, held_out: bool) -> None:
        self.family = GENERATED_FAMILIES[held_out]
        self._held_out = held_out

    def indices(self, env: str, split: Split, count: int, seed: int) -> list[int]:
        return draw_indices(env, self.family, split, count, seed)

    def row(self, index: int) -> Row:
        return _generated_row(index, self._held_out)


@lru_cache(maxsize=4096)
def _generated_row(index: int, held_out: bool) -> Row:
    made = generate(index, held_out=held_out)
    cases = tuple(TestCase("stdin_stdout", case.stdin, case.stdout) for case in made.cases)
    return Row(
        prompt=made.prompt,
        program=made.program,
        find_input=lambda: made.simplest_input,
        output=made.output,
        cases=cases,
        difficulty=made.difficulty,
        abd_sha256=sha256_of(made.abd_content),
        ded_sha256=sha256_of(made.ded_content),
    )


class DataSetRows:
    """Rows of a data set, read forward as they are asked for and kept in memory; an index is a row's number.

    A read takes `max_batch` rows at a time until at least `buffer_size` rows wait beyond the one asked for.
    A row's split follows from a hash of its problem, so equal problems share one. `required` are the fields
    that every row must have; "cases" stands for `verification_info` or `test_cases`.
    """

    def __init__(self, settings: AffineDataConfig, required: tuple[str, ...]) -> None:
        self.family = short_name(settings.programs)
        self._settings = settings
        self._required = required
        self._batches: Iterator[list[RawRow]] = read_batches(settings)
        self._complete = False
        self._failure: DataError | None = None
        self._rows: list[Row] = []
        self._lock = threading.Lock()

    def indices(self, env: str, split: Split, count: int, seed: int) -> list[int]:
        """At most `count` row numbers; fewer where the split holds fewer, DataError where it holds none."""
        self._read_beyond(None)
        members = [number for number, row in enumerate(self._rows) if row_split(row) == split]
        if count and not members:
            raise DataError(
                f"{self._settings.programs} has no {split} rows among its {len(self._rows)}; "
                "use a larger set, or data.affine.programs=generated"
            )
        random.Random(seed_from("rows", env, self.family, split, seed)).shuffle(members)
        return members[:count]

    def row(self, index: int) -> Row:
        self._read_beyond(index)
        if not 0 <= index < len(self._rows):
            raise DataError(f"{self._settings.programs} has {len(self._rows)} rows; there is no row {index}")
        return self._rows[index]

    def _read_beyond(self, index: int | None) -> None:
        """Hold `index` and `buffer_size` rows after it, or with None every row."""
        with self._lock:
            if self._failure:
                raise self._failure  # asked again, a broken set must not pass for a shorter one
            if self._complete or not self._is_short_of(index):
                return
            try:
                with progress(f"reading {self._settings.programs}", None, unit="rows") as bar:
                    while not self._complete and self._is_short_of(index):
                        bar.advance(self._read_batch())
            except DataError as error:
                self._failure = error
                raise

    def _is_short_of(self, index: int | None) -> bool:
        return index is None or len(self._rows) <= index + self._settings.buffer_size

    def _read_batch(self) -> int:
        """Take the next batch, or find that there is none; returns its size."""
        source = self._settings.programs
        batch = next(self._batches, None)
        if batch is None:
            self._complete = True
            if not self._rows:
                raise DataError(f"{source} holds no rows; give data.affine.programs a set with rows")
            return 0
        for raw in batch:
            self._rows.append(read_row(raw, len(self._rows), source, self._required))
        return len(batch)


def row_split(row: Row) -> Split:
    """The split of a data set's row, from its problem statement, or its program where it has none."""
    share = seed_from("row", " ".join((row.prompt or row.program).split())) % 100
    if share < EVALUATION_PERCENT:
        return "evaluation"
    return "validation" if share < EVALUATION_PERCENT + VALIDATION_PERCENT else "train"


def read_row(raw: RawRow, number: int, source: str, required: tuple[str, ...]) -> Row:
    """A data set's row; DataError naming the row and the field where one is missing or not text.

    `required` names the text fields; "cases" stands for `verification_info` or `test_cases`, which are
    read only where they are required.
    """
    for name in required:
        if name == "cases":
            if not any(raw.get(cases) for cases in CASE_FIELDS):
                raise DataError(
                    f"row {number} of {source} lacks {' or '.join(CASE_FIELDS)}; DED grades by them"
                )
        elif not isinstance(raw.get(name), str):
            state = "lacks the field" if raw.get(name) is None else "has no text in the field"
            raise DataError(
                f"row {number} of {source} {state} {name!r}; these are needed: {', '.join(required)}"
            )
    prompt, program, inputs, output = (_text(raw, name) for name in ("prompt", "program", "inputs", "output"))
    written_cases = next((raw[name] for name in CASE_FIELDS if raw.get(name)), None)
    return Row(
        prompt=prompt,
        program=program,
        find_input=lambda: inputs,
        output=output,
        cases=parse_cases(written_cases) if "cases" in required else (),
        difficulty=UNKNOWN_DIFFICULTY,
        abd_sha256=sha256_of({"program": program, "output": output}),
        ded_sha256=sha256_of({"prompt": " ".join(prompt.split())}),
    )


def _text(raw: RawRow, name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""
