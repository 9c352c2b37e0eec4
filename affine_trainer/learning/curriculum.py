"""Which tasks an iteration may draw and how many rounds they get: from few and easy to all and long."""

from __future__ import annotations

import copy
import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from heapq import nsmallest
from typing import Any

from affine_trainer.config import RLConfig
from affine_trainer.errors import ConfigError
from affine_trainer.learning.schedules import Schedule
from affine_trainer.records import TaskSet, seed_from
from affine_trainer.stats import jeffreys_interval

GATE_CONFIDENCE = 0.80  # of the two-sided interval whose lower end has to pass
EXACTLY = 1e-9  # shares and rounds are products of decimals; this much below a whole number is that number


@dataclass(frozen=True, slots=True)
class Pool:
    """The tasks of one environment, easiest first; both tuples have one entry a task."""

    indices: tuple[int, ...]
    difficulties: tuple[float, ...]

    @classmethod
    def of(cls, difficulties: Mapping[int, float]) -> Pool:
        ordered = sorted(difficulties, key=lambda index: (difficulties[index], index))
        return cls(tuple(ordered), tuple(difficulties[index] for index in ordered))

    def num_open(self, share: float) -> int:
        """How many tasks the easiest `share` is, with all that are as easy as the hardest of them."""
        last = max(1, math.ceil(share * len(self.indices) - EXACTLY))
        return bisect_right(self.difficulties, self.difficulties[last - 1])


@dataclass(slots=True)
class Gate:
    """The level that one environment has reached, and how its last iterations there went.

    `recent` holds (sum of the tasks' mean success, number of tasks) an iteration. Episodes of a task are no
    independent trials, so a task counts as one.
    """

    level: int = 0
    recent: list[tuple[float, int]] = field(default_factory=list)

    def take_in(self, task_means: Sequence[float], *, window: int, threshold: float, last: int) -> None:
        """Open the next level when the Jeffreys lower bound of the last `window` iterations passes."""
        self.recent = [*self.recent, (sum(task_means), len(task_means))][-window:]
        hits, trials = (sum(column) for column in zip(*self.recent, strict=True))
        lower = jeffreys_interval(math.floor(hits + EXACTLY), int(trials), GATE_CONFIDENCE).lower
        if lower >= threshold and self.level < last:
            self.level, self.recent = self.level + 1, []


