"""Expert samples of interactive environments: whole plays of a scripted expert, kept where they succeed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import append_jsonl, read_jsonl, repair_jsonl
from affine_trainer.envs.agents.players import expert_policy
from affine_trainer.records import Episode, Message, Sampling, Task, TaskGroup, TaskSet
from affine_trainer.rollout import play
from affine_trainer.stages.expert_samples import Fault, Sample, TokenLimits

UNUSED = Sampling(0.0, 1.0, 1, seed=0)  # a scripted player samples nothing


class Plays:
    """Experts of interactive tasks, who see what a player sees.

    Plays are appended to `path` as they are made: a killed collect plays nothing twice.
    """

    def __init__(self, path: Path, limits: TokenLimits, *, thoughts: bool, seed: int) -> None:
        self._path = path
        self._limits = limits
        self._policy = expert_policy(thoughts=thoughts)
        self._seed = seed
        repair_jsonl(path)
        begun = path.is_file() and path.stat().st_size
        rows = read_jsonl(path, ("task_key", "turns", "fault")) if begun else ()
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


def fault_of(episode: Episode) -> str | None:
    """Why a play is no sample: it failed, or did not succeed; of sciworld's long tasks a part will do."""
    if episode.grade is None:
        return f"it could not be graded: {episode.error}"
    score = episode.turns[-1].info.get("score", 0.0)
    if episode.grade.success or (episode.task_key.startswith("agentgym:sciworld") and score > 0.0):
        return None
    return episode.grade.why
