"""A program family: one parametrised reference program, how it is described, and what input it reads."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from string import Template
from typing import TypeVar

from affine_trainer.envs.programs.frames import FRAMES, state
from affine_trainer.envs.programs.inputs import Draw, Line
from affine_trainer.records import Split, seed_from

PRETRAIN_MAX_DIFFICULTY = 0.3

Item = TypeVar("Item")
Parameters = Mapping[str, str]
Values = Sequence[object] | Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Family:
    """The data of one family. All texts hold `$name` for each parameter.

    `parameters` maps a name to its values; where the values are a mapping, its keys are the code that goes
    into the program and its values the words that go into a description. `where` leaves out combinations.
    `inputs` draws the standard input line by line; `edges` are inputs that every row considers as test cases.
    """

    name: str
    topic: str
    reads: str
    program: str
    descriptions: tuple[str, ...]
    parameters: Mapping[str, Values]
    inputs: tuple[Line, ...]
    edges: tuple[str, ...]
    difficulty: float
    where: Callable[[Mapping[str, str]], bool] = field(default=lambda parameters: True)
    held_out: bool = False

    @property
    def pretrain(self) -> bool:
        """Whether the embedded model meets this family before collect and SFT: the easier ones."""
        return not self.held_out and self.difficulty <= PRETRAIN_MAX_DIFFICULTY

    @cached_property
    def combinations(self) -> tuple[Parameters, ...]:
        """Every allowed combination of parameter values, as the code they become."""
        names = list(self.parameters)
        values = [[str(value) for value in self.parameters[name]] for name in names]
        combined = (dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*values))
        return tuple(parameters for parameters in combined if self.where(parameters))

    @property
    def parameter_space(self) -> int:
        """The number of distinct parameter combinations."""
        return len(self.combinations)

    @cached_property
    def parameters_of(self) -> Mapping[Split, tuple[Parameters, ...]]:
        """The combinations of each split, without overlap; a held-out family has all in evaluation."""
        if self.held_out:
            return {"evaluation": self.combinations}
        shares: dict[Split, int] = {"evaluation": 20, "validation": 10, "pretrain": 20, "train": 50}
        if not self.pretrain:
            shares = {"evaluation": 20, "validation": 10, "train": 70}
        return partition(self.combinations, lambda chosen: sorted(chosen.items()), shares, self.name)

    @cached_property
    def phrasings_of(self) -> Mapping[Split, tuple[tuple[int, int], ...]]:
        """The (description, frame) pairs of each split; pretraining and training share theirs."""
        pairs = tuple(itertools.product(range(len(self.descriptions)), range(len(FRAMES))))
        if self.held_out:
            return {"evaluation": pairs}
        groups = partition(
            pairs, lambda pair: pair, {"evaluation": 20, "validation": 10, "train": 70}, self.name
        )
        return {**groups, "pretrain": groups["train"]}

    def source(self, parameters: Parameters) -> str:
        """The reference program with these parameters."""
        return Template(inspect.cleandoc(self.program)).substitute(parameters)

    def statement(self, parameters: Parameters, phrasing: tuple[int, int]) -> str:
        """The problem as a person would pose it, in the wording of a (description, frame) pair."""
        words = {name: self._in_words(name, value) for name, value in parameters.items()}
        description = Template(self.descriptions[phrasing[0]]).substitute(words)
        reads = Template(self.reads).substitute(words)
        return state(FRAMES[phrasing[1]], reads, description)

    def draw_input(self, draw: Draw) -> str:
        """One standard input, without a final newline."""
        return "\n".join(line(draw) for line in self.inputs)

    def edge_inputs(self, parameters: Parameters) -> list[str]:
        return [Template(edge).substitute(parameters) for edge in self.edges]

    def _in_words(self, name: str, value: str) -> str:
        values = self.parameters[name]
        return values[value] if isinstance(values, Mapping) else value


def partition(
    items: Iterable[Item], identity: Callable[[Item], object], percent: Mapping[Split, int], salt: str
) -> dict[Split, tuple[Item, ...]]:
    """Cut `items`, ordered by a hash of their identity, into disjoint shares; at least one item a share."""
    ordered = sorted(items, key=lambda item: seed_from(salt, identity(item)))
    groups: dict[Split, tuple[Item, ...]] = {}
    start = 0
    splits = list(percent)
    for split in splits[:-1]:
        stop = start + max(1, len(ordered) * percent[split] // 100)
        groups[split] = tuple(ordered[start:stop])
        start = stop
    groups[splits[-1]] = tuple(ordered[start:])
    return groups
