"""A player of BabyAI that knows only what it has seen, and saves actions where one can do for many."""

from __future__ import annotations

import random
from collections.abc import Callable, Set
from typing import NamedTuple

from affine_trainer.envs.agents.game import Move
from affine_trainer.envs.babyai.exploring import edge, is_locked, keys_of, outlook
from affine_trainer.envs.babyai.game import BabyAIGame
from affine_trainer.envs.babyai.goals import Description, Errand, errands, same_room
from affine_trainer.envs.babyai.memory import Memory, neighbours
from affine_trainer.envs.babyai.phrases import THOUGHTS
from affine_trainer.envs.babyai.search import (
    Finish,
    Plan,
    dropping,
    facing,
    passing,
    plan_to,
    taking,
    toggling,
)
from affine_trainer.envs.babyai.view import Cell, Position
from affine_trainer.records import seed_from

_MOST_CHORES = 6


class Chore(NamedTuple):
    """Something to do before the errand can go on: unlock the door or clear away the thing at `position`."""

    kind: str
    position: Position
    keep_free: frozenset[Position] = frozenset()


class Intent(NamedTuple):
    """A plan with what it is for."""

    purpose: str
    thing: str
    plan: Plan


class BabyAIExpert:
    """Does the goal's errands one by one; explores for what it has not seen, fetches keys, clears ways.

    It reads the view that the observation tells, never the rest of the board.
    """

    def __init__(self, game: BabyAIGame) -> None:
        self._game = game
        self._errands = errands(game.goal)
        self._memory = Memory(game.room_size)
        self._start = game.view.pose
        self._chores: list[Chore] = []
        self._origin: dict[Position, Position] = {}  # where a thing that was moved lay at first
        self._held_from: Position | None = None
        self._last: tuple[str, Position | None] = ("", None)
        self._rng = random.Random(seed_from("agentgym:babyai", game.observe()))

    def move(self, observation: str) -> Move:
        """`observation` is what the game told last; the same is read from its view."""
        self._memory.see(self._game.view, self._game.carrying)
        self._notice()
        intent = self._intent() or self._lost()
        action = intent.plan[0]
        target = self._memory.offer(self._memory.here).targets.get(action)
        self._last = action, target.position if target else None
        thought = self._rng.choice(THOUGHTS[intent.purpose]).format(thing=intent.thing)
        return Move(thought[0].upper() + thought[1:], action)

    def _notice(self) -> None:
        """What the last action did: errands that it finished, and what it took or put down."""
        action, target = self._last
        memory = self._memory
        front = memory.here.pose.front
        if action.startswith("pickup") and memory.carrying is not None and target is not None:
            self._held_from = self._origin.pop(target, target)
        if action == "drop" and memory.carrying is None and self._held_from is not None:
            self._origin[front] = self._held_from
            self._held_from = None
        while action and self._errands and self._finished(self._errands[0], action, target, front):
            del self._errands[0]

    def _finished(self, errand: Errand, action: str, target: Position | None, front: Position) -> bool:
        memory = self._memory
        if errand.verb == "reach":
            return front in self._known(errand.what)
        if errand.verb == "take":
            return action.startswith("pickup") and self._holds(errand.what)
        if errand.verb == "open":
            return action.startswith("toggle") and target in self._known(errand.what)
        dropped = action == "drop" and memory.carrying is None and front in self._known(errand.what)
        return dropped and any(p in self._known(errand.beside) for p in neighbours(front))

    def _intent(self) -> Intent | None:
        while self._chores:
            intent = self._chore(self._chores[-1])
            if intent is not None:
                return intent
            self._chores.pop()
        return self._errand(self._errands[0]) if self._errands else None

    def _errand(self, errand: Errand) -> Intent | None:
        if errand.verb == "reach":
            return self._go("reach", errand.what, self._known(errand.what), facing)
        if errand.verb == "open":
            return self._open(errand.what)
        if errand.verb == "take" or not self._holds(errand.what):
            if self._memory.carrying is not None:
                return self._put_down()
            return self._go("take", errand.what, self._known(errand.what), taking)
        return self._put(errand.beside)

    def _open(self, what: Description) -> Intent | None:
        memory = self._memory
        shut = {p for p in self._known(what) if _state(memory.cells[p]) in ("closed", "locked")}
        free = {p for p in shut if not is_locked(memory, p)}
        if shut and not free:
            door = min(shut, key=lambda p: _apart(p, memory.here.pose.position))
            unlocked = self._begin(Chore("unlock", door))
            return unlocked or self._explore("its key", None)
        return self._go("open", what, free, toggling if len(self._errands) == 1 else passing)

    def _put(self, beside: Description | None) -> Intent | None:
        cells = self._memory.cells
        spots = {
            spot
            for position in self._known(beside)
            for spot in neighbours(position)
            if spot in cells and cells[spot] is None
        }
        return self._go("put", beside, spots, dropping) if beside else None

    def _go(
        self,
        purpose: str,
        what: Description,
        targets: Set[Position],
        finish: Callable[[Set[Position]], Finish],
    ) -> Intent | None:
        """Towards the targets if a free way leads to one; else make a way, or look for more of them."""
        plan = self._plan(targets, finish(targets)) if targets else None
        if plan:
            return Intent(purpose, f"the {what.name}", plan)
        return (self._make_way(targets) if targets else None) or self._explore(what.text, what)

    def _plan(self, targets: Set[Position], finish: Finish) -> Plan | None:
        """A plan that opens no door which a later errand wants to open, if there is one."""
        shut = self._later_doors()
        plan = plan_to(self._memory, targets, finish, shut)
        return plan or (plan_to(self._memory, targets, finish, frozenset()) if shut else None)

    def _explore(self, name: str, what: Description | None) -> Intent | None:
        """Look where `what` can be: in the first room if its place is named from there, else anywhere."""
        start, size = self._start.position, self._game.room_size
        placed = what is not None and what.place is not None
        nearby = [lambda p: same_room(start, p, size)] if placed else []
        for counts in (*nearby, lambda p: True):
            for shut in dict.fromkeys((self._later_doors(), frozenset())):
                found = outlook(self._memory, shut, counts)
                if found is None:
                    continue
                if found.locked is None:
                    return Intent("explore", name, found.plan)
                if intent := self._begin(Chore("unlock", found.locked)):
                    return intent
        memory = self._memory
        closed = memory.find(lambda cell, _: _state(cell) == "closed")
        locked = memory.find(lambda cell, _: _state(cell) == "locked" and bool(keys_of(memory, cell)))
        return self._make_way(edge(memory, lambda _: True) | closed | locked, through=True)

    def _make_way(self, targets: Set[Position], through: bool = False) -> Intent | None:
        """Begin the chore that the cheapest way to (or `through`) a target needs first."""
        memory = self._memory
        way = memory.cheapest_way(targets)
        for position in way[1:]:
            cell = memory.cells.get(position)
            if cell is None or (position in targets and not through):
                continue
            if cell.portable or is_locked(memory, position):
                return self._begin(Chore("clear" if cell.portable else "unlock", position, frozenset(way)))
        return None

    def _begin(self, chore: Chore) -> Intent | None:
        """Take on a chore, unless nothing can be done for it now."""
        if len(self._chores) >= _MOST_CHORES or any(chore.position == c.position for c in self._chores):
            return None
        self._chores.append(chore)
        depth = len(self._chores)
        intent = self._chore(chore)
        if intent is None:
            del self._chores[depth - 1 :]
        return intent

    def _chore(self, chore: Chore) -> Intent | None:
        """What the chore needs next; None once it is done or cannot be done."""
        return self._clear(chore) if chore.kind == "clear" else self._unlock(chore)

    def _clear(self, chore: Chore) -> Intent | None:
        memory = self._memory
        thing = memory.cells.get(chore.position)
        if memory.carrying is not None:
            return self._put_down(chore.keep_free)
        if thing is None or not thing.portable:
            return None
        plan = self._plan({chore.position}, taking({chore.position}))
        return Intent("clear", f"the {thing.name}", plan) if plan else self._make_way({chore.position})

    def _unlock(self, chore: Chore) -> Intent | None:
        memory = self._memory
        door = memory.cells.get(chore.position)
        if door is None or door.state != "locked":
            return None
        name, target = f"the {door.color} door", {chore.position}
        if memory.opens(door):
            plan = self._plan(target, (toggling if self._goal_opens(chore.position) else passing)(target))
            return Intent("unlock", name, plan) if plan else self._make_way(target)
        keys = keys_of(memory, door)
        if not keys:
            return None
        if cleared := self._clear_before(chore):
            return cleared
        if memory.carrying is not None:
            return self._put_down(chore.keep_free)
        plan = self._plan(keys, taking(keys))
        return Intent("key", name, plan) if plan else self._make_way(keys)

    def _clear_before(self, chore: Chore) -> Intent | None:
        """Clear what stands before a locked door while the hands are still free for it."""
        memory = self._memory
        way = memory.cheapest_way({chore.position})
        for position in way[1:-1]:
            cell = memory.cells.get(position)
            if cell is not None and cell.portable:
                return self._begin(Chore("clear", position, frozenset(way)))
        return None

    def _put_down(self, keep_free: frozenset[Position] = frozenset()) -> Intent | None:
        """Drop what is carried where it is not in the way, if there is such a place."""
        memory = self._memory
        empty = {p for p, cell in memory.cells.items() if cell is None} - {memory.here.pose.position}
        aside = {p for p in empty - keep_free if not any(_state(memory.cells.get(n)) for n in neighbours(p))}
        for spots in (aside, empty - keep_free, empty):
            plan = self._plan(spots, dropping(spots)) if spots else None
            if plan:
                return Intent("drop", "", plan)
        return None

    def _lost(self) -> Intent:
        return Intent("lost", "", [self._rng.choice(["turn left", "turn right"])])

    def _later_doors(self) -> frozenset[Position]:
        """Doors that only a later errand is to open."""
        later = [errand.what for errand in self._errands[1:] if errand.verb == "open"]
        return frozenset(p for what in later for p in self._known(what))

    def _goal_opens(self, door: Position) -> bool:
        """Whether opening this door is the last errand."""
        errand = self._errands[0] if len(self._errands) == 1 else None
        return errand is not None and errand.verb == "open" and door in self._known(errand.what)

    def _known(self, what: Description | None) -> set[Position]:
        return self._memory.find(lambda cell, position: what is not None and self._is(what, cell, position))

    def _is(self, what: Description, cell: Cell, position: Position) -> bool:
        if cell is None or not (cell.portable or cell.kind == "door"):
            return False
        return what.fits(cell, self._origin.get(position, position), self._start, self._game.room_size)

    def _holds(self, what: Description) -> bool:
        held = self._memory.carrying
        origin = self._held_from or self._start.position
        return held is not None and what.fits(held, origin, self._start, self._game.room_size)


def _state(cell: Cell) -> str:
    """That of a door; empty for all else."""
    return cell.state if cell is not None else ""


def _apart(here: Position, there: Position) -> int:
    return abs(here[0] - there[0]) + abs(here[1] - there[1])
