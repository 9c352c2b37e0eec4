"""What a player knows from the observations so far, and nothing else."""

from __future__ import annotations

import re

from affine_trainer.envs.alfworld.goals import Goal, read_goal
from affine_trainer.envs.alfworld.narrator import NOTHING_HAPPENS
from affine_trainer.errors import AffineError

_INTRO = re.compile(r"you see (?P<places>[^.]*)\.\s+Your task is to: (?P<goal>[^\n]*)")
_SEEN = re.compile(r"(?:On the [a-z]+ \d+|In it), you see (?P<things>[^.]*)\.")
_NAME = re.compile(r"[a-z]+ \d+")
_TREATED = re.compile(r"You (?:heat|cool|clean) the (?P<thing>[a-z]+ \d+) using")


def kind_of(name: str) -> str:
    """`mug` of `mug 2`."""
    return name.partition(" ")[0]


class Notes:
    """`contents` has an entry for every place that was looked into; `closed` are those found closed."""

    def __init__(self, first_observation: str) -> None:
        intro = _INTRO.search(first_observation)
        goal = read_goal(intro["goal"]) if intro else None
        if intro is None or goal is None:
            raise AffineError(
                f"the alfworld expert cannot read this first observation: {first_observation!r}"
            )
        self.goal: Goal = goal
        self.places: list[str] = _NAME.findall(intro["places"])
        self.at: str | None = None
        self.held: str | None = None
        self.contents: dict[str, list[str]] = {}
        self.closed: set[str] = set()
        self.treated: set[str] = set()
        self.lit: set[str] = set()

    def update(self, action: str, observation: str) -> None:
        """Take in what an action was answered."""
        names = _NAME.findall(action)
        if NOTHING_HAPPENS in observation:
            self._give_up(action, names)
            return
        if action.startswith("go to "):
            self.at = names[0]
        elif action.startswith("take "):
            self._take(names[0])
        elif action.startswith(("move ", "put ")):
            self._put(names[0])
        elif action.startswith("use "):
            self.lit.add(names[0])
        if treated := _TREATED.search(observation):
            self.treated.add(treated["thing"])
        self._look_around(observation)

    def where(self, kind: str) -> list[tuple[str, str]]:
        """(thing, place) of all known things of a kind."""
        return [
            (thing, place)
            for place, things in self.contents.items()
            for thing in things
            if kind_of(thing) == kind
        ]

    def _look_around(self, observation: str) -> None:
        if self.at is None:
            return
        if seen := _SEEN.search(observation):
            self.contents[self.at] = _NAME.findall(seen["things"])
            self.closed.discard(self.at)
        elif observation.endswith("is closed."):
            self.closed.add(self.at)

    def _take(self, thing: str) -> None:
        self.held = thing
        if self.at is not None and thing in self.contents[self.at]:
            self.contents[self.at].remove(thing)

    def _put(self, thing: str) -> None:
        self.held = None
        if self.at is not None:
            self.contents.setdefault(self.at, []).append(thing)

    def _give_up(self, action: str, names: list[str]) -> None:
        """A place that one cannot reach or open holds nothing that can be had."""
        if action.startswith(("go to ", "open ")):
            self.contents.setdefault(names[0], [])
