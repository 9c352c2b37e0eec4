"""A goal as the player reads it, taken apart into errands in an order that satisfies it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from affine_trainer.envs.babyai.view import STEPS, Pose, Position, Thing

_DESCRIPTION = re.compile(
    r"(?:a|the) (?:(?P<color>red|green|blue|purple|yellow|grey) )?(?P<kind>box|ball|key|door|object)"
    r"(?P<place> in front of you| behind you| on your left| on your right)?"
)
_VERBS = {"go to ": "reach", "pick up ": "take", "open ": "open", "put ": "put"}


@dataclass(frozen=True, slots=True)
class Description:
    """What a goal calls a thing; `place` (front, behind, left, right) is seen from where the play began."""

    text: str
    kind: str | None
    color: str | None
    place: str | None

    @property
    def name(self) -> str:
        """Without its article."""
        return self.text.split(" ", 1)[1]

    def fits(self, thing: Thing, position: Position, start: Pose, room_size: int) -> bool:
        """Whether a thing that lay at `position` when the play began is one of those described."""
        if self.kind not in (None, thing.kind) or self.color not in (None, thing.color):
            return False
        return self.place is None or (
            same_room(start.position, position, room_size) and self._side(position, start)
        )

    def _side(self, position: Position, start: Pose) -> bool:
        dx, dy = STEPS[start.direction]
        x, y = position[0] - start.x, position[1] - start.y
        ahead, right = x * dx + y * dy, y * dx - x * dy
        sides = {"front": ahead > 0, "behind": ahead < 0, "left": right < 0, "right": right > 0}
        return sides[self.place or "front"]


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing to do: reach, take or open what is described, or put it next to `beside`."""

    verb: str
    what: Description
    beside: Description | None = None


def errands(goal: str) -> list[Errand]:
    """The errands of a goal in a safe order.

    "A, and B" was "A, then B" before the server reworded it. "A and B" was that, or "A after you B":
    B first is right for both.
    """
    found = []
    for group in goal.split(", and "):
        found += [_errand(part) for part in reversed(group.split(" and "))]
    return found


def _errand(part: str) -> Errand:
    verb = next(verb for verb in _VERBS if part.startswith(verb))
    what, _, beside = part[len(verb) :].partition(" next to ")
    return Errand(_VERBS[verb], _description(what), _description(beside) if beside else None)


def _description(text: str) -> Description:
    match = _DESCRIPTION.fullmatch(text)
    if match is None:
        raise ValueError(f"not a description of a thing: {text!r}")
    kind, place = match["kind"], match["place"]
    side = next((s for s in ("front", "behind", "left", "right") if place and s in place), None)
    return Description(text, None if kind == "object" else kind, match["color"], side)


def same_room(here: Position, there: Position, room_size: int) -> bool:
    """Whether `there` is in the room of `here`, walls and their doors included."""
    corners = [at // (room_size - 1) * (room_size - 1) for at in here]
    return all(corner <= at < corner + room_size for corner, at in zip(corners, there, strict=True))
