"""What a small real sample of a run costs: some episodes of every environment, and two optimiser steps."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import TrainerCallback

from affine_trainer.config import Config
from affine_trainer.learning.diagnostics import PhaseClock
from affine_trainer.learning.early_stopping import EarlyStopping
from affine_trainer.learning.ppo_loop import RunHooks
from affine_trainer.learning.practice import MOST_LOOKED_AT, Practice
from affine_trainer.records import Episode, seed_from

# Makes the trainer and its policy for a config, with checkpoints in the given folder.
OpenTrainer = Callable[[Config, Path, RunHooks, PhaseClock], tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Means over the sampled episodes of one environment; `seconds` with the environment's own time."""

    num_episodes: int
    prompt_tokens: float
    completion_tokens: float
    turns: float
    seconds: float


@dataclass(slots=True)
class Continuations:
    """What valuing the states of one episode takes that is learned from: plays, tokens and seconds.

    Tokens and seconds are scaled as those of the Probe. `read` tokens are those that a play holds and did not
    sample itself; a reading that plays share counts for each.
    """

    number: float
    sampled_tokens: float
    read_tokens: float
    seconds: float = 0.0


@dataclass(slots=True)
class Probe:
    """Seconds to score one episode that is learned from, and seconds of one optimiser step.

    Both are scaled by `tokens_ratio`, the run's tokens an episode in parts of those of the measured step.
    `continuations` are those that value states, None where advantages are not made of them.
    """

    costs: dict[str, Cost] = field(default_factory=dict)
    continuations: Continuations | None = None
    score_seconds: float = 0.0
    update_seconds: float = 0.0
    tokens_ratio: float = 1.0

    @property
    def num_episodes(self) -> int:
        return sum(cost.num_episodes for cost in self.costs.values())


def tasks_an_iteration(practice: Practice, config: Config) -> dict[str, float]:
    """How many tasks an iteration draws of each environment, the mean over a run."""
    looked_at = min(config.rl_training.num_rollouts, MOST_LOOKED_AT)
    draws = [practice.mix.positions(iteration) for iteration in range(looked_at)]
    return {name: sum(len(drawn.get(name, ())) for drawn in draws) / looked_at for name in practice.tasks}


def measure(config: Config, practice: Practice, open_trainer: OpenTrainer, scratch: Path) -> Probe:
    """Play enough episodes for an optimiser step, all environments among them, and take it twice.

    The second step is the one that is timed: the first sets things up. With the curriculum on the episodes
    are those of the last iteration. The model is trained in memory alone; nothing of it is kept.
    """
    probe, clock, wanted = Probe(), PhaseClock(), tasks_an_iteration(practice, config)
    rl = config.rl_training
    once = rl.model_copy(
        update={
            "num_rollouts": 1,
            "rollout_batch_size": rl.mini_batch_size,
            "ppo_epochs": 2,
            "save_frequency": 10**6,
        }
    )

    def collect(iteration: int) -> list[Episode]:
        groups = rollouts.practise(_sample(practice, config), rl.num_rollouts - 1)
        probe.costs |= _costs(groups, clock)
        chosen = _in_proportion(groups, wanted, rl.mini_batch_size // rl.samples_per_task, config)
        probe.tokens_ratio = _expected_tokens(probe, wanted) / fmean(map(_num_tokens, chosen))
        if rl.advantage == "vine":
            chosen, took = rollouts.value(chosen, rl.num_rollouts - 1, policy.text_of)
            probe.continuations = _continuations(took, len(chosen), probe.tokens_ratio)
        return chosen

    def report(finished: int, metrics: dict[str, float]) -> None:
        scale = probe.tokens_ratio / rl.mini_batch_size
        probe.score_seconds = scale * metrics["time/score"]
        if probe.continuations:
            probe.continuations.seconds = scale * metrics["time/values"]

    hooks = RunHooks(collect, lambda finished: 0.0, report)
    trainer, policy = open_trainer(config.model_copy(update={"rl_training": once}), scratch, hooks, clock)
    trainer.loop.stopping = EarlyStopping(1, 0.0, best_score=math.inf)  # so that no weights are written
    rollouts = practice.rollouts(policy, config, clock)
    steps = _StepSeconds()
    trainer.add_callback(steps)
    trainer.train()
    probe.update_seconds = probe.tokens_ratio * steps.seconds[-1]
    return probe


def _continuations(took: Mapping[str, float], num_episodes: int, tokens_ratio: float) -> Continuations:
    an_episode = {name: value / num_episodes for name, value in took.items()}
    return Continuations(
        number=an_episode["vine_rollouts"],
        sampled_tokens=tokens_ratio * an_episode["vine_tokens"],
        read_tokens=tokens_ratio * an_episode["vine_tokens_read"],
    )


class _StepSeconds(TrainerCallback):
    """Seconds of each optimiser step; the first one's contain what comes before it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(time.perf_counter() - self._began)


def _sample(practice: Practice, config: Config) -> dict[str, list[int]]:
    """Tasks for an optimiser step in the proportion of the run, at least one of each environment."""
    rl, wanted = config.rl_training, tasks_an_iteration(practice, config)
    share = rl.mini_batch_size / rl.samples_per_task / max(sum(wanted.values()), 1e-9)
    drawn = {}
    for name, indices in practice.tasks.items():
        rng = random.Random(seed_from("probe", config.seed, name))
        shuffled = rng.sample(list(indices), len(indices))
        drawn[name] = list(islice(cycle(shuffled), max(1, math.ceil(share * wanted[name]))))
    return drawn


def _in_proportion(
    groups: Mapping[str, list[Episode]], wanted: Mapping[str, float], num_tasks: int, config: Config
) -> list[Episode]:
    """All episodes of `num_tasks` tasks, environments in the run's proportion (largest remainders)."""
    total, size = sum(wanted.values()), config.rl_training.samples_per_task
    exact = {name: num_tasks * tasks / total for name, tasks in wanted.items()}
    taken = {name: int(number) for name, number in exact.items()}
    by_remainder = sorted(exact, key=lambda name: taken[name] - exact[name])
    for name in by_remainder[: num_tasks - sum(taken.values())]:
        taken[name] += 1
    return [episode for name, number in taken.items() for episode in groups[name][: number * size]]


def _num_tokens(episode: Episode) -> int:
    return episode.num_prompt_tokens + episode.num_completion_tokens


def _expected_tokens(probe: Probe, wanted: Mapping[str, float]) -> float:
    """Tokens of an episode, the mean over a run."""
    tokens = {name: cost.prompt_tokens + cost.completion_tokens for name, cost in probe.costs.items()}
    return sum(wanted[name] * tokens[name] for name in wanted) / sum(wanted.values())


def _costs(groups: Mapping[str, list[Episode]], clock: PhaseClock) -> dict[str, Cost]:
    """Environments play side by side, so each gets its part of the time that passed."""
    passed = clock.so_far("generate", "grade")
    spent = sum(episode.seconds for group in groups.values() for episode in group)
    return {
        name: Cost(
            num_episodes=len(group),
            prompt_tokens=fmean(episode.num_prompt_tokens for episode in group),
            completion_tokens=fmean(episode.num_completion_tokens for episode in group),
            turns=fmean(len(episode.turns) for episode in group),
            seconds=fmean(episode.seconds for episode in group) * passed / max(spent, 1e-9),
        )
        for name, group in groups.items()
    }
