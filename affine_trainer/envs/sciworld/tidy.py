"""Makes of the simulator's solution one that a player could have found: straight ways, looks where needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# Which rooms have a door to which; the same in every game.
DOORS = {
    "hallway": ("art studio", "bedroom", "greenhouse", "kitchen", "living room", "workshop"),
    "kitchen": ("bathroom", "hallway", "outside"),
    "greenhouse": ("hallway", "outside"),
    "outside": ("foundry", "greenhouse", "kitchen"),
    "art studio": ("hallway",),
    "bedroom": ("hallway",),
    "living room": ("hallway",),
    "workshop": ("hallway",),
    "bathroom": ("kitchen",),
    "foundry": ("outside",),
}
LOOK = "look around"


def tidied(actions: Sequence[str], opening: str) -> list[str]:
    """The actions with every walk made the shortest one, and with a look around before something is
    picked up or focused on that the player has not seen.

    `opening` is the first observation: the task and the room. The simulator's solutions search the house
    without looking, and know what they have not seen.
    """
    here = room_in(opening)
    looked = {here}
    tidy: list[str] = []
    for walk_to, action in _errands(actions, here):
        if walk_to != here:
            tidy += [
                step for room in route(here, walk_to) for step in (f"open door to {room}", f"go to {room}")
            ]
            here = walk_to
        if action == LOOK:
            looked.add(here)
        elif here not in looked and _names_unseen(action, opening):
            tidy.append(LOOK)
            looked.add(here)
        tidy.append(action)
    return tidy


def room_in(observation: str) -> str:
    """The room that a look around shows."""
    found = re.search(r"is called the ([a-z ]+)\.", observation)
    return found.group(1) if found else ""


def route(start: str, goal: str) -> list[str]:
    """The rooms to enter one after another from `start` to `goal`, the fewest."""
    ways = [[start]]
    for way in ways:  # grows as it is read: breadth first
        if way[-1] == goal:
            return way[1:]
        ways += [[*way, room] for room in DOORS.get(way[-1], ()) if room not in way]
    return [goal]


def _errands(actions: Sequence[str], here: str) -> Iterator[tuple[str, str]]:
    """The actions that are not walking, each with the room it is done in."""
    for action in actions:
        if action.startswith("go to "):
            here = action.removeprefix("go to ")
        elif not action.startswith("open door to "):
            yield here, action


def _names_unseen(action: str, opening: str) -> bool:
    """Whether the action takes or focuses on something that neither the task nor the first room names."""
    found = re.match(r"(?:pick up|focus on) (.+?)(?: in .*)?$", action)
    return found is not None and found.group(1).lower() not in opening.lower()
