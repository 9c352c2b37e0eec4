"""Tasks that cost nothing to pose or grade, so that a benchmark times the learning alone."""

from __future__ import annotations

from collections.abc import Sequence

from affine_trainer.records import UNLIMITED, Environment, Grade, Message, SnapshotKind, Split, Step, Task


class CountingTasks:
    """Task i shows the i-th text; a reply earns the share of vowels among its letters."""

    env = "bench:count"
    family = "vowels"
    max_turns = 1
    max_reply_tokens = max_open = UNLIMITED

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return list(range(count))

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        return [
            Task(self.env, self.family, i, (Message("user", self._texts[i]),), 0.0, str(i)) for i in indices
        ]

    def start(self, task: Task) -> Environment:
        return CountingPlay(task)

    def expert_reply(self, task: Task) -> str | None:
        return None


class CountingPlay:
    """One reply, graded by `vowel_share`."""

    snapshot_kind: SnapshotKind = "none"

    def __init__(self, task: Task) -> None:
        self.task = task
        self._reward = 0.0

    def observe(self) -> str:
        return ""

    def step(self, reply: str) -> Step:
        self._reward = vowel_share(reply)
        return Step("", self._reward, terminated=True, truncated=False)

    def grade(self) -> Grade:
        return Grade(self._reward, self._reward > 0.5, "")

    def snapshot(self) -> bytes:
        raise NotImplementedError

    def restore(self, state: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None: ...


def vowel_share(reply: str) -> float:
    return sum(letter in "aeiou" for letter in reply) / max(1, len(reply))
