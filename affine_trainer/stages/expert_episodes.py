"""Expert samples of interactive environments: whole plays of a scripted expert, kept where they succeed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import append_jsonl, resume_jsonl, write_atomic
from affine_trainer.envs.agents.trajectories import Trajectory, read_trajectories, trajectories_json
from affine_trainer.errors import DataError
from affine_trainer.records import Episode, Message, Policy, Sampling, Task, TaskGroup, TaskSet, sha256_of
from affine_trainer.rollout import play
from affine_trainer.stages.expert_samples import Fault, Sample, TokenLimits

UNUSED = Sampling(0.0, 1.0, 1, seed=0)  # a scripted player samples nothing


class Plays:
    """Experts of interactive tasks, who see what a player sees.

    Plays are appended to `path` as they are made: a killed collect plays nothing twice.
    """

    def __init__(self, path: Path, limits: TokenLimits, expert: Policy, *, seed: int) -> None:
        self._path = path
        self._limits = limits
        self._policy = expert
        self._seed = seed
        rows = resume_jsonl(path, ("task_key", "turns", "fault"))
        self._made: dict[str, dict[str, Any]] = {row["task_key"]: row for row in rows}

    def samples(self, task_set: TaskSet, tasks: Sequence[Task]) -> list[Sample | Fault]:
        new = [task for task in tasks if task.key not in self._made]
        group = TaskGroup(task_set, new)
        play(
            [group],
            self._policy,
            UNUSED,
            seed=self._seed,
            chunk_size=32,
            on_chunk=self._keep,
            keep_conversation=True,
        )
        return [self._sample(task) for task in tasks]

    def _keep(self, episodes: list[Episode]) -> None:
        for episode in episodes:
            assert episode.conversation is not None
            turns = [asdict(message) for message in episode.conversation.messages]
            row = {"task_key": episode.task_key, "turns": turns, "fault": fault_of(episode)}
            self._made[episode.task_key] = row
            append_jsonl(self._path, row)

    def _sample(self, task: Task) -> Sample | Fault:
        row = self._made[task.key]
        if row["fault"]:
            return Fault("not_verified", row["fault"])
        messages = [Message(**message) for message in row["turns"]]
        opening = len(task.prompt) + 1  # what the environment shows first belongs to the prompt
        return self._limits.sample(task, messages[:opening], messages[opening:])


def trajectory_samples(paths: Sequence[str], limits: TokenLimits) -> list[Sample]:
    """The plays of AgentTraj files as samples; DataError where one does not fit the model.

    They share keys and contents with the tasks of an AgentGym server, so that none is evaluated on.
    """
    samples = []
    for path in (Path(name).expanduser() for name in paths):
        for found in read_trajectories(path):
            sample = limits.sample(_task_of(found), found.prompt, found.turns)
            if isinstance(sample, Fault):
                raise DataError(f"{path}, {found.name}_{found.item}: {sample.why}")
            samples.append(sample)
    return samples


def _task_of(found: Trajectory) -> Task:
    env, content = f"agentgym:{found.name}", {"server": found.name, "item": found.item}
    sha256 = sha256_of({"env": env, "content": content})
    return Task(env, "server", found.item, found.prompt, 0.0, sha256)


def write_trajectories(path: Path, samples: Sequence[Sample]) -> None:
    """Samples of an embedded environment as an AgentTraj file."""
    found = [
        Trajectory(sample.task.env.partition(":")[2], sample.task.index, sample.prompt, sample.turns)
        for sample in samples
    ]
    write_atomic(path, trajectories_json(found))


def fault_of(episode: Episode) -> str | None:
    """Why a play is no sample: it failed, or did not succeed; of sciworld's long tasks a part will do."""
    if episode.grade is None:
        return f"it could not be graded: {episode.error}"
    score = episode.turns[-1].info.get("score", 0.0)
    if episode.grade.success or (episode.task_key.startswith("agentgym:sciworld") and score > 0.0):
        return None
    return episode.grade.why
