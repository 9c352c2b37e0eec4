"""What a player has seen so far, and what it could do and see elsewhere if it has seen right."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from affine_trainer.envs.babyai.routes import DROP, FORWARD, PICKUP, TOGGLE, after
from affine_trainer.envs.babyai.view import STEPS, UNSEEN, WALL, Cell, Pose, Position, View, look
from affine_trainer.envs.babyai.wording import Offer, offers

_CARRY_AWAY = 8  # about how many steps it takes to move a thing out of the way
_UNLOCK = 15
_LINE_COUNTS = 0.2

Counts = Callable[[Position], bool]


class Place(NamedTuple):
    """Where a plan has led: a pose, and the doors that it has opened on the way."""

    pose: Pose
    opened: frozenset[Position] = frozenset()


class Memory:
    """A map of the cells seen, with the agent on it."""

    def __init__(self, room_size: int) -> None:
        self._span = room_size - 1
        self.cells: dict[Position, Cell] = {}
        self.carrying: Cell = None
        self.here = Place(Pose(0, 0, 0))
        self._offers: dict[Place, Offer] = {}

    def see(self, view: View, carrying: Cell) -> None:
        """Take in a view; the agent's own cell is empty or a door that it stands in."""
        self.here, self.carrying = Place(view.pose), carrying
        self.cells.update(view.positions())
        own = self.cells.get(view.pose.position)
        self.cells[view.pose.position] = replace(own, state="open") if own and own.kind == "door" else None
        self._offers.clear()

    def at(self, position: Position, place: Place) -> Cell:
        """What lies at a position once a plan has led to `place`; UNSEEN if not known."""
        cell = self.cells.get(position, UNSEEN)
        if position in place.opened and cell is not None and cell.kind == "door":
            return replace(cell, state="open")
        return cell

    def find(self, wanted: Callable[[Cell, Position], bool]) -> set[Position]:
        """The positions of the things seen that are wanted."""
        return {p for p, cell in self.cells.items() if cell is not None and wanted(cell, p)}

    def offer(self, place: Place) -> Offer:
        """The text actions at a place, without walks over cells that the map does not show to be free."""
        if place not in self._offers:
            view = look(lambda x, y: self.at((x, y), place), place.pose, self.carrying)
            every = offers(view, self.carrying)
            sure = {
                a: m for a, m in every.moves.items() if self._walks(self._opened(place, every, a), place, m)
            }
            self._offers[place] = Offer(sure, {}, {a: t for a, t in every.targets.items() if a in sure})
        return self._offers[place]

    def gain(self, place: Place, counts: Counts) -> float:
        """About how much a look from there shows for the first time.

        A cell inside a room counts 1. One on the lines of the walls is taken for a wall and counts less,
        as it may hide a door; a corner counts nothing.
        """
        gained = 0.0

        def cell_at(x: int, y: int) -> Cell:
            nonlocal gained
            if (x, y) in self.cells:
                return self.at((x, y), place)
            lines = (x % self._span == 0) + (y % self._span == 0)
            if counts((x, y)):
                gained += (1.0, _LINE_COUNTS, 0.0)[lines]
            return WALL if lines else UNSEEN

        look(cell_at, place.pose, self.carrying, through=True)
        return gained

    def then(self, place: Place, action: str) -> Place | None:
        """Where an action leads; None if it does not walk."""
        offer = self.offer(place)
        moves = offer.moves[action]
        if not moves or moves == [TOGGLE] or moves[-1] in (PICKUP, DROP):
            return None
        return Place(after(place.pose, moves), self._opened(place, offer, action).opened)

    def _opened(self, place: Place, offer: Offer, action: str) -> Place:
        opens = action.startswith("toggle")
        return Place(place.pose, place.opened | {offer.targets[action].position}) if opens else place

    def _walks(self, end: Place, place: Place, moves: list[int]) -> bool:
        """Whether every step of the moves enters a cell known to be free."""
        pose = place.pose
        for move in moves:
            pose = after(pose, [move])
            if move == FORWARD and not passable(self.at(pose.position, end)):
                return False
        return True

    def distances(self, targets: Iterable[Position]) -> dict[Position, int]:
        """Steps from free cells to the nearest target; the key in hand counts, other locked doors block."""
        steps = dict.fromkeys(targets, 0)
        queue = list(steps)
        for position in queue:
            for neighbour in neighbours(position):
                if neighbour not in steps and self._free(self.cells.get(neighbour, UNSEEN)):
                    steps[neighbour] = steps[position] + 1
                    queue.append(neighbour)
        return steps

    def cheapest_way(self, targets: Iterable[Position]) -> list[Position]:
        """Cells from the agent to the nearest target over known cells, where things in the way only cost."""
        goals = set(targets)
        start = self.here.pose.position
        costs, before = {start: 0}, {start: start}
        heap = [(0, start)]
        while heap:
            cost, position = heapq.heappop(heap)
            if position in goals:
                way = [position]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if cost > costs[position]:
                continue
            for neighbour in neighbours(position):
                more = cost + self._toll(neighbour, neighbour in goals)
                if more < costs.get(neighbour, 10_000):
                    costs[neighbour], before[neighbour] = more, position
                    heapq.heappush(heap, (more, neighbour))
        return []

    def opens(self, door: Cell) -> bool:
        """Whether the agent carries the key of this door."""
        held = self.carrying
        return held is not None and door is not None and held.kind == "key" and held.color == door.color

    def _free(self, cell: Cell) -> bool:
        if cell is not None and cell.kind == "door":
            return cell.state != "locked" or self.opens(cell)
        return cell is None

    def _toll(self, position: Position, is_goal: bool) -> int:
        cell = self.cells.get(position, UNSEEN)
        if is_goal or self._free(cell):
            return 1
        if cell is not None and cell.portable:
            return _CARRY_AWAY
        return _UNLOCK if cell is not None and cell.kind == "door" else 10_000


def passable(cell: Cell) -> bool:
    """Whether the agent can step on a cell right now."""
    return cell is None or (cell.kind == "door" and cell.state == "open")


def neighbours(position: Position) -> list[Position]:
    return [(position[0] + dx, position[1] + dy) for dx, dy in STEPS]
