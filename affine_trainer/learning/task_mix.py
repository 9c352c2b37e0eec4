"""Which tasks each iteration plays: shares by weight, and of a set those whose turn it is."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from affine_trainer.learning.curriculum import Curriculum
from affine_trainer.records import seed_from

# An environment plays at least so many tasks together: its turns cost little more for many than for few.
LEAST_TASKS = 8


class TaskMix:
    """Draws `batch_size` tasks an iteration from several sets, a function of the arguments and `seed`.

    `indices` and `weights` map the name of a set to its task indices and to its share (any positive scale).
    Over a run each set's number of tasks stays within one of its exact share, or within `least` for a set
    whose share of an iteration is smaller than that: it sits out until it is due `least` tasks, so that they
    are played as one batch, and some iterations longer where several sets are due at once. A `curriculum`
    chooses which tasks they are; without one every task comes once before any comes again.
    """

    def __init__(
        self,
        indices: Mapping[str, Sequence[int]],
        weights: Mapping[str, float],
        *,
        batch_size: int,
        seed: int,
        least: int = 1,
        curriculum: Curriculum | None = None,
    ) -> None:
        total = sum(weights[name] for name in indices)
        self._shares = {name: weights[name] / total for name in indices}
        self._indices = indices
        self._batch_size = batch_size
        self._least = least
        self._seed = seed
        self._curriculum = curriculum
        self._counts = [dict.fromkeys(indices, 0)]  # tasks drawn before each iteration
        self._passes: dict[str, tuple[int, list[int]]] = {}

    def draw(self, iteration: int) -> dict[str, list[int]]:
        """The task indices of iteration `iteration`, counted from 0; sets without any are left out."""
        drawn = {}
        for name, positions in self.positions(iteration).items():
            if self._curriculum is None:
                drawn[name] = [self._at(name, position) for position in positions]
            else:
                drawn[name] = self._curriculum.draw(name, len(positions), iteration)
        return drawn

    def positions(self, iteration: int) -> dict[str, range]:
        """Which of all tasks that a set gives over the run are those of `iteration`, counted from 0."""
        while len(self._counts) < iteration + 2:
            self._counts.append(self._after_one_more(self._counts[-1]))
        before, after = self._counts[iteration : iteration + 2]
        return {name: range(before[name], n) for name, n in after.items() if n > before[name]}

    def _after_one_more(self, counts: dict[str, int]) -> dict[str, int]:
        counts = dict(counts)
        before = sum(counts.values())
        after = before + self._batch_size
        rare = [name for name, share in self._shares.items() if share * self._batch_size < self._least]
        if len(rare) == len(self._shares):
            rare = []
        # Not more of them at once than keeps up with their shares: an iteration of many long plays takes
        # many times the memory of others.
        behind = {name: self._shares[name] * after - counts[name] for name in rare}
        due = sorted((name for name in rare if behind[name] >= self._least), key=lambda name: -behind[name])
        at_once = math.ceil(sum(self._shares[name] for name in rare) * self._batch_size / self._least)
        for name in due[:at_once]:
            if sum(counts.values()) + self._least <= after:
                counts[name] += self._least
        often = [name for name in counts if name not in rare]
        for drawn in range(sum(counts.values()) + 1, after + 1):
            neediest = max(often, key=lambda name: self._shares[name] * drawn - counts[name])
            counts[neediest] += 1
        return counts

    def _at(self, name: str, position: int) -> int:
        """The task at `position` of the endless sequence of shuffled passes over a set."""
        number, place = divmod(position, len(self._indices[name]))
        return self._pass(name, number)[place]

    def _pass(self, name: str, number: int) -> list[int]:
        kept = self._passes.get(name)
        if kept is not None and kept[0] == number:
            return kept[1]
        order = list(self._indices[name])
        random.Random(seed_from("task_mix", self._seed, name, number)).shuffle(order)
        self._passes[name] = number, order
        return order
