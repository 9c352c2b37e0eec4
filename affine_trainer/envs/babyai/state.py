"""The state of a minigrid board as plain data, and a board set to such a state."""

from __future__ import annotations

import json
from typing import Any

Pair = list[int]


class Pieces:
    """The things of one board that can move or change, numbered in the order they lie on the fresh board.

    Two boards of the same task number theirs alike, so a state taken from one fits the other. Steps draw no
    random numbers, so there is no generator to keep.
    """

    def __init__(self, board: Any) -> None:
        self._board = board
        self.things = [thing for thing in board.grid.grid if thing is not None and thing.type != "wall"]
        if board.carrying is not None:
            self.things.append(board.carrying)
        self._numbers = {id(thing): number for number, thing in enumerate(self.things)}

    def save(self) -> dict[str, Any]:
        """Everything on the board that a step reads or writes, in JSON types."""
        board = self._board
        width = board.grid.width
        lies: list[Pair | None] = [None] * len(self.things)
        for cell, thing in enumerate(board.grid.grid):
            if thing is not None and thing.type != "wall":
                lies[self._numbers[id(thing)]] = [cell % width, cell // width]
        return {
            "agent": [*_pair(board.agent_pos), int(board.agent_dir)],
            "steps": board.step_count,
            "carrying": self._number(board.carrying),
            "lies": lies,
            "doors": [
                [bool(t.is_open), bool(t.is_locked)] if t.type == "door" else None for t in self.things
            ],
            "was_at": [_pair(t.cur_pos) if t.cur_pos is not None else None for t in self.things],
            "verifier": [self._save_instruction(instruction) for instruction in instructions(board.instrs)],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Set the board to a state that `save` returned."""
        board = self._board
        cells = board.grid.grid
        for cell, thing in enumerate(cells):
            if thing is not None and thing.type != "wall":
                cells[cell] = None
        for thing, lies, door, was_at in zip(
            self.things, state["lies"], state["doors"], state["was_at"], strict=True
        ):
            if lies is not None:
                board.grid.set(*lies, thing)
            if door is not None:
                thing.is_open, thing.is_locked = door
            thing.cur_pos = tuple(was_at) if was_at is not None else None
        x, y, board.agent_dir = state["agent"]
        board.agent_pos = (x, y)
        board.step_count = state["steps"]
        board.carrying = self._thing(state["carrying"])
        for instruction, saved in zip(instructions(board.instrs), state["verifier"], strict=True):
            self._load_instruction(instruction, saved)

    def _save_instruction(self, instruction: Any) -> dict[str, Any]:
        if hasattr(instruction, "a_done"):
            return {"a_done": instruction.a_done, "b_done": instruction.b_done}
        positions = [[_pair(position) for position in d.obj_poss] for d in descriptions(instruction)]
        return {"positions": positions, "before": self._number(getattr(instruction, "preCarrying", None))}

    def _load_instruction(self, instruction: Any, saved: dict[str, Any]) -> None:
        if hasattr(instruction, "a_done"):
            instruction.a_done, instruction.b_done = saved["a_done"], saved["b_done"]
            return
        for description, positions in zip(descriptions(instruction), saved["positions"], strict=True):
            description.obj_poss = [tuple(position) for position in positions]
        if hasattr(instruction, "preCarrying"):
            instruction.preCarrying = self._thing(saved["before"])

    def _number(self, thing: Any) -> int | None:
        return None if thing is None else self._numbers[id(thing)]

    def _thing(self, number: int | None) -> Any:
        return None if number is None else self.things[number]


def instructions(root: Any) -> list[Any]:
    """An instruction and all its parts, parents first."""
    if hasattr(root, "instr_a"):
        return [root, *instructions(root.instr_a), *instructions(root.instr_b)]
    return [root]


def descriptions(instruction: Any) -> list[Any]:
    """What an action instruction speaks of: one description, or the moved and the fixed one."""
    names = ("desc", "desc_move", "desc_fixed")
    return [getattr(instruction, name) for name in names if hasattr(instruction, name)]


def to_bytes(state: dict[str, Any]) -> bytes:
    return json.dumps(state, separators=(",", ":")).encode()


def from_bytes(state: bytes) -> dict[str, Any]:
    return json.loads(state)


def _pair(position: Any) -> Pair:
    return [int(position[0]), int(position[1])]
