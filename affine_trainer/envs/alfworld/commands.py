"""What a player can write: the grammar of actions, and every action that is possible now."""

from __future__ import annotations

from typing import NamedTuple

from affine_trainer.envs.alfworld.thing import LAMP
from affine_trainer.envs.alfworld.world import MARK_OF, World

ALONE = ("inventory", "look")
WITH_ONE = ("go to", "open", "close", "use", "examine")
WITH_TWO = {
    "take": " from ",
    "move": " to ",
    "put": " in/on ",
    "heat": " with ",
    "cool": " with ",
    "clean": " with ",
    "slice": " with ",
}


class Command(NamedTuple):
    """A verb and what it is done to."""

    verb: str
    first: str = ""
    second: str = ""


def read_command(action: str) -> Command | None:
    """The command that an action words exactly; None for anything else."""
    text = action.strip()
    if text in ALONE:
        return Command(text)
    verb = "go to" if text.startswith("go to ") else text.partition(" ")[0]
    rest = text[len(verb) + 1 :]
    if verb in WITH_ONE:
        return Command(verb, rest)
    if verb in WITH_TWO:
        first, between, second = rest.partition(WITH_TWO[verb])
        return Command(verb, first, second) if between else None
    return None


def possible_actions(world: World, put: str) -> list[str]:
    """All that is possible now, sorted; `put` words the putting, e.g. `move {thing} to {place}`."""
    scene = world.scene
    actions = [*ALONE, *(f"go to {name}" for index, name in enumerate(scene.places) if index != world.at)]
    if world.at >= 0:
        actions += _at_place(world, put)
    if world.held is not None:
        actions.append(f"examine {scene.things[world.held]}")
    return sorted(actions)


def _at_place(world: World, put: str) -> list[str]:
    place = world.scene.places[world.at]
    actions = [f"examine {place}"]
    if world.openable(world.at):
        actions.append(f"{'close' if world.accessible(world.at) else 'open'} {place}")
    if world.held is not None:
        actions += _with_held(world, world.held, put)
    if world.accessible(world.at):
        for thing in world.contents(world.at):
            actions += _with_thing(world, thing)
    return actions


def _with_held(world: World, held: int, put: str) -> list[str]:
    name, place = world.scene.things[held], world.scene.places[world.at]
    actions = [f"{verb} {name} with {place}" for verb in MARK_OF if world.can_treat(verb, held, world.at)]
    if world.can_put(held, world.at):
        actions.append(put.format(thing=name, place=place))
    return actions


def _with_thing(world: World, thing: int) -> list[str]:
    name, place = world.scene.things[thing], world.scene.places[world.at]
    actions = [f"examine {name}"]
    if world.can_take(thing):
        actions.append(f"take {name} from {place}")
    if world.scene.thing_kinds[thing] == LAMP:
        actions.append(f"use {name}")
    if world.held is not None and world.can_slice(thing, world.held):
        actions.append(f"slice {name} with {world.scene.things[world.held]}")
    return actions
