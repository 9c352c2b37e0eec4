"""How near the goal of a board is: parts of the goal done, and the way left to the next thing it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from affine_trainer.envs.babyai.state import instructions
from affine_trainer.envs.babyai.view import STEPS, Position

_NEAREST = 0.9  # what a part is worth at most before it is done


def progress(board: Any) -> float:
    """From 0 to below 1: the share of the goal's parts that are done, and how near the nearest open one is.

    It reads the board itself, hidden cells too, so it shapes rewards in training and is never shown.
    """
    done, open_parts = _parts(board.instrs)
    total = sum(not hasattr(part, "instr_a") for part in instructions(board.instrs))
    if not open_parts:
        return _NEAREST
    ways = _Ways(board)
    return (done + _NEAREST * max(_nearness(board, part, ways) for part in open_parts)) / total


def _parts(instruction: Any) -> tuple[int, list[Any]]:
    """How many parts are done, and those that count now: in a sequence the later ones wait."""
    if not hasattr(instruction, "instr_a"):
        return 0, [instruction]
    kind = type(instruction).__name__
    first, second = (instruction.instr_a, instruction.a_done), (instruction.instr_b, instruction.b_done)
    if kind == "AfterInstr":
        first, second = second, first
    done, open_parts = 0, []
    for part, status in (first, second):
        if status == "success":
            done += sum(not hasattr(piece, "instr_a") for piece in instructions(part))
            continue
        more, opened = _parts(part)
        done += more
        open_parts += opened
        if kind != "AndInstr":
            break
    return done, open_parts


class _Ways:
    """Steps from the agent to every cell it could get to: walls and doors without their key stop it."""

    def __init__(self, board: Any) -> None:
        self.span = board.grid.width + board.grid.height
        self.locked: set[str] = set()
        start = int(board.agent_pos[0]), int(board.agent_pos[1])
        held = board.carrying
        key = held.color if held is not None and held.type == "key" else None
        self._steps = {start: 0}
        queue = [start]
        for x, y in queue:
            for dx, dy in STEPS:
                place = x + dx, y + dy
                if place in self._steps:
                    continue
                found = board.grid.get(*place)
                if found is not None and found.type == "wall":
                    continue
                self._steps[place] = self._steps[x, y] + 1
                if found is not None and found.type == "door" and found.is_locked and found.color != key:
                    self.locked.add(found.color)
                    continue
                queue.append(place)

    def nearness(self, places: Iterable[Position]) -> float | None:
        """1 next to the nearest of these places, down to 0 with the steps to it; None if none is reached."""
        steps = [self._steps[place] for place in places if place in self._steps]
        return max(0.0, 1.0 - max(0, min(steps) - 1) / self.span) if steps else None


def _nearness(board: Any, part: Any, ways: _Ways) -> float:
    """From 0 to 1, how near one part is to done."""
    kind = type(part).__name__
    if kind == "PutNextInstr":
        moved = part.desc_move.obj_set
        if any(board.carrying is thing for thing in moved):
            return 0.5 + 0.5 * _toward(board, _places(board, part.desc_fixed.obj_set), ways)
        return 0.5 * _toward(board, _places(board, moved), ways)
    wanted = part.desc.obj_set
    if kind == "OpenInstr":
        wanted = [door for door in wanted if not door.is_open]
        if not wanted:
            return 0.0  # a door that stands open is closed by no text action, so it can no longer be opened
        held = board.carrying
        if all(door.is_locked for door in wanted) and not any(_opens(held, door) for door in wanted):
            return 0.5 * (ways.nearness(_keys(board, {door.color for door in wanted})) or 0.0)
    return _toward(board, _places(board, wanted), ways)


def _toward(board: Any, places: list[Position], ways: _Ways) -> float:
    """From 0.5 to 1 by the way to the nearest place; below, by the way to a key, if doors are between."""
    nearness = ways.nearness(places)
    if nearness is not None:
        return 0.5 + 0.5 * nearness
    return 0.5 * (ways.nearness(_keys(board, ways.locked)) or 0.0)


def _opens(held: Any, door: Any) -> bool:
    return held is not None and held.type == "key" and held.color == door.color


def _places(board: Any, things: list[Any]) -> list[Position]:
    """Where these things lie; one that is carried lies nowhere."""
    wanted = {id(thing) for thing in things}
    width = board.grid.width
    return [(i % width, i // width) for i, thing in enumerate(board.grid.grid) if id(thing) in wanted]


def _keys(board: Any, colors: set[str]) -> list[Position]:
    width = board.grid.width
    return [
        (i % width, i // width)
        for i, thing in enumerate(board.grid.grid)
        if thing is not None and thing.type == "key" and thing.color in colors
    ]
