"""How a task begins: a room of its split, things in their usual places, and a goal."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from affine_trainer.envs.alfworld.goals import APPLIANCES, KINDS, LOOK, PLACE, TWO, Goal, possible_goals
from affine_trainer.envs.alfworld.layout import draw_places
from affine_trainer.envs.alfworld.rooms import CAPACITY, OPENABLE
from affine_trainer.envs.alfworld.thing import LAMP
from affine_trainer.envs.alfworld.things import THINGS
from affine_trainer.envs.splits import split_of
from affine_trainer.records import seed_from

POSSIBLE_GOALS = possible_goals()
THINGS_OF_ROOM = {
    room: [thing.kind for thing in THINGS.values() if room in thing.rooms and thing.kind != LAMP]
    for room in ("kitchen", "livingroom", "bedroom", "bathroom")
}
STRAY = 0.3  # the weight of a place that takes a thing but is not one of its homes
LAMP_CHANCE = 0.3  # that a room has a lamp which no task asks for
OTHERS_PER_PLACE = (0.6, 1.2)
# Rounds of a player who knows where everything is and finds every door open.
SHORTEST = {PLACE: 4, LOOK: 4, TWO: 8}
TREATED_SHORTEST = 6


@dataclass(frozen=True, slots=True)
class Scene:
    """Places and things are named as a player reads them (`mug 2`), both by kind, the highest number first.

    `where[i]` is the place of thing i.
    """

    room: str
    goal: Goal
    wording: int
    places: tuple[str, ...]
    place_kinds: tuple[str, ...]
    things: tuple[str, ...]
    thing_kinds: tuple[str, ...]
    where: tuple[int, ...]


def draw_scene(index: int, family: str) -> Scene:
    """The scene of a task index; AffineError for an index that no split owns."""
    split = split_of(index)
    rng = random.Random(seed_from("agentgym:alfworld", family, index))
    goals = POSSIBLE_GOALS[rng.choice(KINDS)]
    room, goal = rng.choice(goals[rng.choice(list(goals))])
    while True:
        places = draw_places(rng, room, split, _needed(goal))
        placed = _place_things(rng, room, goal, [kind for kind, _ in places])
        if placed is not None:
            return _named(room, goal, rng.randrange(2), places, _numbered(rng, placed))


def difficulty(scene: Scene) -> float:
    """Rounds that the task takes with everything known, and half a round for each place, in parts of 20."""
    goal, kinds = scene.goal, scene.place_kinds
    rounds = SHORTEST.get(goal.kind, TREATED_SHORTEST)
    wanted = [
        kinds[place] for place, kind in zip(scene.where, scene.thing_kinds, strict=True) if kind == goal.thing
    ]
    doors = sorted(kind in OPENABLE for kind in wanted)[: goal.count]
    return min(1.0, (rounds + sum(doors) + (goal.target in OPENABLE) + len(kinds) / 2) / 20)


def _needed(goal: Goal) -> set[str]:
    """Kinds of receptacle without which the goal cannot be met."""
    needed = set() if goal.kind == LOOK else {goal.target}
    if goal.treatment:
        needed.add(APPLIANCES[goal.treatment])
    return needed


def _place_things(
    rng: random.Random, room: str, goal: Goal, kinds: list[str]
) -> list[tuple[str, int]] | None:
    """(thing kind, place) of everything in the room; None where the wanted things find no place.

    Things to be put in a kind of receptacle as they are do not start in one.
    """
    barred = goal.target if goal.treatment is None else ""
    wanted = [goal.thing] * rng.randint(goal.count, goal.count + 1)
    if goal.kind == LOOK or (room in THINGS[LAMP].rooms and rng.random() < LAMP_CHANCE):
        wanted.append(LAMP)
    free = [CAPACITY[kind] for kind in kinds]
    placed: list[tuple[str, int]] = []
    for thing in wanted:
        place = _home(rng, thing, kinds, free, barred if thing == goal.thing else "")
        if place is None:
            return None
        placed.append((thing, place))
    others = [thing for thing in THINGS_OF_ROOM[room] if thing != goal.thing]
    for thing in rng.choices(others, k=round(len(kinds) * rng.uniform(*OTHERS_PER_PLACE))):
        place = _home(rng, thing, kinds, free, "")
        if place is not None:
            placed.append((thing, place))
    return placed


def _home(rng: random.Random, thing: str, kinds: list[str], free: list[int], barred: str) -> int | None:
    """A place with room left, drawn by the weights of the thing's homes; one place less is free there."""
    homes, fits = THINGS[thing].homes, THINGS[thing].fits
    weights = [
        homes.get(kind, STRAY if fits(kind) else 0.0) if left and kind != barred else 0.0
        for kind, left in zip(kinds, free, strict=True)
    ]
    if not any(weights):
        return None
    [place] = rng.choices(range(len(kinds)), weights)
    free[place] -= 1
    return place


def _numbered(rng: random.Random, placed: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """(kind, number, place), sorted; numbers are dealt at random, so they say nothing about the place."""
    rng.shuffle(placed)
    counts: Counter[str] = Counter()
    numbered = []
    for kind, place in placed:
        counts[kind] += 1
        numbered.append((kind, counts[kind], place))
    return sorted(numbered, key=lambda each: (each[0], -each[1]))


def _named(
    room: str, goal: Goal, wording: int, places: list[tuple[str, int]], things: list[tuple[str, int, int]]
) -> Scene:
    return Scene(
        room,
        goal,
        wording,
        tuple(f"{kind} {number}" for kind, number in places),
        tuple(kind for kind, _ in places),
        tuple(f"{kind} {number}" for kind, number, _ in things),
        tuple(kind for kind, _, _ in things),
        tuple(place for _, _, place in things),
    )
