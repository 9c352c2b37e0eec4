"""What a thing of a household is: where it is found, where it may be wanted, what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass

from affine_trainer.envs.alfworld.rooms import SURFACES

KITCHEN, LIVINGROOM, BEDROOM, BATHROOM = "kitchen", "livingroom", "bedroom", "bathroom"
LAMP = "desklamp"


@dataclass(frozen=True, slots=True)
class Thing:
    """`homes` weighs each receptacle of a kind; `goals` are the kinds a task may ask it to be put in."""

    kind: str
    rooms: tuple[str, ...]
    homes: dict[str, int]
    goals: tuple[str, ...]
    treatments: tuple[str, ...]

    def fits(self, place_kind: str) -> bool:
        """Whether a receptacle of this kind takes the thing."""
        return place_kind in self.homes or place_kind in self.goals or place_kind in SURFACES


def thing(kind: str, rooms: str, homes: dict[str, int], goals: str = "", treatments: str = "") -> Thing:
    """A thing from lists written with spaces."""
    return Thing(kind, tuple(rooms.split()), homes, tuple(goals.split()), tuple(treatments.split()))
