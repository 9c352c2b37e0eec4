"""One play of a BabyAI level: text in, text out, over a minigrid board."""

from __future__ import annotations

import re
from typing import Any

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.babyai.progress import progress
from affine_trainer.envs.babyai.state import Pieces, from_bytes, to_bytes
from affine_trainer.envs.babyai.view import WALL, Cell, Pose, View, look, thing_of
from affine_trainer.envs.babyai.wording import (
    COMPLETED,
    NO_CHANGE,
    NOT_RECOGNIZED,
    all_actions,
    describe,
    listing,
    offers,
)
from affine_trainer.records import SnapshotKind


class BabyAIGame:
    """A level played by text actions, each a walk of one or more of minigrid's own steps.

    As on AgentGym's server a walk ends early at a step that changes nothing in view, and pays what its last
    step pays: walking on through a door that the goal only wants opened forfeits it. A wrong door or object
    in a strict level pays nothing and play goes on. Unlike there, success ends the play whatever it paid,
    and so does the level's own limit of steps; a failure is not called completed; and what is carried from
    the start is not also told to lie on the floor.
    """

    snapshot_kind: SnapshotKind = "exact"

    def __init__(self, board: Any, list_actions: bool) -> None:
        self._board = board
        self._pieces = Pieces(board)
        self._list_actions = list_actions
        self._score = 0.0
        self._done = False
        self._look()
        self._text = describe(self._view, self.carrying) + self._listing()

    @property
    def goal(self) -> str:
        """The mission as the server words it, which hides in what order two parts are to be done."""
        return self._board.mission.replace("then", "and").replace("after you", "and")

    @property
    def success(self) -> bool:
        return self._score > 0

    @property
    def progress(self) -> float:
        return 1.0 if self.success else progress(self._board)

    @property
    def view(self) -> View:
        """What the player sees now."""
        return self._view

    @property
    def carrying(self) -> Cell:
        """What the player carries now."""
        return thing_of(self._board.carrying)

    @property
    def room_size(self) -> int:
        """Cells from a room's wall to the wall opposite, both counted."""
        return self._board.room_size

    def observe(self) -> str:
        return f"Your goal: {self.goal}\n{describe(self._view, self.carrying)}{self._listing()}"

    def act(self, action: str) -> Outcome:
        if self._done:
            return Outcome(self._text, 0.0, self._score, True)
        action = re.sub(r"^pick up ", "pickup ", action.lower().strip())
        if "check" in action:
            return self._told(all_actions(self._offer))
        moves = self._offer.moves.get(action)
        if moves is None and action:
            return self._told(self._offer.refusals.get(action, NOT_RECOGNIZED))
        if not moves:
            return self._told(NO_CHANGE)
        return self._walk(moves)

    def actions(self) -> list[str]:
        return [] if self._done else list(self._offer.moves)

    def snapshot(self) -> bytes:
        return to_bytes(
            {"board": self._pieces.save(), "score": self._score, "done": self._done, "text": self._text}
        )

    def restore(self, state: bytes) -> None:
        saved = from_bytes(state)
        self._pieces.load(saved["board"])
        self._score, self._done, self._text = saved["score"], saved["done"], saved["text"]
        self._look()

    def close(self) -> None:
        """Nothing is held open."""

    def _walk(self, moves: list[int]) -> Outcome:
        reward, seen = 0.0, self._view
        for move in moves:
            _, paid, _, truncated, _ = self._board.step(move)
            reward, before, seen = float(paid), seen, self._see()
            if truncated or seen.image == before.image:
                self._done = truncated
                break
        self._look()
        text = describe(self._view, self.carrying)
        if reward > 0:
            self._score, self._done = reward, True
            text += COMPLETED
        return self._told(text, reward)

    def _told(self, text: str, reward: float = 0.0) -> Outcome:
        self._text = text + self._listing()
        return Outcome(self._text, reward, self._score, self._done)

    def _listing(self) -> str:
        return listing(self._offer) if self._list_actions else ""

    def _look(self) -> None:
        self._view = self._see()
        self._offer = offers(self._view, self.carrying)

    def _see(self) -> View:
        board = self._board
        width, height, cells = board.grid.width, board.grid.height, board.grid.grid
        pose = Pose(int(board.agent_pos[0]), int(board.agent_pos[1]), int(board.agent_dir))

        def cell_at(x: int, y: int) -> Cell:
            inside = 0 <= x < width and 0 <= y < height
            return thing_of(cells[y * width + x]) if inside else WALL

        return look(cell_at, pose, self.carrying)
