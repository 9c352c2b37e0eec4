"""What is seen from a cell: minigrid's seven by seven view, occlusion included, over any source of cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

SIZE = 7
_AGENT = (SIZE - 1) * SIZE + SIZE // 2  # the agent's place in the view: middle of the last row
# Steps in the directions east, south, west, north; turning right adds one.
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True, slots=True)
class Thing:
    """What a cell shows. `state` is that of a door: open, closed or locked."""

    kind: str
    color: str
    state: str = ""

    @property
    def name(self) -> str:
        return f"{self.color} {self.state} {self.kind}" if self.state else f"{self.color} {self.kind}"

    @property
    def opaque(self) -> bool:
        return self.kind == "wall" or (self.kind == "door" and self.state != "open")

    @property
    def portable(self) -> bool:
        return self.kind in PORTABLE


PORTABLE = ("key", "ball", "box")
WALL = Thing("wall", "grey")
UNSEEN = Thing("unseen", "")
Cell = Thing | None
Position = tuple[int, int]


class Pose(NamedTuple):
    """Where the agent stands and which way it looks."""

    x: int
    y: int
    direction: int

    @property
    def position(self) -> Position:
        return self.x, self.y

    @property
    def front(self) -> Position:
        dx, dy = STEPS[self.direction]
        return self.x + dx, self.y + dy


class Sight(NamedTuple):
    """One thing in view: `ahead` and `right` are steps from the agent, `distance` their sum of sizes."""

    thing: Thing
    position: Position
    ahead: int
    right: int
    distance: int


class View(NamedTuple):
    """A look from one pose. `image` has 49 cells, far row first, the agent's own holding what it carries."""

    pose: Pose
    image: tuple[Cell, ...]

    def positions(self) -> list[tuple[Position, Cell]]:
        """The cells that are seen, without the agent's own."""
        x, y, direction = self.pose
        return [
            ((x + dx, y + dy), cell)
            for (dx, dy), cell in zip(_OFFSETS[direction], self.image, strict=True)
            if cell is not UNSEEN and (dx or dy)
        ]

    def sights(self) -> list[Sight]:
        """All things in view, walls too, from near to far."""
        x, y, direction = self.pose
        found = []
        for (dx, dy), (ahead, right), cell in zip(_OFFSETS[direction], _RELATIVE, self.image, strict=True):
            if cell is None or cell is UNSEEN or not (ahead or right):
                continue
            if x + dx >= 0 and y + dy >= 0:
                found.append(Sight(cell, (x + dx, y + dy), ahead, right, ahead + abs(right)))
        found.sort(key=lambda sight: sight.distance)
        return found


def look(cell_at: Callable[[int, int], Cell], pose: Pose, carrying: Cell, through: bool = False) -> View:
    """The view from `pose`. `cell_at` may answer UNSEEN, which is looked through only if `through`."""
    x, y, direction = pose
    cells: list[Cell] = [UNSEEN] * (SIZE * SIZE)
    clear = [False] * (SIZE * SIZE)
    offsets = _OFFSETS[direction]
    lit = {_AGENT}

    def light(k: int) -> None:
        if k not in lit:
            lit.add(k)
            show(k)

    def show(k: int) -> None:
        dx, dy = offsets[k]
        cell = cells[k] = cell_at(x + dx, y + dy)
        clear[k] = cell is None or (through if cell is UNSEEN else not cell.opaque)

    show(_AGENT)
    for row in range(SIZE - 1, -1, -1):
        start = row * SIZE
        for k in range(start, start + SIZE - 1):
            if clear[k]:
                light(k + 1)
                if row:
                    light(k + 1 - SIZE)
                    light(k - SIZE)
        for k in range(start + SIZE - 1, start, -1):
            if clear[k]:
                light(k - 1)
                if row:
                    light(k - 1 - SIZE)
                    light(k - SIZE)
    cells[_AGENT] = carrying
    return View(pose, tuple(cells))


def thing_of(found: Any) -> Cell:
    """The thing that a minigrid object shows; one object for equal things, so views compare quickly."""
    if found is None:
        return None
    if found.type == "door":
        state = "open" if found.is_open else "locked" if found.is_locked else "closed"
        return _THINGS[found.type, found.color, state]
    return _THINGS[found.type, found.color, ""]


_COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
_THINGS = {
    (kind, color, state): Thing(kind, color, state)
    for color in _COLORS
    for kind, states in (*((kind, ("",)) for kind in PORTABLE), ("door", ("open", "closed", "locked")))
    for state in states
} | {("wall", "grey", ""): WALL}
_RELATIVE = tuple((SIZE - 1 - row, column - SIZE // 2) for row in range(SIZE) for column in range(SIZE))
_OFFSETS = tuple(
    tuple((ahead * dx - right * dy, ahead * dy + right * dx) for ahead, right in _RELATIVE)
    for dx, dy in STEPS
)
