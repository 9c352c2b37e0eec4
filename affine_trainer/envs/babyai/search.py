"""Plans in the fewest text actions, on the map of what has been seen."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Set
from itertools import count

from affine_trainer.envs.babyai.memory import Counts, Memory, Place
from affine_trainer.envs.babyai.view import Position
from affine_trainer.envs.babyai.wording import Offer

Plan = list[str]
# Given a place and what it offers: the actions that finish a plan there, or None.
Finish = Callable[[Place, Offer], Plan | None]

STEPS_A_ROUND = 4.0  # about how far one action leads
_MOST_CELLS = 42  # no look shows more for the first time


def facing(targets: Set[Position]) -> Finish:
    """Ends with the agent going to a target."""
    return lambda _, offer: _action_on(targets, offer, "go to")


def taking(targets: Set[Position]) -> Finish:
    """Ends with a target picked up."""
    return lambda _, offer: _action_on(targets, offer, "pickup")


def passing(targets: Set[Position]) -> Finish:
    """Ends with a target, a shut door, opened and the agent in it."""
    return lambda _, offer: _action_on(targets, offer, "toggle and")


def toggling(targets: Set[Position]) -> Finish:
    """Ends with a target, a shut door, opened and the agent before it."""
    return lambda place, offer: _here("toggle", place.pose.front, targets, offer)


def dropping(targets: Set[Position]) -> Finish:
    """Ends with what is carried put down on a target, an empty cell."""
    return lambda place, offer: _here("drop", place.pose.front, targets, offer)


def standing(targets: Set[Position]) -> Finish:
    """Ends with the agent on a target."""
    return lambda place, _: [] if place.pose.position in targets else None


def plan_to(
    memory: Memory, targets: Set[Position], finish: Finish, shut: Set[Position], budget: int = 80
) -> Plan | None:
    """A plan that ends as `finish` says, near one of the targets, without opening a door of `shut`.

    The search looks first where few actions lead near a target. None if no free way leads to one;
    when the budget is spent, the plan that comes nearest.
    """
    steps = memory.distances(targets)
    if memory.here.pose.position not in steps:
        return None
    order = count()
    heap: list[tuple[float, int, Place, tuple[str, ...]]] = [(0.0, next(order), memory.here, ())]
    seen = {memory.here}
    nearest: tuple[int, tuple[str, ...]] = (10_000, ())
    while heap and budget:
        _, _, place, actions = heapq.heappop(heap)
        budget -= 1
        ending = finish(place, memory.offer(place))
        if ending is not None:
            return [*actions, *ending]
        if actions:
            nearest = min(nearest, (steps.get(place.pose.position, 10_000), actions))
        for action, end in _onward(memory, place, shut, seen):
            rounds = len(actions) + 1 + steps.get(end.pose.position, 100) / STEPS_A_ROUND
            heapq.heappush(heap, (rounds, next(order), end, (*actions, action)))
    return list(nearest[1]) or None


def plan_to_see(memory: Memory, shut: Set[Position], counts: Counts, budget: int = 40) -> tuple[float, Plan]:
    """The plan that shows the most new cells an action, and how many; (0, []) when nothing near shows any."""
    queue: list[tuple[Place, tuple[str, ...]]] = [(memory.here, ())]
    seen = {memory.here}
    best: tuple[float, tuple[str, ...]] = (0.0, ())
    for place, actions in queue:
        if not budget or best[0] >= _MOST_CELLS / (len(actions) + 2):
            break
        budget -= 1
        for action, end in _onward(memory, place, shut, seen):
            plan = (*actions, action)
            queue.append((end, plan))
            value = memory.gain(end, counts) / (len(plan) + 1)
            if value > best[0]:
                best = (value, plan)
    return best[0], list(best[1])


def _onward(memory: Memory, place: Place, shut: Set[Position], seen: set[Place]) -> list[tuple[str, Place]]:
    """The walks from a place to places not seen yet, which are seen from then on."""
    found = []
    for action in memory.offer(place).moves:
        end = memory.then(place, action)
        if end is not None and end not in seen and not end.opened & shut:
            seen.add(end)
            found.append((action, end))
    return found


def _action_on(targets: Set[Position], offer: Offer, verb: str) -> Plan | None:
    for action, sight in offer.targets.items():
        if sight.position in targets and action.startswith(verb):
            return [action]
    return None


def _here(action: str, front: Position, targets: Set[Position], offer: Offer) -> Plan | None:
    return [action] if front in targets and action in offer.moves else None
