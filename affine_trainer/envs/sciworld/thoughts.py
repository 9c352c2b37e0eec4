"""What the expert thinks of an action: patterns of actions with phrases of our own."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Entry = TypeVar("Entry")

WALKS = (
    "I must go to the {room} to {errand}.",
    "Next, in the {room}: {errand}.",
    "The way leads to the {room}; there I will {errand}.",
)
ERRANDS = (
    (r"look around", "see what is there"),
    (r"pick up (.+)", "get the {0}"),
    (r"focus on (.+)", "focus on the {0}"),
    (r"move (.+) to (.+)", "put the {0} in the {1}"),
    (r"use thermometer.* on (.+)", "measure the {0}"),
    (r"(?:put down|drop) (.+)", "work with the {0}"),
    (r".*", "go on with the task"),
)
THOUGHTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"look around", ("Let me see what is here.", "I need to know what is in this room.")),
    (r"(?:look at|examine|look in) (.+)", ("Let me check the {0}.", "What has become of the {0}?")),
    (r"open door to (.+)", ("The way to the {0} must be open.",)),
    (r"go to (.+)", ("I go on to the {0}.",)),
    (r"open (.+)", ("The {0} may hold what I need.", "Let me open the {0}.")),
    (r"close (.+)", ("The {0} should be closed.",)),
    (r"pick up (.+)", ("I need the {0}.", "I take the {0} with me.")),
    (r"(?:put down|drop) (.+)", ("I put the {0} down here.",)),
    (r"focus on (.+)", ("The {0} is what the task is about.", "Now I focus on the {0}.")),
    (r"move (.+) to (.+)", ("The {0} belongs in the {1}.", "I put the {0} in the {1}.")),
    (r"pour (.+?) in(?:to)? (.+)", ("The {0} has to go into the {1}.",)),
    (r"dunk (.+?) in(?:to)? (.+)", ("I fill the {0} from the {1}.",)),
    (r"activate (.+)", ("The {0} must be on.", "I switch the {0} on.")),
    (r"deactivate (.+)", ("The {0} has done its work.", "I switch the {0} off.")),
    (r"use thermometer.* on (.+)", ("How warm is the {0} now?", "I measure the {0}.")),
    (r"use (.+) on (.+)", ("I use the {0} on the {1}.",)),
    (r"connect (.+) to (.+)", ("The circuit needs the {0} on the {1}.", "I wire the {0} to the {1}.")),
    (r"disconnect (.+)", ("I take the {0} out of the circuit.",)),
    (r"mix (.+)", ("Mixing the {0} makes something new.",)),
    (r"read (.+)", ("The {0} tells what to do.",)),
    (r"wait1?", ("This takes time.", "I give it a moment.")),
    (r"\d+", ("Several things fit; I mean this one.",)),
    (r".*", ("This is the next step.", "I go on with the plan.")),
)


def think(actions: Sequence[str], rng: random.Random) -> str:
    """Why the first of the actions that are still to be done; on a walk, for the sake of where it ends."""
    room, errand = _purpose(actions)
    if room and re.match(r"open door to|go to", actions[0]):
        phrase, names = next(_matching(errand, ERRANDS))
        return rng.choice(WALKS).format(room=room, errand=phrase.format(*names))
    phrases, names = next(_matching(actions[0], THOUGHTS))
    return rng.choice(phrases).format(*names)


def _matching(action: str, table: Iterable[tuple[str, Entry]]) -> Iterator[tuple[Entry, list[str]]]:
    """The entries whose pattern the action has, with the names in it; the tables end with one for all."""
    for pattern, entry in table:
        match = re.fullmatch(pattern, action)
        if match:
            yield entry, [_short(name) for name in match.groups()]


def _purpose(actions: Sequence[str]) -> tuple[str, str]:
    """The room where the walk that begins now ends, empty without a walk, and what is done there."""
    room = ""
    for action in actions:
        if action.startswith("go to "):
            room = action.removeprefix("go to ")
        elif not action.startswith("open door to "):
            return room, action
    return room, ""


def _short(name: str) -> str:
    """A thing's name without the place where it is."""
    return re.sub(r" (in|on) .*", "", name)
