"""The environment of a problem that one reply settles: a task and the function that grades the reply."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from affine_trainer.records import Grade, SnapshotKind, Step, Task, TaskSet


class Ungraded(Exception):
    """A reply could not be graded, through no fault of the reply; the message says why."""


class SingleTurn:
    """One play of a task whose prompt says everything: the first step grades the reply and ends it.

    `grader` maps a reply to its grade and raises Ungraded where it cannot tell.
    """

    snapshot_kind: SnapshotKind = "exact"

    def __init__(self, task: Task, grader: Callable[[str], Grade]) -> None:
        self.task = task
        self._grader = grader
        self._grade: Grade | None = None

    def observe(self) -> str:
        """Empty: the task's prompt holds the whole problem."""
        return ""

    def step(self, reply: str) -> Step:
        """Grade the reply; `info` holds `why`, or `error` where it could not be graded."""
        try:
            self._grade = self._grader(reply)
        except Ungraded as error:
            self._grade = None
            return Step("", 0.0, terminated=True, truncated=False, info={"error": str(error)})
        return Step("", self._grade.reward, terminated=True, truncated=False, info={"why": self._grade.why})

    def grade(self) -> Grade | None:
        """The grade of the reply; None before the step, and where the reply could not be graded."""
        return self._grade

    def snapshot(self) -> bytes:
        return json.dumps(None if self._grade is None else asdict(self._grade)).encode()

    def restore(self, state: bytes) -> None:
        fields = json.loads(state)
        self._grade = None if fields is None else Grade(**fields)

    def close(self) -> None:
        """Nothing is held open."""


def grade_reply(task_set: TaskSet, task: Task, reply: str) -> Grade | None:
    """The grade of one reply to a task's prompt; None where it could not be graded."""
    environment = task_set.start(task)
    environment.step(reply)
    grade = environment.grade()
    environment.close()
    return grade
