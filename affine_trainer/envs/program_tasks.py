"""The tasks that ABD and DED make of rows: what differs between the two is a ProgramProblem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from affine_trainer.envs.program_rows import Row, Rows
from affine_trainer.envs.prompts import Template
from affine_trainer.envs.single_turn import SingleTurn
from affine_trainer.errors import AffineError
from affine_trainer.records import UNLIMITED, Grade, Message, Split, Task
from affine_trainer.rules import Rules
from affine_trainer.sandbox import Sandbox


@dataclass(frozen=True)
class ProgramProblem:
    """One way to make a problem of a row.

    required: the fields that a data set's rows must have. content: the hash of what is asked.
    expert: the row's own answer as a reply, or None. grade: raises Ungraded where it cannot tell.
    """

    env: str
    required: tuple[str, ...]
    pose: Callable[[Row, Template], tuple[Message, ...]]
    content: Callable[[Row], str]
    expert: Callable[[Row], str | None]
    grade: Callable[[Row, str, Sandbox, Rules], Grade]


class ProgramTasks:
    """All tasks of one environment over one family of rows; without a sandbox they cannot be played."""

    max_turns = 1
    max_reply_tokens = max_open = UNLIMITED

    def __init__(
        self, problem: ProgramProblem, rows: Rows, template: Template, rules: Rules, sandbox: Sandbox | None
    ) -> None:
        self.env = problem.env
        self.family = rows.family
        self._problem = problem
        self._rows = rows
        self._template = template
        self._rules = rules
        self._sandbox = sandbox

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        """As the protocol says; a data set with too few rows of the split gives fewer."""
        return self._rows.indices(self.env, split, count, seed)

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        return [self._task(index, self._rows.row(index)) for index in indices]

    def start(self, task: Task) -> SingleTurn:
        if self._sandbox is None:
            raise AffineError(f"{task.key} is graded by running a program; start it with a sandbox")
        row, sandbox = self._rows.row(task.index), self._sandbox
        return SingleTurn(task, lambda reply: self._problem.grade(row, reply, sandbox, self._rules))

    def expert_reply(self, task: Task) -> str | None:
        """The row's own answer; a data set's may be wrong, so keep it only if `grade_reply` passes it."""
        return self._problem.expert(self._rows.row(task.index))

    def _task(self, index: int, row: Row) -> Task:
        prompt = self._problem.pose(row, self._template)
        return Task(self.env, self.family, index, prompt, row.difficulty, self._problem.content(row))
