"""Turns an index into a row: a family, its parameters, a statement, test cases and an input-output pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from random import Random
from typing import Any, NamedTuple

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.inputs import Draw
from affine_trainer.envs.programs.reference import run_reference
from affine_trainer.envs.programs.shrink import RecordedRandom, simplest_input
from affine_trainer.envs.programs.table import FAMILIES
from affine_trainer.envs.splits import split_of
from affine_trainer.errors import AffineError
from affine_trainer.records import Split, seed_from

NUM_CASES = 6
NUM_SAMPLES = 10
MAX_SAMPLES = 60
MAX_OUTPUT_CHARS = 40


class Case(NamedTuple):
    """One test case; `stdin` and `stdout` come without a final newline."""

    stdin: str
    stdout: str
    hidden: bool


@dataclass(frozen=True)
class ProgramRow:
    """One problem: DED asks for `prompt` and grades by `cases`, ABD shows `program` and `output`.

    `choices` are the random choices that made `inputs`; `small` whether they were kept small.
    """

    family: str
    topic: str
    parameters: Mapping[str, str]
    prompt: str
    program: str
    inputs: str
    output: str
    cases: tuple[Case, ...]
    difficulty: float
    choices: tuple[int, ...]
    small: bool

    @cached_property
    def simplest_input(self) -> str:
        """An input with the same output that is as simple as a short search finds: what an expert answers."""
        family = FAMILIES[self.family]
        return simplest_input(
            self.choices,
            lambda rng: family.draw_input(Draw(rng, self.parameters, self.small)),
            lambda stdin: run_reference(self.program, stdin) == self.output,
        )

    @property
    def abd_content(self) -> dict[str, Any]:
        """What an ABD problem asks, whatever its wording."""
        return {"program": self.program, "output": self.output}

    @property
    def ded_content(self) -> dict[str, Any]:
        """What a DED problem asks, whatever its wording and its test inputs."""
        return {"family": self.family, "parameters": dict(self.parameters), "program": self.program}


class _Example(NamedTuple):
    stdin: str
    stdout: str
    choices: tuple[int, ...] = ()

    @property
    def edge(self) -> bool:
        return not self.choices


def generate(index: int, *, held_out: bool = False) -> ProgramRow:
    """The row of `index`, a pure function of the arguments; parameters and wording are those of its split.

    `held_out` draws from the families that no other row uses; AffineError outside the evaluation range.
    """
    split = split_of(index)
    if held_out and split != "evaluation":
        raise AffineError(
            f"held-out program families exist for evaluation only; index {index} is of the {split} split"
        )
    rng = Random(seed_from("programs", index, held_out))
    return draw_row(rng.choice(families_of(split, held_out)), split, rng)


def draw_row(family: Family, split: Split, rng: Random) -> ProgramRow:
    """A row of one family, with parameters and wording of `split`."""
    parameters = rng.choice(family.parameters_of[split])
    phrasing = rng.choice(family.phrasings_of[split])
    program = family.source(parameters)
    small = split == "pretrain"
    examples = _draw_examples(family, program, Draw(rng, parameters, small))
    shown = _pick_shown(examples, program)
    return ProgramRow(
        family=family.name,
        topic=family.topic,
        parameters=parameters,
        prompt=family.statement(parameters, phrasing),
        program=program,
        inputs=shown.stdin,
        output=shown.stdout,
        cases=_pick_cases(examples),
        difficulty=family.difficulty,
        choices=shown.choices,
        small=small,
    )


@cache
def families_of(split: Split, held_out: bool) -> tuple[Family, ...]:
    """The families that rows of a split draw from."""
    known = tuple(family for family in FAMILIES.values() if family.held_out == held_out)
    return tuple(family for family in known if family.pretrain) if split == "pretrain" else known


def _draw_examples(family: Family, program: str, draw: Draw) -> list[_Example]:
    """Edge inputs, then at least NUM_SAMPLES sampled ones, with what the program prints; no input twice.

    More are sampled while all outputs are equal or no sample could be shown, MAX_SAMPLES at most.
    """
    edges = dict.fromkeys(family.edge_inputs(draw.parameters))
    examples = [_Example(stdin, run_reference(program, stdin)) for stdin in edges]
    seen = set(edges)
    for attempt in range(MAX_SAMPLES):
        if attempt >= NUM_SAMPLES and _suffice(examples):
            break
        rng = RecordedRandom(draw.rng)
        stdin = family.draw_input(replace(draw, rng=rng))
        if stdin not in seen:
            seen.add(stdin)
            examples.append(_Example(stdin, run_reference(program, stdin), tuple(rng.made)))
    return examples


def _suffice(examples: list[_Example]) -> bool:
    different = len({example.stdout for example in examples}) > 1
    return different and len(examples) >= NUM_CASES and any(map(_showable, examples))


def _showable(example: _Example) -> bool:
    return not example.edge and 0 < len(example.stdout) <= MAX_OUTPUT_CHARS


def _pick_shown(examples: list[_Example], program: str) -> _Example:
    """The sampled example with the rarest output, so that few inputs lead to it by accident; no mere echo."""
    outputs = Counter(example.stdout for example in examples)
    showable = [example for example in examples if _showable(example)]
    if not showable:
        raise RuntimeError(f"no example of this reference program can be shown:\n{program}")
    return min(showable, key=lambda example: (outputs[example.stdout], example.stdout == example.stdin))


def _pick_cases(examples: list[_Example]) -> tuple[Case, ...]:
    """NUM_CASES test cases with outputs as different as they come; every second one is hidden."""
    met: Counter[str] = Counter()
    repeats: list[int] = []
    for example in examples:
        repeats.append(met[example.stdout])
        met[example.stdout] += 1
    order = sorted(range(len(examples)), key=repeats.__getitem__)[:NUM_CASES]
    return tuple(
        Case(examples[position].stdin, examples[position].stdout, hidden=place % 2 == 1)
        for place, position in enumerate(order)
    )
