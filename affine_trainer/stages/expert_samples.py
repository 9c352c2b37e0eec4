"""Expert samples for `collect`: tasks drawn in a fixed order, each reply verified by its own grader, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from affine_trainer.artifacts import append_jsonl, resume_jsonl
from affine_trainer.envs import grade_reply
from affine_trainer.errors import DataError
from affine_trainer.records import Message, Split, Task, TaskSet

BATCH = 128  # tasks answered together, at most
POSED_AT_ONCE = 16
# A finite family repeats itself in the end; this many candidates a wanted sample are looked at.
MAX_CANDIDATES_PER_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A task and what an expert did that its grader accepts: the prompt, then replies and observations.

    `num_completion_tokens` counts what comes behind the prompt.
    """

    task: Task
    prompt: tuple[Message, ...]
    turns: tuple[Message, ...]
    num_prompt_tokens: int
    num_completion_tokens: int

    def row(self) -> dict[str, Any]:
        """The conversational prompt-completion form, in which TRL's SFT masks the prompt."""
        return {
            "prompt": [asdict(message) for message in self.prompt],
            "completion": [asdict(message) for message in self.turns],
            "environment": self.task.env,
            "family": self.task.family,
            "task_key": self.task.key,
            "content_sha256": self.task.content_sha256,
            "difficulty": self.task.difficulty,
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a task gives no sample; `why` where its data is at fault."""

    reason: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """Counts tokens as the stages do; what does not fit the model is refused, never cut.

    `count` gives the tokens of a prompt and of the turns behind it.
    """

    count: Callable[[Sequence[Message], Sequence[Message]], tuple[int, int]]
    max_prompt_tokens: int
    max_new_tokens: int
    max_episode_tokens: int

    def prompt_fits(self, task: Task) -> bool:
        return self.count(task.prompt, ())[0] <= self.max_prompt_tokens

    def sample(self, task: Task, prompt: Sequence[Message], turns: Sequence[Message]) -> Sample | Fault:
        """The sample, or which limit it exceeds."""
        found = Sample(task, tuple(prompt), tuple(turns), *self.count(prompt, turns))
        completion = "max_new_tokens" if len(turns) == 1 else "max_episode_tokens"
        for part, number, limit in (
            ("prompt", found.num_prompt_tokens, "max_prompt_tokens"),
            ("reply" if len(turns) == 1 else "play", found.num_completion_tokens, completion),
        ):
            if number > getattr(self, limit):
                most = getattr(self, limit)
                return Fault("too_long", f"the {part} has {number} tokens, more than model.{limit} = {most}")
        return found


@dataclass(slots=True)
class Rejections:
    """What was drawn and not taken: how often for which reason, and the tasks whose data is at fault."""

    counts: Counter[str] = field(default_factory=Counter)
    named: list[dict[str, str]] = field(default_factory=list)

    def add(self, task: Task, fault: Fault) -> None:
        self.counts[fault.reason] += 1
        if fault.why is not None:
            self.named.append({"task_key": task.key, "reason": fault.reason, "why": fault.why})


class Experts(Protocol):
    """Whoever answers tasks for the data."""

    def samples(self, task_set: TaskSet, tasks: Sequence[Task]) -> list[Sample | Fault]:
        """For each task what an expert did and its grader accepted, or why there is nothing."""
        ...


class Answers:
    """Experts of single-turn tasks: the task set's own reply, verified by its grader.

    Verdicts are appended to `path` as they are found: a killed collect verifies nothing twice.
    """

    def __init__(self, path: Path, limits: TokenLimits, threads: int) -> None:
        self._path = path
        self._limits = limits
        self._threads = threads
        rows = resume_jsonl(path, ("task_key", "fault"))
        self._faults: dict[str, str | None] = {row["task_key"]: row["fault"] for row in rows}

    def samples(self, task_set: TaskSet, tasks: Sequence[Task]) -> list[Sample | Fault]:
        written = [self._written(task_set, task) for task in tasks]
        faults = iter(self._verdicts(task_set, [found for found in written if isinstance(found, Sample)]))
        verified = []
        for found in written:
            fault = next(faults) if isinstance(found, Sample) else None
            verified.append(Fault("not_verified", fault) if fault else found)
        return verified

    def _written(self, task_set: TaskSet, task: Task) -> Sample | Fault:
        reply = task_set.expert_reply(task)
        if reply is None:
            return Fault("no_expert", "there is no expert reply")
        return self._limits.sample(task, task.prompt, (Message("assistant", reply),))

    def _verdicts(self, task_set: TaskSet, samples: Sequence[Sample]) -> list[str | None]:
        """Why each reply is not a correct answer, None where it is."""
        new = [sample for sample in samples if sample.task.key not in self._faults]
        with ThreadPoolExecutor(self._threads) as pool:
            for sample, fault in zip(new, pool.map(lambda s: verify(task_set, s), new), strict=True):
                self._faults[sample.task.key] = fault
                append_jsonl(self._path, {"task_key": sample.task.key, "fault": fault})
        return [self._faults[sample.task.key] for sample in samples]


def verify(task_set: TaskSet, sample: Sample) -> str | None:
    """Why the grader does not accept the reply, or None."""
    grade = grade_reply(task_set, sample.task, sample.turns[0].content)
    if grade is None:
        return "it could not be graded"
    return None if grade.success else grade.why


def candidates(task_set: TaskSet, split: Split, seed: int, wanted: int) -> Iterator[Task]:
    """Tasks in the order that `seed` draws, posed as they are asked for.

    They end when a data set does, or at a sane limit.
    """
    start, limit = 0, max(1000, wanted * MAX_CANDIDATES_PER_SAMPLE)
    size = min(limit, wanted + max(BATCH, wanted // 4))
    while start < limit:
        indices = task_set.indices(split, size, seed)
        for first in range(start, len(indices), POSED_AT_ONCE):
            yield from task_set.tasks(indices[first : first + POSED_AT_ONCE])
        if len(indices) < size or size == limit:
            return
        start, size = size, min(limit, 2 * size)


@dataclass(frozen=True, slots=True)
class ExpertDraw:
    """Draws verified samples; `rejections` tells what was passed over."""

    seed: int
    limits: TokenLimits
    experts: Experts
    rejections: Rejections
    advance: Callable[[int], None]

    def samples(self, task_set: TaskSet, split: Split, wanted: int, taken: Set[str]) -> list[Sample]:
        """The first `wanted` tasks of the draw that have a verified sample that fits, and are not `taken`.

        `taken` holds the content hashes of other splits. No task comes twice. DataError when they run out.
        """
        samples: list[Sample] = []
        if not wanted:
            return samples
        met: set[tuple[tuple[Message, ...], str]] = set()
        drawn = candidates(task_set, split, self.seed, wanted)
        new = (task for task in drawn if self._is_new(task, taken, met))
        while tasks := list(islice(new, _portion(wanted - len(samples)))):
            for task, found in zip(tasks, self.experts.samples(task_set, tasks), strict=True):
                if isinstance(found, Fault):
                    self.rejections.add(task, found)
                    continue
                samples.append(found)
                self.advance(1)
                if len(samples) == wanted:
                    return samples
        raise DataError(
            f"{task_set.env}@{task_set.family} has only {len(samples)} {split} tasks that can be used, and "
            f"{wanted} are wanted: lower data.num_samples or this environment's weight, or raise the "
            "model's token limits"
        )

    def _is_new(self, task: Task, taken: Set[str], met: set[tuple[tuple[Message, ...], str]]) -> bool:
        """Whether neither another split nor an earlier task asks the same; noted where one does."""
        asked = (task.prompt, task.content_sha256)
        known = task.content_sha256 in taken
        if known or asked in met:
            self.rejections.add(task, Fault("in_another_split" if known else "duplicate"))
            return False
        met.add(asked)
        return True

    def tasks(
        self, task_set: TaskSet, split: Split, wanted: int, taken: Set[str], used: Set[str] = frozenset()
    ) -> list[Task]:
        """Up to `wanted` tasks to play: no key of `used`, no content of `taken`, a prompt that fits."""
        found: list[Task] = []
        for task in candidates(task_set, split, self.seed, wanted + len(used)):
            if len(found) == wanted:
                break
            if task.key in used or task.content_sha256 in taken or not self.limits.prompt_fits(task):
                continue
            found.append(task)
            self.advance(1)
        return found


def _portion(wanted: int) -> int:
    """How many tasks to give to the experts at once: a few more than are wanted, as some will fail."""
    return min(BATCH, wanted + wanted // 8 + 1)
