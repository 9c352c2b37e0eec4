"""Toy tasks in the shape of real ones: answer a digit in kind, once or over several turns."""

from __future__ import annotations

import json
from collections.abc import Sequence

from affine_trainer.envs.splits import draw_indices
from affine_trainer.records import (
    UNLIMITED,
    Environment,
    Grade,
    Message,
    SnapshotKind,
    Split,
    Step,
    Task,
    sha256_of,
)

DIGITS = 4


class RepeatDigits:
    """A task set: each turn shows a digit; the reply's first character must have its code, modulo four.

    Chance is one in four, so that a random model sees rewards. The reward is spread over the turns. The
    larger the first digit the more difficult the task is said to be.
    """

    env = "toy:repeat"
    family = "digits"
    max_reply_tokens = max_open = UNLIMITED

    def __init__(self, num_turns: int = 1) -> None:
        self.num_turns = self.max_turns = num_turns

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return draw_indices(self.env, self.family, split, count, seed)

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        return [self._task(index) for index in indices]

    def _task(self, index: int) -> Task:
        prompt = Message("user", str(index % DIGITS))
        return Task(
            self.env, self.family, index, (prompt,), index % DIGITS / DIGITS, sha256_of([self.env, index])
        )

    def start(self, task: Task) -> Environment:
        return RepeatPlay(task, self.num_turns)

    def expert_reply(self, task: Task) -> str | None:
        return str(task.index % DIGITS)


class RepeatPlay:
    """One play; every further turn shows the next digit."""

    snapshot_kind: SnapshotKind = "exact"

    def __init__(self, task: Task, num_turns: int) -> None:
        self.task = task
        self.num_turns = num_turns
        self.hits: list[bool] = []

    def observe(self) -> str:
        return ""

    def step(self, reply: str) -> Step:
        shown = (self.task.index + len(self.hits)) % DIGITS
        self.hits.append(reply != "" and ord(reply[0]) % DIGITS == shown)
        done = len(self.hits) == self.num_turns
        following = "" if done else str((self.task.index + len(self.hits)) % DIGITS)
        return Step(following, self.hits[-1] / self.num_turns, terminated=done, truncated=False)

    def grade(self) -> Grade:
        right = sum(self.hits)
        return Grade(right / self.num_turns, right == self.num_turns, f"{right} of {self.num_turns} digits")

    def snapshot(self) -> bytes:
        return json.dumps(self.hits).encode()

    def restore(self, state: bytes) -> None:
        self.hits = json.loads(state)

    def close(self) -> None: ...
