"""The one loop that plays episodes: a policy replies in fixed chunks, environments step in thread pools."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from affine_trainer.records import (
    MAX_OPEN_CHUNKS,
    Completion,
    Conversation,
    Environment,
    Episode,
    Grade,
    Message,
    Policy,
    Sampling,
    StopReason,
    Task,
    TaskGroup,
    TaskSet,
    Turn,
    seed_from,
)

MAX_THREADS = 16  # of each environment

# What an environment raises for reasons that lie outside the reply: processes, sockets, simulators.
ENVIRONMENT_FAILURES = (OSError, RuntimeError, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class Place:
    """Which chunk: the number of its group, its number in the group, and the tasks it holds."""

    group: int
    number: int
    tasks: slice


def chunk_plan(groups: Sequence[TaskGroup], chunk_size: int) -> list[Place]:
    """The chunks in the order of play: the first of each group, the second of each, and so on.

    They have `chunk_size` tasks, or as many as the environment holds open at once.
    """
    chunks = []
    for group, found in enumerate(groups):
        size = min(chunk_size, found.task_set.max_open)
        for number, start in enumerate(range(0, len(found.tasks), size)):
            chunks.append(Place(group, number, slice(start, min(start + size, len(found.tasks)))))
    return sorted(chunks, key=lambda place: (place.number, place.group))


def play(
    groups: Sequence[TaskGroup],
    policy: Policy,
    sampling: Sampling,
    *,
    seed: int,
    chunk_size: int,
    skip: int = 0,
    on_chunk: Callable[[list[Episode]], None] | None = None,
    keep_conversation: bool = False,
) -> list[list[Episode]]:
    """Play every task once; the episodes of each group in the order of its tasks.

    The episodes depend on `seed` and the tasks, never on timing. A chunk's replies of one turn are one batch,
    seeded by `seed`, the environment, the chunk's number and the turn (`sampling.seed` is not used), so the
    chunks behind the first `skip` of `chunk_plan` can be played by another process with the same result.
    `on_chunk` gets each finished chunk, in the plan's order. Several chunks are in play at once, so that a
    slow environment does not hold up a fast one; of those that wait for the policy the first in the plan is
    answered.

    An environment that fails gives an episode without a grade, as does a policy's completion that says
    "error". `seconds` is an episode's share of its batches
    plus its environment's own time. `keep_conversation` leaves token ids, action mask and log-probs on the
    episodes.
    """
    plan = chunk_plan(groups, chunk_size)[skip:]
    episodes: list[list[Episode]] = [[] for _ in groups]
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="environment"))
            for _ in groups
        ]
        stack.callback(lambda: [pool.shutdown(wait=False, cancel_futures=True) for pool in pools])
        chunks = [
            _Chunk(groups[at.group], at, pools[at.group], policy, sampling, seed, keep_conversation)
            for at in plan
        ]
        for chunk in _in_order(chunks):
            finished = chunk.episodes()
            episodes[chunk.place.group] += finished
            if on_chunk:
                on_chunk(finished)
    return episodes


def _in_order(chunks: Sequence[_Chunk]) -> Iterator[_Chunk]:
    """Play the chunks and hand them out in their order, each when it and all before it are finished."""
    waiting, open_chunks, handed_out = list(chunks), list[_Chunk](), 0
    while handed_out < len(chunks):
        while len(open_chunks) < MAX_OPEN_CHUNKS and (chunk := _next_with_room(waiting, open_chunks)):
            waiting.remove(chunk)
            open_chunks.append(chunk)
            chunk.start()
        ready = next((chunk for chunk in open_chunks if chunk.is_ready), None)
        if ready is None:
            pending = {future for chunk in open_chunks for future in chunk.pending if not future.done()}
            wait(pending, return_when=FIRST_COMPLETED)
        elif ready.go_on():
            open_chunks.remove(ready)
        while handed_out < len(chunks) and chunks[handed_out].finished:
            yield chunks[handed_out]
            handed_out += 1


def _next_with_room(waiting: Sequence[_Chunk], open_chunks: Sequence[_Chunk]) -> _Chunk | None:
    """The first chunk whose environment can hold its plays beside those that are open."""
    for chunk in waiting:
        task_set = chunk.group.task_set
        beside = sum(other.size for other in open_chunks if other.group.task_set is task_set)
        if beside + chunk.size <= task_set.max_open:
            return chunk
    return None


@dataclass(slots=True)
class _Play:
    """One episode while it is played."""

    task: Task
    conversation: Conversation
    environment: Environment | None = None
    observation: str = ""
    turns: list[Turn] = field(default_factory=list)
    stop_reason: StopReason | None = None
    error: str | None = None
    seconds: float = 0.0
    grade: Grade | None = None

    def fail(self, error: Exception) -> None:
        self.stop_reason, self.error = "error", f"{type(error).__name__}: {error}"


@dataclass(slots=True, eq=False)
class _Chunk:
    """Tasks that are played side by side: environments step, the policy answers, and so on by turns."""

    group: TaskGroup
    place: Place
    pool: ThreadPoolExecutor
    policy: Policy
    sampling: Sampling
    seed: int
    keep_conversation: bool
    plays: list[_Play] = field(default_factory=list)
    pending: list[Future[None]] = field(default_factory=list)
    turn: int = 0
    finished: bool = False

    @property
    def size(self) -> int:
        return self.place.tasks.stop - self.place.tasks.start

    def start(self) -> None:
        goes_on = self.group.task_set.max_turns > 1
        for number in range(self.place.tasks.start, self.place.tasks.stop):
            task, sample = self.group.tasks[number], number % self.group.samples_per_task
            conversation = Conversation(list(task.prompt), task=task, goes_on=goes_on, sample=sample)
            self.plays.append(_Play(task, conversation))
        self.pending = [self.pool.submit(_begin, game, self.group.task_set) for game in self.plays]

    @property
    def is_ready(self) -> bool:
        """Whether every environment has answered."""
        return all(future.done() for future in self.pending)

    def go_on(self) -> bool:
        """Let the policy answer the plays that are open; True when none is and the chunk is finished."""
        for future in self.pending:
            future.result()
        games = [game for game in self.plays if game.stop_reason is None]
        self.pending = []
        if not games:
            self.finished = True
            return True
        last = self.turn + 1 == self.group.task_set.max_turns
        for game, completion in zip(games, self._replies(games), strict=True):
            self.pending.append(self.pool.submit(_advance, game, completion, last))
        self.turn += 1
        return False

    def _replies(self, games: Sequence[_Play]) -> list[Completion]:
        parts = (self.seed, self.group.task_set.env, self.place.number, *([self.turn] if self.turn else []))
        began = time.perf_counter()
        most = min(self.sampling.max_new_tokens, self.group.task_set.max_reply_tokens)
        sampling = replace(self.sampling, max_new_tokens=most, seed=seed_from(*parts))
        completions = self.policy.reply([game.conversation for game in games], sampling)
        share = (time.perf_counter() - began) / len(games)
        for game in games:
            game.seconds += share
        return completions

    def episodes(self) -> list[Episode]:
        """What was played; the plays are let go."""
        episodes = [self._episode(game) for game in self.plays]
        self.plays = []
        return episodes

    def _episode(self, game: _Play) -> Episode:
        conversation = game.conversation
        return Episode(
            task_key=game.task.key,
            content_sha256=game.task.content_sha256,
            policy=self.policy.name,
            turns=game.turns,
            grade=game.grade,
            stop_reason=game.stop_reason or "turn_limit",
            error=game.error,
            num_prompt_tokens=conversation.sent_tokens
            or len(conversation.token_ids) - sum(conversation.action_mask),
            num_completion_tokens=sum(turn.num_tokens for turn in game.turns),
            seconds=game.seconds,
            conversation=conversation if self.keep_conversation else None,
            difficulty=game.task.difficulty,
            sample=conversation.sample,
        )


def _begin(game: _Play, task_set: TaskSet) -> None:
    """Start the environment and ask what it shows first."""
    began = time.perf_counter()
    try:
        game.environment = task_set.start(game.task)
        game.conversation.environment = game.environment
        game.observation = game.environment.observe()
        if game.observation:
            game.conversation.messages.append(Message("user", game.observation))
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)
    game.seconds += time.perf_counter() - began
    if game.stop_reason is not None:
        _conclude(game)


def _advance(game: _Play, completion: Completion, last: bool) -> None:
    """Let the environment play one reply; what it shows becomes the next user message, or the play ends."""
    if completion.stop == "context":
        game.stop_reason = "token_limit"
    elif completion.stop == "error":
        game.stop_reason, game.error = "error", completion.error
    else:
        _step(game, completion)
    if last and game.stop_reason is None:
        game.stop_reason = "turn_limit"
    if game.stop_reason is not None:
        _conclude(game)


def _step(game: _Play, completion: Completion) -> None:
    assert game.environment is not None
    began = time.perf_counter()
    try:
        step = game.environment.step(completion.text)
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)
        return
    finally:
        game.seconds += time.perf_counter() - began
    info = {**step.info, "stop": completion.stop}
    game.turns.append(Turn(game.observation, completion.text, step.reward, completion.num_tokens, info))
    if step.terminated or step.truncated:
        game.stop_reason = "terminated" if step.terminated else "turn_limit"
        return
    game.observation = step.observation
    game.conversation.messages.append(Message("user", step.observation))


def _conclude(game: _Play) -> None:
    """Grade the play, or note why it has no grade; the environment is closed either way."""
    game.conversation.cache = game.conversation.environment = None
    if game.environment is None:
        return
    began = time.perf_counter()
    try:
        if game.error is None:
            game.grade = game.environment.grade()
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)
    with suppress(*ENVIRONMENT_FAILURES):  # a grade stands even where the environment cannot be closed
        game.environment.close()
    game.environment = None
    game.seconds += time.perf_counter() - began
    if game.grade is None and game.error is None:
        told = game.turns[-1].info.get("error") if game.turns else None
        game.stop_reason, game.error = "error", str(told or "the environment gave no grade")
