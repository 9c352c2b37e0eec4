"""How near a household is to its goal: a function of the state alone, 1 exactly where the goal holds."""

from __future__ import annotations

from affine_trainer.envs.alfworld.goals import LOOK, TWO
from affine_trainer.envs.alfworld.thing import LAMP
from affine_trainer.envs.alfworld.world import IN_HAND, MARK_OF, World

# What each stage of a task is worth by itself.
FOUND, HELD = 0.25, 0.6
TO_TREAT_FOUND, TO_TREAT_HELD, TREATED, TREATED_HELD = 0.2, 0.4, 0.6, 0.75
LOOK_FOUND, LOOK_HELD, LAMP_FOUND, LAMP_ON = 0.2, 0.45, 0.15, 0.35
ONE_FOUND, ONE_HELD, ONE_PLACED = 0.15, 0.35, 0.5


def progress(world: World) -> float:
    """From 0 to 1; taking a step back takes back what the step was worth."""
    goal = world.scene.goal
    wanted = _of_kind(world, goal.thing)
    if goal.kind == LOOK:
        return _looking(world, wanted)
    if goal.kind == TWO:
        return _placing_two(world, wanted)
    return max(_placing(world, thing) for thing in wanted)


def _of_kind(world: World, kind: str) -> list[int]:
    return [thing for thing, of in enumerate(world.scene.thing_kinds) if of == kind]


def _placing(world: World, thing: int) -> float:
    goal, place = world.scene.goal, world.where[thing]
    treated = goal.treatment is None or thing in world.marks[MARK_OF[goal.treatment]]
    if treated and place != IN_HAND and world.scene.place_kinds[place] == goal.target:
        return 1.0
    held, seen = place == IN_HAND, thing in world.seen
    if goal.treatment is None:
        return HELD if held else FOUND if seen else 0.0
    if treated:
        return TREATED_HELD if held else TREATED
    return TO_TREAT_HELD if held else TO_TREAT_FOUND if seen else 0.0


def _placing_two(world: World, wanted: list[int]) -> float:
    """Both must be in the same receptacle, so the best one counts."""
    targets = [place for place, kind in enumerate(world.scene.place_kinds) if kind == world.scene.goal.target]
    return max(sum(sorted(_one_of_two(world, thing, place) for thing in wanted)[-2:]) for place in targets)


def _one_of_two(world: World, thing: int, target: int) -> float:
    place = world.where[thing]
    if place == target:
        return ONE_PLACED
    return ONE_HELD if place == IN_HAND else ONE_FOUND if thing in world.seen else 0.0


def _looking(world: World, wanted: list[int]) -> float:
    lamps, lit = _of_kind(world, LAMP), world.marks["on"]
    held = any(world.where[thing] == IN_HAND for thing in wanted)
    if held and any(world.where[lamp] == world.at for lamp in lit):
        return 1.0
    thing = LOOK_HELD if held else LOOK_FOUND if world.seen.intersection(wanted) else 0.0
    lamp = LAMP_ON if lit else LAMP_FOUND if world.seen.intersection(lamps) else 0.0
    return thing + lamp
