"""agentgym:sciworld, embedded: all games of the AgentGym server's list, on the real simulator."""

from __future__ import annotations

import random
from pathlib import Path

from affine_trainer.envs.agents.game import Game, GameInfo
from affine_trainer.envs.sciworld.expert import GoldExpert
from affine_trainer.envs.sciworld.game import SciWorldGame
from affine_trainer.envs.sciworld.gold import GoldPaths
from affine_trainer.envs.sciworld.jvm import SimulatorError
from affine_trainer.envs.sciworld.pool import MOST_JVMS, JvmPool
from affine_trainer.envs.sciworld.table import game_at, indices_of
from affine_trainer.envs.sciworld.world import World, gold_path
from affine_trainer.errors import AffineError
from affine_trainer.records import UNLIMITED, Split, seed_from

LONG_SOLUTION = 100  # rounds, of difficulty 1


class SciWorldGames:
    """The 4,639 games; an index is the server's `data_idx`.

    `cache` is the file that keeps solutions between runs; they cost about a second each.
    No Java process starts before the first game does.
    """

    env = "agentgym:sciworld"
    family = "embedded"
    max_open = UNLIMITED

    def __init__(self, cache: Path | None = None, num_jvms: int = MOST_JVMS) -> None:
        self._pool = JvmPool(num_jvms)
        self._gold = GoldPaths(self._solve, self.start, cache)

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        """The set is finite; AffineError when it holds fewer than `count`."""
        indices = indices_of(split)
        if not 0 <= count <= len(indices):
            raise AffineError(f"{self.env}@{self.family} has {len(indices)} {split} tasks; asked for {count}")
        random.Random(seed_from("indices", self.env, self.family, split, seed)).shuffle(indices)
        return indices[:count]

    def info(self, index: int) -> GameInfo:
        task, variation = game_at(index)
        difficulty = min(1.0, task.expert_rounds / LONG_SOLUTION)
        return GameInfo({"task": task.name, "variation": variation}, task.name, difficulty)

    def start(self, index: int) -> SciWorldGame:
        """AffineError when Java or the simulator is missing, SimulatorError when its process fails."""
        task, variation = game_at(index)
        return SciWorldGame(index, lambda: self._open(task.name, variation))

    def _open(self, task: str, variation: int) -> World:
        """A fresh world; in another process when the first one turns out to have died since its last play."""
        try:
            return World(self._pool.jvm(), task, variation)
        except SimulatorError:
            return World(self._pool.jvm(), task, variation)

    def expert(self, game: Game) -> GoldExpert:
        """The simulator's solution, played step by step; SimulatorError where it has none."""
        if not isinstance(game, SciWorldGame):
            raise AffineError(f"the expert of {self.env} plays its games only")
        return GoldExpert(game.index, self._gold.path(game.index))

    def _solve(self, index: int) -> list[str]:
        task, variation = game_at(index)
        return gold_path(self._pool.jvm(), task.name, variation)

    @property
    def pids(self) -> list[int]:
        """The living Java processes."""
        return self._pool.pids

    def close(self) -> None:
        """End the Java processes; the trainer's own end does so too."""
        self._pool.close()
