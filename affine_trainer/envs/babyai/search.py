"""Plans in the fewest text actions, on the map of what has been seen."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Set
from itertools import count

from affine_trainer.envs.babyai.memory import Memory, Place
from affine_trainer.envs.babyai.view import Position
from affine_trainer.envs.babyai.wording import Offer

# Given a place and what it offers: the actions that finish the plan there, or None.
Finish = Callable[[Place, Offer], list[str] | None]
Plan = list[str]

_STEPS_A_ROUND = 4.0  # about how far one action leads
_MOST_CELLS = 42  # no look shows more for the first time


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
    heap = [(0.0, next(order), memory.here, ())]
    seen = {memory.here}
    nearest: tuple[int, tuple[str, ...]] = (10_000, ())
    while heap and budget:
        _, _, place, actions = heapq.heappop(heap)
        budget -= 1
        offer = memory.offer(place)
        ending = finish(place, offer)
        if ending is not None:
            return [*actions, *ending]
        if actions:
            nearest = min(nearest, (steps.get(place.pose.position, 10_000), actions))
        for action in offer.moves:
            end = memory.then(place, action)
            if end is None or end in seen or end.opened & shut:
                continue
            seen.add(end)
            left = steps.get(end.pose.position, 100)
            heapq.heappush(heap, (len(actions) + 1 + left / _STEPS_A_ROUND, next(order), end, (*actions, action)))
    return list(nearest[1]) or None


def plan_to_see(memory: Memory, shut: Set[Position], budget: int = 40) -> Plan | None:
    """A plan to see the most new cells an action; None when no place within reach shows any."""
    queue: list[tuple[Place, tuple[str, ...]]] = [(memory.here, ())]
    seen = {memory.here}
    best: tuple[float, tuple[str, ...]] = (0.0, ())
    for place, actions in queue:
        if not budget or best[0] >= _MOST_CELLS / (len(actions) + 2):
            break
        budget -= 1
        for action in memory.offer(place).moves:
            end = memory.then(place, action)
            if end is None or end in seen or end.opened & shut:
                continue
            seen.add(end)
            plan = (*actions, action)
            queue.append((end, plan))
            value = memory.gain(end) / (len(plan) + 1)
            if value > best[0]:
                best = (value, plan)
    return list(best[1]) or None