class Curriculum:
    """A limit in rounds that rises from `initial_max_steps` to `final_max_steps`, and what it opens.

    Of each environment the easiest limit / final_max_steps of the tasks can be drawn (by rank, since every
    environment measures difficulty in its own way), and its episodes end after the limit's whole rounds;
    `curriculum_limits` says which of the two. The limit is a function of the iteration or, gated, of the
    success each environment had; it is final from `curriculum_until` of the iterations on. `difficulties`
    maps the name of an environment and a task's index to its difficulty.
    """

    def __init__(self, rl: RLConfig, difficulties: Mapping[str, Mapping[int, float]], *, seed: int) -> None:
        self._rl = rl
        self._seed = seed
        self._num_iterations = round(rl.curriculum_until * rl.num_rollouts)
        self._pools = {name: Pool.of(found) for name, found in difficulties.items()}
        self._order = {name: self._shuffled(name, pool) for name, pool in self._pools.items()}
        self._played: dict[str, Counter[int]] = {name: Counter() for name in self._pools}
        self._gates = {name: Gate() for name in self._pools}

    def _shuffled(self, name: str, pool: Pool) -> dict[int, int]:
        order = list(pool.indices)
        random.Random(seed_from("curriculum", self._seed, name)).shuffle(order)
        return {index: place for place, index in enumerate(order)}

    def limit(self, name: str, iteration: int) -> float:
        """The limit of an environment in rounds at `iteration`, counted from 0."""
        rl = self._rl
        first, last, total = rl.initial_max_steps, rl.final_max_steps, self._num_iterations
        if iteration >= total - 1:
            return last
        if rl.curriculum_schedule == "gate":
            return first + (last - first) * self._gates[name].level / (rl.schedule_stages - 1)
        power, stages = rl.schedule_power, rl.schedule_stages
        return Schedule(rl.curriculum_schedule, first, last, total, power=power, num_stages=stages)(iteration)

    def num_open(self, name: str, iteration: int) -> int:
        """How many of an environment's tasks can be drawn at `iteration`."""
        return self._num_open(name, self.limit(name, iteration))

    def _num_open(self, name: str, limit: float) -> int:
        share = limit / self._rl.final_max_steps if "difficulty" in self._rl.curriculum_limits else 1.0
        return self._pools[name].num_open(share)

    def shortened(self, task_set: TaskSet, name: str, iteration: int) -> TaskSet:
        """The task set with episodes that end at the limit of `iteration`, itself where they do anyway."""
        rounds = math.floor(self.limit(name, iteration) + EXACTLY)
        if "rounds" not in self._rl.curriculum_limits or task_set.max_turns <= rounds:
            return task_set
        shorter = copy.copy(task_set)
        shorter.max_turns = rounds
        return shorter

    def draw(self, name: str, count: int, iteration: int) -> list[int]:
        """`count` open tasks, those that were played least first.

        The tasks that were open from the start keep at least `curriculum_rehearsal` of the draws; a fraction
        of a task is rounded at random, by the seed.
        """
        pool, num_open = self._pools[name], self.num_open(name, iteration)
        easy = min(num_open, self._num_open(name, self._rl.initial_max_steps))
        share = max(self._rl.curriculum_rehearsal, easy / num_open) if easy < num_open else 1.0
        chance = random.Random(seed_from("rehearsal", self._seed, name, iteration)).random()
        rehearsed = min(count, math.floor(share * count + chance))
        drawn = self._least_played(name, pool.indices[:easy], rehearsed)
        return drawn + self._least_played(name, pool.indices[easy:num_open], count - rehearsed)

    def _least_played(self, name: str, candidates: Sequence[int], count: int) -> list[int]:
        played, order = self._played[name], self._order[name]
        drawn: list[int] = []
        while len(drawn) < count:
            wanted = count - len(drawn)
            chosen = nsmallest(wanted, candidates, key=lambda index: (played[index], order[index]))
            played.update(chosen)
            drawn += chosen
        return drawn

    def take_in(self, successes: Mapping[str, Sequence[float]]) -> None:
        """What an iteration's tasks earned: the mean success of each, by environment."""
        rl = self._rl
        for name, means in successes.items():
            if means and rl.curriculum_schedule == "gate":
                self._gates[name].take_in(
                    means,
                    window=rl.curriculum_window,
                    threshold=rl.curriculum_gate,
                    last=rl.schedule_stages - 1,
                )

    def metrics(self, iteration: int) -> dict[str, float]:
        """The limits in rounds (gated, those of each environment and their mean) and the open tasks."""
        limits = {name: self.limit(name, iteration) for name in self._pools}
        found = {"curriculum_limit": sum(limits.values()) / len(limits)}
        if self._rl.curriculum_schedule == "gate":
            found |= {f"curriculum_limit/{name}": limit for name, limit in limits.items()}
        found |= {f"curriculum_tasks/{name}": float(self.num_open(name, iteration)) for name in limits}
        return {f"rl/{name}": value for name, value in found.items()}

    def check(self, draws: Mapping[str, int], max_turns: Mapping[str, int]) -> list[str]:
        """Sentences on what the curriculum cannot order; ConfigError where it opens too little to play.

        `draws` says how many tasks an iteration plays of each environment, `max_turns` how many turns its
        episodes have at the most.
        """
        rl = self._rl
        for name, wanted in draws.items():
            total, num_open = len(self._pools[name].indices), self.num_open(name, 0)
            if num_open < min(wanted, total):
                raise ConfigError(
                    f"rl_training.initial_max_steps {rl.initial_max_steps} of {rl.final_max_steps} opens "
                    f"{num_open} of the {total} tasks of {name}, and an iteration plays {wanted}: raise "
                    "initial_max_steps, or collect more with data.num_samples"
                )
        alike = [name for name, pool in self._pools.items() if pool.difficulties[0] == pool.difficulties[-1]]
        if "difficulty" not in rl.curriculum_limits:
            alike = list(self._pools)
        limited = [
            name
            for name, turns in max_turns.items()
            if "rounds" in rl.curriculum_limits and turns > rl.initial_max_steps
        ]
        if len(alike) == len(self._pools) and not limited:
            raise ConfigError(
                f"rl_training.enable_curriculum has nothing to limit: the tasks of {', '.join(alike)} are "
                "equally difficult as far as is known, or not limited by difficulty, and no episode has more "
                f"rounds than rl_training.initial_max_steps {rl.initial_max_steps}; set it to false"
            )
        if "difficulty" not in rl.curriculum_limits:
            return []
        return [f"the tasks of {name} are equally difficult, so all are open at once" for name in alike]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, in JSON types."""
        return {
            "played": {name: list(counts.items()) for name, counts in self._played.items()},
            "gates": {name: asdict(gate) for name, gate in self._gates.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self._pools:
            self._played[name] = Counter({index: times for index, times in state["played"][name]})
            gate = state["gates"][name]
            self._gates[name] = Gate(gate["level"], [(hits, tasks) for hits, tasks in gate["recent"]])
