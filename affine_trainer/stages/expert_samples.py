"""Expert samples for `collect`: tasks drawn in a fixed order, each reply verified by its own grader, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import append_jsonl, read_jsonl, repair_jsonl
from affine_trainer.envs import grade_reply
from affine_trainer.errors import DataError
from affine_trainer.records import Message, Split, Task, TaskSet

BATCH = 128
# A finite family repeats itself in the end; this many candidates a wanted sample are looked at.
MAX_CANDIDATES_PER_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A task and a reply that its grader accepts, with their lengths in tokens."""

    task: Task
    reply: str
    num_prompt_tokens: int
    num_completion_tokens: int

    def row(self) -> dict[str, Any]:
        """The conversational prompt-completion form, in which TRL's SFT masks the prompt."""
        return {
            "prompt": [{"role": message.role, "content": message.content} for message in self.task.prompt],
            "completion": [{"role": "assistant", "content": self.reply}],
            "environment": self.task.env,
            "family": self.task.family,
            "task_key": self.task.key,
            "content_sha256": self.task.content_sha256,
            "difficulty": self.task.difficulty,
        }


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """Counts tokens as the stages do; what does not fit the model is refused, never cut."""

    count_prompt: Callable[[Task], int]
    count_reply: Callable[[str], int]
    max_prompt_tokens: int
    max_new_tokens: int

    def prompt_fits(self, task: Task) -> bool:
        return self.count_prompt(task) <= self.max_prompt_tokens

    def fault(self, num_prompt_tokens: int, num_completion_tokens: int) -> str | None:
        """Which limit is exceeded, or None."""
        for part, count, limit in (
            ("prompt", num_prompt_tokens, "max_prompt_tokens"),
            ("reply", num_completion_tokens, "max_new_tokens"),
        ):
            if count > getattr(self, limit):
                return f"the {part} has {count} tokens, more than model.{limit} = {getattr(self, limit)}"
        return None


@dataclass(slots=True)
class Rejections:
    """What was drawn and not taken: how often for which reason, and the tasks whose data is at fault."""

    counts: Counter[str] = field(default_factory=Counter)
    named: list[dict[str, str]] = field(default_factory=list)

    def add(self, task: Task, reason: str, why: str | None = None) -> None:
        self.counts[reason] += 1
        if why is not None:
            self.named.append({"task_key": task.key, "reason": reason, "why": why})


class VerdictCache:
    """The verdict on each expert reply, appended as it is found: a killed collect verifies nothing twice."""

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        self._threads = threads
        repair_jsonl(path)
        rows = read_jsonl(path, ("task_key", "fault")) if path.is_file() and path.stat().st_size else ()
        self._faults: dict[str, str | None] = {row["task_key"]: row["fault"] for row in rows}

    def faults(self, task_set: TaskSet, samples: Sequence[Sample]) -> list[str | None]:
        """Why each reply is not a correct answer, None where it is."""
        new = [sample for sample in samples if sample.task.key not in self._faults]
        with ThreadPoolExecutor(self._threads) as pool:
            for sample, fault in zip(new, pool.map(lambda s: verify(task_set, s), new), strict=True):
                self._faults[sample.task.key] = fault
                append_jsonl(self._path, {"task_key": sample.task.key, "fault": fault})
        return [self._faults[sample.task.key] for sample in samples]


def verify(task_set: TaskSet, sample: Sample) -> str | None:
    """Why the grader does not accept the reply, or None."""
    grade = grade_reply(task_set, sample.task, sample.reply)
    if grade is None:
        return "it could not be graded"
    return None if grade.success else grade.why


def candidates(task_set: TaskSet, split: Split, seed: int, wanted: int) -> Iterator[list[Task]]:
    """Batches of tasks in the order that `seed` draws; they end when a data set does, or at a sane limit."""
    start, limit = 0, max(1000, wanted * MAX_CANDIDATES_PER_SAMPLE)
    size = min(limit, wanted + max(BATCH, wanted // 4))
    while start < limit:
        indices = task_set.indices(split, size, seed)
        for first in range(start, len(indices), BATCH):
            yield task_set.tasks(indices[first : first + BATCH])
        if len(indices) < size or size == limit:
            return
        start, size = size, min(limit, 2 * size)


@dataclass(frozen=True, slots=True)
class ExpertDraw:
    """Draws verified samples; `rejections` tells what was passed over."""

    seed: int
    limits: TokenLimits
    cache: VerdictCache
    rejections: Rejections
    advance: Callable[[int], None]

    def samples(self, task_set: TaskSet, split: Split, wanted: int, taken: Set[str]) -> list[Sample]:
        """The first `wanted` tasks of the draw that have a verified reply, fit the model and are not `taken`.

        `taken` holds the content hashes of other splits. No prompt comes twice. DataError when they run out.
        """
        samples: list[Sample] = []
        if not wanted:
            return samples
        prompts: set[tuple[Message, ...]] = set()
        for tasks in candidates(task_set, split, self.seed, wanted):
            fitting = [s for task in tasks if (s := self._fitting(task_set, task, taken, prompts))]
            for sample, fault in zip(fitting, self.cache.faults(task_set, fitting), strict=True):
                if fault:
                    self.rejections.add(sample.task, "not_verified", fault)
                    continue
                samples.append(sample)
                self.advance(1)
                if len(samples) == wanted:
                    return samples
        raise DataError(
            f"{task_set.env}@{task_set.family} has only {len(samples)} {split} tasks that can be used, and "
            f"{wanted} are wanted: lower data.num_samples or this environment's weight, or raise the "
            "model's token limits"
        )

    def _fitting(
        self, task_set: TaskSet, task: Task, taken: Set[str], prompts: set[tuple[Message, ...]]
    ) -> Sample | None:
        """The task with its expert's reply, or None with the reason noted."""
        if task.content_sha256 in taken:
            self.rejections.add(task, "in_another_split")
            return None
        if task.prompt in prompts:
            self.rejections.add(task, "duplicate")
            return None
        prompts.add(task.prompt)
        reply = task_set.expert_reply(task)
        if reply is None:
            self.rejections.add(task, "no_expert", "there is no expert reply")
            return None
        lengths = self.limits.count_prompt(task), self.limits.count_reply(reply)
        if why := self.limits.fault(*lengths):
            self.rejections.add(task, "too_long", why)
            return None
        return Sample(task, reply, *lengths)

    def tasks(
        self, task_set: TaskSet, split: Split, wanted: int, taken: Set[str], used: Set[str] = frozenset()
    ) -> list[Task]:
        """Up to `wanted` tasks to play: no key of `used`, no content of `taken`, a prompt that fits."""
        found: list[Task] = []
        for batch in candidates(task_set, split, self.seed, wanted + len(used)):
            free = (t for t in batch if t.key not in used and t.content_sha256 not in taken)
            fitting = [task for task in free if self.limits.prompt_fits(task)][: wanted - len(found)]
            found += fitting
            self.advance(len(fitting))
            if len(found) == wanted:
                break
        return found
