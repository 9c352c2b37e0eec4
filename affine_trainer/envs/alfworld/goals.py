"""The six kinds of task: how a goal is worded and read back, and which goals there are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from affine_trainer.envs.alfworld.rooms import ROOMS
from affine_trainer.envs.alfworld.thing import BEDROOM, LAMP, LIVINGROOM
from affine_trainer.envs.alfworld.things import THINGS

PLACE = "pick_and_place_simple"
LOOK = "look_at_obj_in_light"
CLEAN = "pick_clean_then_place_in_recep"
HEAT = "pick_heat_then_place_in_recep"
COOL = "pick_cool_then_place_in_recep"
TWO = "pick_two_obj_and_place"

# The real engine's own wordings, without articles other than "a" and with kinds run together.
WORDINGS: dict[str, tuple[str, ...]] = {
    PLACE: ("put a {thing} in {target}.", "put some {thing} on {target}."),
    LOOK: ("look at {thing} under the {target}.", "examine the {thing} with the {target}."),
    CLEAN: ("put a clean {thing} in {target}.", "clean some {thing} and put it in {target}."),
    HEAT: ("put a hot {thing} in {target}.", "heat some {thing} and put it in {target}."),
    COOL: ("put a cool {thing} in {target}.", "cool some {thing} and put it in {target}."),
    TWO: ("put two {thing} in {target}.", "find two {thing} and put them in {target}."),
}
KINDS = tuple(WORDINGS)
TREATMENTS = {CLEAN: "clean", HEAT: "heat", COOL: "cool"}
APPLIANCES = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}


@dataclass(frozen=True, slots=True)
class Goal:
    """`target` is the receptacle kind to put the thing in, or the lamp to look at it with."""

    kind: str
    thing: str
    target: str

    @property
    def treatment(self) -> str | None:
        """The verb that must be done to the thing first."""
        return TREATMENTS.get(self.kind)

    @property
    def count(self) -> int:
        """How many things are to be put in place."""
        return 2 if self.kind == TWO else 1

    def worded(self, wording: int) -> str:
        """The goal in one of its wordings, e.g. `put a clean mug in coffeemachine.`"""
        return WORDINGS[self.kind][wording].format(thing=self.thing, target=self.target)


_READERS = tuple(
    (
        kind,
        re.compile(re.escape(wording).replace(r"\{thing\}", "([a-z]+)").replace(r"\{target\}", "([a-z]+)")),
    )
    for kind, wordings in WORDINGS.items()
    for wording in wordings
)


def read_goal(text: str) -> Goal | None:
    """The goal that a sentence words; None where it is none of the six kinds."""
    for kind, reader in _READERS:
        if match := reader.fullmatch(text):
            return Goal(kind, *match.groups())
    return None


def possible_goals() -> dict[str, dict[str, list[tuple[str, Goal]]]]:
    """By task kind and thing: every (room, goal) that makes sense."""
    goals: dict[str, dict[str, list[tuple[str, Goal]]]] = {kind: {} for kind in KINDS}
    for thing in THINGS.values():
        for room in thing.rooms:
            for kind in KINDS:
                for target in _targets(kind, thing.kind, room):
                    goals[kind].setdefault(thing.kind, []).append((room, Goal(kind, thing.kind, target)))
    return goals


def _targets(kind: str, thing: str, room: str) -> list[str]:
    if kind == LOOK:
        return [LAMP] if room in (BEDROOM, LIVINGROOM) and thing != LAMP else []
    treatment = TREATMENTS.get(kind)
    if treatment and (treatment not in THINGS[thing].treatments or APPLIANCES[treatment] not in ROOMS[room]):
        return []
    return [target for target in THINGS[thing].goals if target in ROOMS[room]]
