"""The expert: plays a known solution, and says why from what lies ahead in it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from affine_trainer.envs.agents.game import Move
from affine_trainer.envs.sciworld.thoughts import think
from affine_trainer.records import seed_from

NOTHING_LEFT = Move("All that I planned is done.", "look around")


class GoldExpert:
    """Plays a path without regard to what it observes, since games are deterministic; then it looks on."""

    def __init__(self, index: int, path: Sequence[str]) -> None:
        self._left = list(path)
        self._random = random.Random(seed_from("sciworld thoughts", index))

    @property
    def left(self) -> tuple[str, ...]:
        """The actions still to come."""
        return tuple(self._left)

    def move(self, observation: str) -> Move:
        if not self._left:
            return NOTHING_LEFT
        move = Move(think(self._left, self._random), self._left[0])
        self._left = self._left[1:]
        return move
