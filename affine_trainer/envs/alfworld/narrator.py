"""The sentences that answer an action, those of the real text engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from affine_trainer.envs.alfworld.commands import Command
from affine_trainer.envs.alfworld.thing import LAMP
from affine_trainer.envs.alfworld.things import VESSELS
from affine_trainer.envs.alfworld.world import NOWHERE, World

NOTHING_HAPPENS = "Nothing happens."


@dataclass(frozen=True, slots=True)
class Wording:
    """What differs between versions of the real engine: how an arrival is told, and how a putting is written.

    Both ways of putting are understood under any wording, and answered in their own.
    """

    arrival: str
    put: str


NEWER = Wording("You arrive at {place}. ", "move {thing} to {place}")  # engine 0.4
OLDER = Wording("You arrive at loc {number}. ", "put {thing} in/on {place}")  # engine 0.3
OLDER_SERVED = Wording("", OLDER.put)  # engine 0.3 as AgentGym serves it, which cuts the arrival off


def room_overview(world: World) -> str:
    """All receptacles, from the middle of the room."""
    return (
        f"You are in the middle of a room. Looking quickly around you, you see {listed(world.scene.places)}."
    )


def listed(names: Iterable[str]) -> str:
    """`a mug 1, a cup 2, and a egg 1`; the article is always "a"."""
    each = [f"a {name}" for name in names]
    if len(each) < 2:
        return each[0] if each else "nothing"
    return ", ".join(each[:-1]) + f", and {each[-1]}"


def narrate(world: World, command: Command, wording: Wording) -> str | None:
    """Do a command and tell what happened; None where it was not possible."""
    first, second = command.first, command.second
    match command.verb:
        case "look":
            return _look(world)
        case "inventory":
            return _inventory(world)
        case "examine":
            return _examine(world, first)
        case "go to" if world.go(first):
            return wording.arrival.format(place=first, number=world.at + 1) + _contents(world)
        case "open" if world.open(first):
            return f"You open the {first}. {_contents(world)}"
        case "close" if world.close(first):
            return f"You close the {first}."
        case "take" if world.take(first, second):
            return f"You pick up the {first} from the {second}."
        case "move" if world.put(first, second):
            return f"You move the {first} to the {second}."
        case "put" if world.put(first, second):
            return f"You put the {first} in/on the {second}."
        case "heat" | "cool" | "clean" if world.treat(command.verb, first, second):
            return f"You {command.verb} the {first} using the {second}."
        case "use" if world.use(first):
            return f"You turn on the {first}."
        case "slice" if world.slice(first, second):
            return f"You sliced the {first} with the {second}."
    return None


def _look(world: World) -> str:
    if world.at == NOWHERE:
        return room_overview(world)
    return f"You are facing the {world.scene.places[world.at]}. Next to it, you see nothing."


def _inventory(world: World) -> str:
    if world.held is None:
        return "You are not carrying anything."
    return f"You are carrying: a {world.scene.things[world.held]}."


def _contents(world: World) -> str:
    name = world.scene.places[world.at]
    if not world.accessible(world.at):
        return f"The {name} is closed."
    things = listed(world.scene.things[thing] for thing in world.contents(world.at))
    if world.openable(world.at):
        return f"The {name} is open. In it, you see {things}."
    return f"On the {name}, you see {things}."


def _examine(world: World, name: str) -> str | None:
    if world.here(name) is not None:
        return _contents(world)
    thing = world.in_reach(name)
    return None if thing is None else _thing(world, thing)


def _thing(world: World, thing: int) -> str:
    """A vessel is described as one whatever was done to it, as the real engine has it."""
    name, kind = world.scene.things[thing], world.scene.thing_kinds[thing]
    if kind in VESSELS:
        return f"This is a normal {name}. In it, you see nothing."
    if kind == LAMP:
        return f"This {name} is {'on' if thing in world.marks['on'] else 'off'}."
    states = [mark for mark in ("hot", "cool", "clean") if thing in world.marks[mark]]
    sliced = thing in world.marks["sliced"]
    if not states and not sliced:
        return f"There's nothing special about {name}."
    adjectives = "cold" if states == ["cool"] and not sliced else " and ".join(states)
    return "This is a " + " ".join(filter(None, (adjectives, "sliced" if sliced else "", name))) + "."
