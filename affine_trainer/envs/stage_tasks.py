"""What the stages play in and on: the sandbox of a config, and the fixed evaluation tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affine_trainer.config import Config
from affine_trainer.config.cores import usable_cores
from affine_trainer.envs import task_set, task_sets
from affine_trainer.envs.program_rows import GENERATED_FAMILIES
from affine_trainer.records import Task, TaskGroup, TaskSet
from affine_trainer.sandbox import Limits, Sandbox

PROGRAM_ENVIRONMENTS = ("affine:abd", "affine:ded")


def open_sandbox(config: Config) -> Sandbox:
    """The sandbox with the config's workers and limits; nothing starts before the first run."""
    limits = Limits(
        cpu_seconds=config.sandbox.cpu_seconds,
        wall_seconds=config.sandbox.wall_seconds,
        memory_mib=config.sandbox.memory_mib,
        output_bytes=config.sandbox.output_bytes,
    )
    return Sandbox(
        workers=config.sandbox.workers or usable_cores(),
        limits=limits,
        allow_unsandboxed=config.sandbox.allow_unsandboxed,
    )


def weight_of(env: str, config: Config) -> float:
    """The share of an environment such as `affine:sat` or `agentgym:webshop`, on any scale."""
    kind, _, name = env.partition(":")
    affine, agents, own = config.data.affine, config.data.agentgym, config.data.custom
    weights: Any = {"affine": affine.weights, "agentgym": agents.weights, "custom": own.weights}[kind]
    return weights[name]


def practice_weights(envs: Sequence[str], config: Config) -> list[float]:
    """The share of each environment of the tasks that RL plays, on any scale; 0: it is not practised."""
    weights = config.rl_training.weights
    return [weights.get(env.partition(":")[2], 0.0) if weights else weight_of(env, config) for env in envs]


def evaluation_tasks(config: Config, sandbox: Sandbox | None) -> list[TaskGroup]:
    """The tasks that every model meets: `num_samples` a single-turn environment, `agent_samples` an
    interactive one, then those of unseen program families.

    A function of families and `evaluation.task_seed` alone. A group's tasks are sorted by prompt length, so
    that the replies of a chunk cost about the same.
    """
    wanted = config.evaluation
    groups = [
        _draw(tasks, wanted.num_samples if tasks.max_turns == 1 else wanted.agent_samples, config)
        for tasks in task_sets(config, sandbox).values()
    ]
    if config.data.affine.programs == "generated" and wanted.unseen_family_samples:
        configured = [group.task_set.env for group in groups]
        unseen = [
            task_set(env, GENERATED_FAMILIES[1], config=config, sandbox=sandbox)
            for env in PROGRAM_ENVIRONMENTS
            if env in configured
        ]
        groups += [_draw(tasks, wanted.unseen_family_samples, config) for tasks in unseen]
    return groups


def _draw(tasks: TaskSet, count: int, config: Config) -> TaskGroup:
    drawn = tasks.tasks(tasks.indices("evaluation", count, config.evaluation.task_seed))
    return TaskGroup(tasks, sorted(drawn, key=lambda task: (_prompt_length(task), task.index)))


def _prompt_length(task: Task) -> int:
    return sum(len(message.content) for message in task.prompt)
