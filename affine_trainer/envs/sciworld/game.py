"""One play of one science task, with snapshots that replay its actions."""

from __future__ import annotations

import json
from collections.abc import Callable

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.sciworld.world import World
from affine_trainer.errors import AffineError
from affine_trainer.records import SnapshotKind

FULL_SCORE = 100
MOST_MOVES = 100  # ticks; the server ends a game that has taken more
GAME_OVER = "The task is over."


class SciWorldGame:
    """A play; acting raises SimulatorError when its Java process is gone, and it then has no score."""

    snapshot_kind: SnapshotKind = "replay"

    def __init__(self, index: int, open_world: Callable[[], World]) -> None:
        self.index = index
        self._open_world = open_world
        self._begin()

    def _begin(self) -> None:
        self._world = self._open_world()
        self._actions: list[str] = []
        self._score = self._world.opening.score
        self._done = False

    @property
    def success(self) -> bool:
        return self._score == FULL_SCORE

    @property
    def progress(self) -> float:
        return max(self._score, 0) / FULL_SCORE

    def observe(self) -> str:
        return f"{self._world.task_description}\n{self._world.opening.observation}"

    def act(self, action: str) -> Outcome:
        if self._done:
            return Outcome(GAME_OVER, 0.0, self._score, True)
        reading = self._world.step(action)
        self._actions.append(action)
        reward = reading.score - self._score
        self._score = reading.score
        self._done = reading.completed or reading.score < 0 or reading.moves > MOST_MOVES
        return Outcome(reading.observation, reward, self._score, self._done)

    def actions(self) -> list[str]:
        """What the simulator holds for possible now, some of it in vain; nothing after the end."""
        return [] if self._done else self._world.valid_actions()

    def snapshot(self) -> bytes:
        return json.dumps({"index": self.index, "actions": self._actions}).encode()

    def restore(self, state: bytes) -> None:
        """Play the snapshot's actions from the beginning, in a fresh world."""
        saved = json.loads(state)
        if saved["index"] != self.index:
            raise AffineError(f"a snapshot of game {saved['index']} cannot be restored in game {self.index}")
        self.close()
        self._begin()
        for action in saved["actions"]:
            self.act(action)

    def close(self) -> None:
        self._world.close()
