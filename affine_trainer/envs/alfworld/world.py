"""The household as it stands: who is where, what is open, and which actions change that."""

from __future__ import annotations

import json
from typing import Any

from affine_trainer.envs.alfworld.goals import APPLIANCES
from affine_trainer.envs.alfworld.rooms import OPENABLE
from affine_trainer.envs.alfworld.scene import Scene
from affine_trainer.envs.alfworld.thing import LAMP
from affine_trainer.envs.alfworld.things import KNIVES, SLICEABLE, THINGS

NOWHERE = -1  # the player, in the middle of the room
IN_HAND = -2  # a thing that the player carries
MARK_OF = {"clean": "clean", "heat": "hot", "cool": "cool"}
UNDONE_BY = {"heat": "cool", "cool": "hot"}
MARKS = ("clean", "hot", "cool", "sliced", "on")


class World:
    """The state of one play. Every action answers whether it was possible; an impossible one changes nothing.

    `marks[m]` holds the things that are m, `seen` those that the player has met.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.at = NOWHERE
        self.where = list(scene.where)
        self.opened: set[int] = set()
        self.marks: dict[str, set[int]] = {mark: set() for mark in MARKS}
        self.seen: set[int] = set()
        self._places = {name: index for index, name in enumerate(scene.places)}
        self._things = {name: index for index, name in enumerate(scene.things)}

    @property
    def held(self) -> int | None:
        """The thing in the player's hand."""
        return self.where.index(IN_HAND) if IN_HAND in self.where else None

    def openable(self, place: int) -> bool:
        return self.scene.place_kinds[place] in OPENABLE

    def accessible(self, place: int) -> bool:
        """Whether one can see and reach into it."""
        return place in self.opened or not self.openable(place)

    def contents(self, place: int) -> list[int]:
        return [thing for thing, there in enumerate(self.where) if there == place]

    def here(self, place: str) -> int | None:
        """The place of this name if the player stands before it."""
        index = self._places.get(place)
        return index if index == self.at else None

    def in_reach(self, thing: str) -> int | None:
        """The thing of this name if it lies open before the player or is in the hand."""
        index = self._things.get(thing)
        if index is None:
            return None
        there = self.where[index]
        return index if there == IN_HAND or (there == self.at and self.accessible(there)) else None

    def go(self, place: str) -> bool:
        index = self._places.get(place)
        if index is None or index == self.at:
            return False
        self.at = index
        self._meet()
        return True

    def open(self, place: str) -> bool:
        index = self.here(place)
        if index is None or self.accessible(index):
            return False
        self.opened.add(index)
        self._meet()
        return True

    def close(self, place: str) -> bool:
        index = self.here(place)
        if index not in self.opened:
            return False
        self.opened.remove(index)
        return True

    def take(self, thing: str, place: str) -> bool:
        index = self.in_reach(thing)
        if index is None or self.here(place) is None or not self.can_take(index):
            return False
        self.where[index] = IN_HAND
        return True

    def can_take(self, thing: int) -> bool:
        """With an empty hand, anything but a lamp."""
        return self.held is None and self.scene.thing_kinds[thing] != LAMP

    def put(self, thing: str, place: str) -> bool:
        there, index = self.here(place), self.in_reach(thing)
        if there is None or index is None or not self.can_put(index, there):
            return False
        self.where[index] = there
        return True

    def can_put(self, thing: int, place: int) -> bool:
        """A held thing, into what is open and takes its kind."""
        fits = THINGS[self.scene.thing_kinds[thing]].fits(self.scene.place_kinds[place])
        return self.where[thing] == IN_HAND and fits and self.accessible(place)

    def treat(self, verb: str, thing: str, place: str) -> bool:
        there, index = self.here(place), self.in_reach(thing)
        if there is None or index is None or not self.can_treat(verb, index, there):
            return False
        self.marks[MARK_OF[verb]].add(index)
        if verb in UNDONE_BY:
            self.marks[UNDONE_BY[verb]].discard(index)
        return True

    def can_treat(self, verb: str, thing: int, place: int) -> bool:
        """A held thing of a kind that can be treated so, at the right appliance, open or not."""
        treatments = THINGS[self.scene.thing_kinds[thing]].treatments
        appliance = self.scene.place_kinds[place] == APPLIANCES[verb]
        return self.where[thing] == IN_HAND and verb in treatments and appliance

    def use(self, thing: str) -> bool:
        """A lamp that is used stays on."""
        index = self.in_reach(thing)
        if index is None or self.scene.thing_kinds[index] != LAMP:
            return False
        self.marks["on"].add(index)
        return True

    def slice(self, thing: str, knife: str) -> bool:
        index, tool = self.in_reach(thing), self.in_reach(knife)
        if index is None or tool is None or not self.can_slice(index, tool):
            return False
        self.marks["sliced"].add(index)
        return True

    def can_slice(self, thing: int, knife: int) -> bool:
        """Something that lies there, with the knife in the hand."""
        kinds = self.scene.thing_kinds
        sharp = kinds[knife] in KNIVES and self.where[knife] == IN_HAND
        return sharp and kinds[thing] in SLICEABLE and self.where[thing] != IN_HAND

    def dump(self) -> bytes:
        """The state without the scene."""
        state = {
            "at": self.at,
            "where": self.where,
            "opened": sorted(self.opened),
            "seen": sorted(self.seen),
            "marks": {mark: sorted(things) for mark, things in self.marks.items()},
        }
        return json.dumps(state, separators=(",", ":")).encode()

    def load(self, state: bytes) -> None:
        """Back to a dumped state of the same scene."""
        loaded: dict[str, Any] = json.loads(state)
        self.at, self.where = loaded["at"], loaded["where"]
        self.opened, self.seen = set(loaded["opened"]), set(loaded["seen"])
        self.marks = {mark: set(things) for mark, things in loaded["marks"].items()}

    def _meet(self) -> None:
        if self.accessible(self.at):
            self.seen.update(self.contents(self.at))
