"""Environments of the user's own: a task set made by a Python file, each of its answers checked.

The file runs in this process with all its rights; it is the user's own trusted code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import sha256_file
from affine_trainer.config import Config
from affine_trainer.errors import ConfigError, StageError
from affine_trainer.own_code import in_words, load_callable, split_reference
from affine_trainer.records import (
    Completion,
    Conversation,
    Environment,
    Grade,
    Message,
    Sampling,
    SnapshotKind,
    Split,
    Step,
    Task,
    TaskSet,
)

PREFIX = "custom:"
KEY = "data.custom.environments"
KIND = "factory"
FAMILY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
METHODS = ("indices", "tasks", "start", "expert_reply")


def environment_files(config: Config) -> dict[str, Path]:
    """The files of the configured environments, as inputs of a stage; ConfigError where one is missing."""
    own = config.data.custom.environments
    keys = {name: f"{KEY}.{name}" for name in own}
    return {keys[name]: split_reference(keys[name], value, KIND)[0] for name, value in own.items()}


def file_digest(env: str, config: Config) -> str:
    """SHA-256 of the file of a `custom:NAME`, on which its tasks and grades depend."""
    return sha256_file(environment_files(config)[f"{KEY}.{env.removeprefix(PREFIX)}"])


def custom_tasks(env: str, config: Config) -> CustomTasks:
    """The task set of a `custom:NAME`, one for as long as its file stays; ConfigError says what it lacks."""
    name = env.removeprefix(PREFIX)
    return _made(name, config.data.custom.environments[name], file_digest(env, config))


@lru_cache
def _made(name: str, value: str, digest: str) -> CustomTasks:
    key = f"{KEY}.{name}"
    factory = load_callable(key, value, KIND)
    try:
        found = factory(f"{PREFIX}{name}")
    except Exception as error:
        raise ConfigError(
            f"{key}: {value} failed when it was called with {PREFIX + name!r}: {in_words(error)}"
        ) from error
    if problem := _problem(found, f"{PREFIX}{name}"):
        raise ConfigError(f"{key}: what {value} made {problem}")
    return CustomTasks(found, value)


def _problem(found: Any, env: str) -> str | None:
    if getattr(found, "env", None) != env:
        return f"should have env = {env!r}, the name it was called with"
    family = getattr(found, "family", None)
    if not isinstance(family, str) or not FAMILY.fullmatch(family):
        return f"should have a family such as 'v1' (letters, digits and . _ -), and has {family!r}"
    for limit in ("max_turns", "max_reply_tokens", "max_open"):
        value = getattr(found, limit, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            return f"should have {limit}, a whole number of at least 1, and has {value!r}"
    for method in METHODS:
        if not callable(getattr(found, method, None)):
            return f"has no method {method}; the protocol TaskSet in affine_trainer/records.py lists all"
    return None


class CustomTasks:
    """The user's TaskSet; what it raises or returns amiss becomes one sentence."""

    def __init__(self, own: TaskSet, source: str) -> None:
        self.env, self.family = own.env, own.family
        self.max_turns, self.max_reply_tokens, self.max_open = (
            own.max_turns,
            own.max_reply_tokens,
            own.max_open,
        )
        self.source = source
        self._own = own

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        found = self._ask("indices", split, count, seed)
        whole = isinstance(found, Sequence) and all(type(index) is int and index >= 0 for index in found)
        if not whole or len(set(found)) < len(found) or len(found) > count:
            raise self._amiss("indices", f"at most {count} different whole numbers", found)
        return list(found)

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        found = self._ask("tasks", list(indices))
        if not isinstance(found, Sequence) or len(found) != len(indices):
            raise self._amiss("tasks", f"a list of {len(indices)} tasks", found)
        for index, task in zip(indices, found, strict=True):
            if not isinstance(task, Task) or (task.env, task.family, task.index) != (
                self.env,
                self.family,
                index,
            ):
                raise self._amiss("tasks", f"the Task {self.env}@{self.family}/{index} in its place", task)
            if not task.prompt or not all(isinstance(message, Message) for message in task.prompt):
                raise self._amiss("tasks", "a prompt of at least one Message", task.prompt)
            if not task.content_sha256:
                raise self._amiss("tasks", "a content_sha256, equal for equal problems alone", task)
        return list(found)

    def start(self, task: Task) -> CustomEnvironment:
        return CustomEnvironment(_failing_as_data(self.env, "start", self._own.start, task), self.env)

    def expert_reply(self, task: Task) -> str | None:
        found = self._ask("expert_reply", task)
        if found is not None and not isinstance(found, str):
            raise self._amiss("expert_reply", "text, or None where no expert knows one", found)
        return found

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._own, method)(*arguments)
        except Exception as error:
            raise StageError(f"{self.env} ({self.source}): {method} failed: {in_words(error)}") from error

    def _amiss(self, method: str, expected: str, found: object) -> StageError:
        shown = repr(found)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        return StageError(f"{self.env} ({self.source}): {method} should give {expected}, got {shown}")


def _failing_as_data(env: str, method: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Call it; whatever it raises becomes what the rollout takes for an environment's failure."""
    try:
        return call(*arguments)
    except Exception as error:
        raise RuntimeError(f"{env}: {method} failed: {in_words(error)}") from error


class CustomEnvironment:
    """One play of the user's; a failure is an episode without a grade, never the end of a run."""

    def __init__(self, own: Environment, env: str) -> None:
        for attribute in ("task", "snapshot_kind"):
            if not hasattr(own, attribute):
                raise RuntimeError(f"{env}: what start returned has no {attribute}")
        self.task: Task = own.task
        self.snapshot_kind: SnapshotKind = own.snapshot_kind
        self._own, self._env = own, env

    def observe(self) -> str:
        return self._ask("observe", str)

    def step(self, reply: str) -> Step:
        return self._ask("step", Step, reply)

    def grade(self) -> Grade | None:
        found = self._ask("grade", Grade | None)
        usable = found is None or (isinstance(found.reward, Real) and math.isfinite(found.reward))
        if not usable or (found is not None and not isinstance(found.success, bool)):
            raise RuntimeError(f"{self._env}: grade should hold a finite reward and a success, got {found!r}")
        return found

    def snapshot(self) -> bytes:
        return self._ask("snapshot", bytes)

    def restore(self, state: bytes) -> None:
        self._ask("restore", None, state)

    def close(self) -> None:
        self._ask("close", None)

    def expert_reply(self) -> str:
        """The next reply of the environment's own expert; StageError where there is none, or it fails."""
        try:
            return self._ask("expert_reply", str)
        except RuntimeError as error:
            raise StageError(f"{error}; without an expert, set this environment's weight to 0") from error

    def _ask(self, method: str, kind: Any, *arguments: Any) -> Any:
        call = getattr(self._own, method, None)
        if call is None:
            raise RuntimeError(f"{self._env}: the environment has no method {method}")
        found = _failing_as_data(self._env, method, call, *arguments)
        if kind is not None and not isinstance(found, kind):
            raise RuntimeError(f"{self._env}: {method} returned {type(found).__name__}")
        return found


class OwnExpert:
    """Plays custom environments of several turns by their own `expert_reply`."""

    name = "expert"

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        """One reply a conversation, appended to it."""
        completions = []
        for conversation in conversations:
            assert isinstance(conversation.environment, CustomEnvironment)
            text = conversation.environment.expert_reply()
            conversation.messages.append(Message("assistant", text))
            completions.append(Completion(text, (), (), "stop"))
        return completions
