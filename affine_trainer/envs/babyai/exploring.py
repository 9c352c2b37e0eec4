"""Where to look for what has not been seen: the new cells a text action, here or behind a door."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from affine_trainer.envs.babyai.memory import Counts, Memory, Place, neighbours
from affine_trainer.envs.babyai.search import STEPS_A_ROUND, Plan, passing, plan_to, plan_to_see, standing
from affine_trainer.envs.babyai.view import Cell, Pose, Position


class Outlook(NamedTuple):
    """The best way to see more: a plan, or a locked door to open first."""

    plan: Plan
    locked: Position | None = None


def outlook(memory: Memory, shut: Set[Position], counts: Counts) -> Outlook | None:
    """The plan or door that shows the most new cells an action, keeping doors of `shut` shut."""
    value, plan = plan_to_see(memory, shut, counts)
    best = Outlook(plan) if plan else None
    for door, worth in sorted(_doors(memory, counts).items(), key=lambda item: -item[1]):
        if worth <= value:
            break
        if door in shut:
            continue
        if is_locked(memory, door):
            return Outlook([], door)
        through = plan_to(memory, {door}, passing({door}), shut)
        if through:
            return Outlook(through)
    if best is None and (border := edge(memory, counts)):
        far = plan_to(memory, border, standing(border), shut)
        best = Outlook(far) if far else None
    return best


def edge(memory: Memory, counts: Counts) -> set[Position]:
    """Cells without wall or door from which something new is seen, once they are free to stand on."""
    cells = memory.cells
    border = {p for p, cell in cells.items() if (cell is None or cell.portable) and _borders(memory, p)}
    return {p for p in border if _seen_from(memory, Place(Pose(*p, 0)), counts)}


def _borders(memory: Memory, position: Position) -> bool:
    x, y = position
    return any((x + i, y + j) not in memory.cells for i in (-1, 0, 1) for j in (-1, 0, 1))


def _seen_from(memory: Memory, place: Place, counts: Counts) -> float:
    """The most new cells that a look from this position shows."""
    return max(memory.gain(Place(place.pose._replace(direction=d), place.opened), counts) for d in range(4))


def is_locked(memory: Memory, position: Position) -> bool:
    """Whether a door is known to be locked against what the agent carries."""
    door = memory.cells.get(position)
    return door is not None and door.state == "locked" and not memory.opens(door)


def keys_of(memory: Memory, door: Cell) -> set[Position]:
    """Where keys of a door lie."""
    return memory.find(
        lambda c, _: c is not None and door is not None and c.kind == "key" and c.color == door.color
    )


def _doors(memory: Memory, counts: Counts) -> dict[Position, float]:
    """What each shut door that can be opened is worth: new cells a text action."""
    steps = memory.distances({memory.here.pose.position})
    worth = {}
    for door in memory.find(lambda cell, _: cell is not None and cell.state in ("closed", "locked")):
        way, rounds = _steps_to(door, steps), 2.0
        if way is not None and is_locked(memory, door):
            ways = [
                w for key in keys_of(memory, memory.cells[door]) if (w := _steps_to(key, steps)) is not None
            ]
            way, rounds = (way + min(ways), 4.0) if ways else (None, 0.0)
        if way is not None:
            worth[door] = _seen_from(memory, Place(Pose(*door, 0), frozenset({door})), counts) / (
                rounds + way / STEPS_A_ROUND
            )
    return worth


def _steps_to(position: Position, steps: dict[Position, int]) -> int | None:
    """The steps to a cell beside the position."""
    return min((steps[n] for n in neighbours(position) if n in steps), default=None)
