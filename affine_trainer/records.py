"""What passes between the rooms of the house: tasks, steps, grades, completions, episodes, protocols."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Split = Literal["pretrain", "train", "validation", "evaluation"]
SnapshotKind = Literal["exact", "replay", "none"]
StopReason = Literal["terminated", "turn_limit", "token_limit", "error"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as chat templates take it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Task:
    """One problem. `content_sha256` covers what is asked (not its wording), so equal problems collide."""

    env: str
    family: str
    index: int
    prompt: tuple[Message, ...]
    difficulty: float
    content_sha256: str

    @property
    def key(self) -> str:
        """The stable name, e.g. `affine:sat@guide/17`."""
        return f"{self.env}@{self.family}/{self.index}"


@dataclass(frozen=True, slots=True)
class Step:
    """What an environment answers to one reply; `terminated` and `truncated` as in Gymnasium."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on one play: `reward` is the validator's score, `success` the environment's predicate."""

    reward: float
    success: bool
    why: str


class Environment(Protocol):
    """One play of one task: made, played once, thrown away."""

    task: Task
    snapshot_kind: SnapshotKind

    def observe(self) -> str:
        """The first observation; empty when `task.prompt` already says everything (single-turn tasks)."""
        ...

    def step(self, reply: str) -> Step:
        """Play one reply. After `terminated` or `truncated` the environment takes no further step."""
        ...

    def grade(self) -> Grade | None:
        """The grade of the play so far; None when it could not be graded (infrastructure), never a 0."""
        ...

    def snapshot(self) -> bytes: ...

    def restore(self, state: bytes) -> None: ...

    def close(self) -> None: ...


# Chunks in play at once: while the environments of one step, the policy answers another.
MAX_OPEN_CHUNKS = 2
# How many batches of replies an evaluation's chunk of single turns holds; the memory is that of one batch.
REFILLS = 4
# More than any reply has tokens, or any run has plays: the limit where there is none.
UNLIMITED = 2**31


class TaskSet(Protocol):
    """All tasks of one environment and family; a task is a function of its index.

    A play has at most `max_turns` turns, and a reply at most `max_reply_tokens` tokens; at most `max_open`
    plays may be open at once.
    """

    env: str
    family: str
    max_turns: int
    max_reply_tokens: int
    max_open: int

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        """The first `count` indices of a split in the order drawn by `seed`; a shorter list is a prefix."""
        ...

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        """The tasks with these indices, in this order."""
        ...

    def start(self, task: Task) -> Environment:
        """A fresh environment for one play of `task`."""
        ...

    def expert_reply(self, task: Task) -> str | None:
        """A verified correct reply in the task's answer format, or None where no expert knows one."""
        ...


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks of one environment and family, which share chunks.

    `tasks` holds every task `samples_per_task` times in a row.
    """

    task_set: TaskSet
    tasks: Sequence[Task]
    samples_per_task: int = 1

    @property
    def name(self) -> str:
        """`affine:abd@heldout-v1`"""
        return f"{self.task_set.env}@{self.task_set.family}"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn; `temperature` 0 is greedy. `seed` fixes the draw of a whole batch."""

    temperature: float
    top_p: float
    max_new_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled reply. `token_ids` ends with the stop token unless `stop` is "length".

    With `stop` "context" there is none: the conversation has reached the policy's limit of tokens. With
    "error" there is none either, for a reason outside the model that `error` gives. `logprobs` (one per token
    id) are those of the distribution that was sampled from, temperature included. An endpoint gives no ids,
    but counts them (`counted`).
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stop: Literal["stop", "length", "context", "error"]
    counted: int | None = None
    error: str | None = None

    @property
    def num_tokens(self) -> int:
        """The tokens of the reply."""
        return len(self.token_ids) if self.counted is None else self.counted


@dataclass(slots=True)
class Conversation:
    """A conversation that a policy grows turn by turn; tokens are appended, never encoded again.

    `token_ids` holds prompt, completions and observations in order; `action_mask` is 1 on sampled tokens.
    Endpoint and scripted policies leave both empty. `cache` belongs to the policy, which need not keep one
    for a conversation that does not go on. The last `begun` tokens are the beginning of a reply that the
    policy is to finish. `environment` is for scripted players alone, who may look at it. `sample` tells apart
    the conversations about one task. `sent_tokens` is what an endpoint has read: each turn sends it the whole
    conversation again.
    """

    messages: list[Message]
    token_ids: list[int] = field(default_factory=list)
    action_mask: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    task: Task | None = None
    cache: object | None = None
    goes_on: bool = False
    begun: int = 0
    environment: Environment | None = None
    sample: int = 0
    sent_tokens: int = 0


class Policy(Protocol):
    """Whatever answers: a model, a server, or a script."""

    @property
    def name(self) -> str: ...

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        """Answer every conversation's last message, in order, as one synchronous batch.

        Appends the assistant message to each conversation, and its tokens where the policy has them. Where a
        reply is begun already it is finished, and the completion is the whole of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class State:
    """Where a play can go on from: at the start of a turn, or inside a reply.

    `messages` end with what is to be answered; `token_ids`, `action_mask` and `logprobs` are what the policy
    holds of them so far, the last `begun` tokens being the beginning of a reply. `snapshot` is the
    environment after `num_turns` replies, which last showed `observation`; without one the play has not
    begun. `before` are these turns, for who pays by whole plays. `cache` is the policy's own, of
    these tokens, and need not be there.
    """

    task: Task
    messages: tuple[Message, ...]
    token_ids: tuple[int, ...] = ()
    action_mask: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    begun: int = 0
    observation: str = ""
    snapshot: bytes | None = None
    num_turns: int = 0
    before: tuple[Turn, ...] = ()
    cache: object | None = None


@dataclass(slots=True)
class Turn:
    """One observation and the reply to it, with what the environment paid."""

    observation: str
    reply: str
    reward: float
    num_tokens: int
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Episode:
    """One play of one task. `grade` is None when it could not be graded; then `error` says why.

    `sample` is 0, or the number of the play where a task is played several times.
    """

    task_key: str
    content_sha256: str
    policy: str
    turns: list[Turn]
    grade: Grade | None
    stop_reason: StopReason
    error: str | None
    num_prompt_tokens: int
    num_completion_tokens: int
    seconds: float
    conversation: Conversation | None = None  # kept for RL only, never written
    states: tuple[State, ...] = ()  # where each turn began; kept for RL only, never written
    state_values: dict[int, float] | None = None  # V at the first token sampled from a state, by its position
    difficulty: float | None = None  # the task's, for breakdowns
    sample: int = 0

    @property
    def key(self) -> str:
        """The task's key, and behind `#` the number of any further sample of it."""
        return f"{self.task_key}#{self.sample}" if self.sample else self.task_key


def sha256_of(value: Any) -> str:
    """SHA-256 of a JSON-serialisable value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seed_from(*parts: object) -> int:
    """A 63-bit seed from any parts, the same on every machine: `seed_from(seed, chunk)`."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
