"""What each interactive environment brings: games played by text actions, and an expert who plays them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from affine_trainer.records import SnapshotKind, Split


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one action led to.

    `reward` is what the environment itself pays for this action, in its own units; `score` is its score of
    the play so far. Both are raw: the conversion to a grade is made elsewhere.
    """

    observation: str
    reward: float
    score: float
    done: bool


class Move(NamedTuple):
    """What an expert does and why; the thought is made from what it has seen so far."""

    thought: str
    action: str


class GameInfo(NamedTuple):
    """About a task without playing it. `content` (JSON types) is what equal tasks share, wording aside."""

    content: Any
    kind: str
    difficulty: float


class Game(Protocol):
    """One play of one task, single-use."""

    snapshot_kind: SnapshotKind

    @property
    def success(self) -> bool:
        """The environment's own predicate, of the play so far."""
        ...

    @property
    def progress(self) -> float:
        """How near the goal is, from 0 to 1: a function of the state, for potential-based shaping."""
        ...

    def observe(self) -> str:
        """The first observation, with the goal."""
        ...

    def act(self, action: str) -> Outcome:
        """Do one action; any text is accepted, and one that is not understood says so and changes nothing."""
        ...

    def actions(self) -> list[str]:
        """Every action that is understood now (or a fair sample of them where there are endlessly many)."""
        ...

    def snapshot(self) -> bytes: ...

    def restore(self, state: bytes) -> None: ...

    def close(self) -> None: ...


class Expert(Protocol):
    """A scripted player of one game."""

    def move(self, observation: str) -> Move:
        """The next action after this observation."""
        ...


class Games(Protocol):
    """All tasks of one interactive environment; a task is a pure function of its index."""

    env: str
    family: str

    @property
    def max_open(self) -> int:
        """How many games may be open at once."""
        ...

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        """The first `count` indices of a split in the order drawn by `seed`; a shorter list is a prefix."""
        ...

    def info(self, index: int) -> GameInfo: ...

    def start(self, index: int) -> Game: ...

    def expert(self, game: Game) -> Expert:
        """A player for a game that has just begun."""
        ...
