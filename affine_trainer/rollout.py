"""The one loop that plays episodes: a policy replies in fixed chunks, environments step in a thread pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

from affine_trainer.records import (
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
    TaskSet,
    Turn,
    seed_from,
)

MAX_THREADS = 16

# What an environment raises for reasons that lie outside the reply: processes, sockets, simulators.
ENVIRONMENT_FAILURES = (OSError, RuntimeError, ValueError, LookupError)


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

    def fail(self, error: Exception) -> None:
        self.stop_reason, self.error = "error", f"{type(error).__name__}: {error}"


def play(
    task_set: TaskSet,
    tasks: Sequence[Task],
    policy: Policy,
    sampling: Sampling,
    *,
    seed: int,
    chunk_size: int,
    first_chunk: int = 0,
    max_turns: int = 1,
    max_episode_tokens: int | None = None,
    on_chunk: Callable[[list[Episode]], None] | None = None,
    keep_conversation: bool = False,
) -> list[Episode]:
    """Play every task once, in order; the episodes depend on `seed` and the tasks, never on timing.

    Chunks are `chunk_size` tasks each. A chunk's replies are one batch, seeded by `seed`, the environment and
    the chunk's number (`sampling.seed` is not used), so chunks from `first_chunk` on can be played by another
    process with the same result. `on_chunk` gets each finished chunk, in order. The last replies of a chunk
    are graded while the policy answers the next.

    An environment that fails gives an episode without a grade. `max_episode_tokens` ends an episode before
    the turn that would begin at or beyond it. `seconds` is an episode's share of its batches plus its
    environment's own time. `keep_conversation` leaves token ids, action mask and log-probs on the episodes.
    """
    loop = _Loop(task_set, policy, sampling, seed, max_turns, max_episode_tokens, keep_conversation)
    episodes: list[Episode] = []
    pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="environment")
    try:
        for chunk in loop.chunks(tasks, chunk_size, first_chunk, pool):
            finished = [future.result() for future in chunk]
            episodes += finished
            if on_chunk:
                on_chunk(finished)
    finally:
        pool.shutdown(cancel_futures=True)
    return episodes


@dataclass(frozen=True, slots=True)
class _Loop:
    task_set: TaskSet
    policy: Policy
    sampling: Sampling
    seed: int
    max_turns: int
    max_episode_tokens: int | None
    keep_conversation: bool

    def chunks(
        self, tasks: Sequence[Task], chunk_size: int, first_chunk: int, pool: ThreadPoolExecutor
    ) -> Iterator[list[Future[Episode]]]:
        """The episodes of each chunk, handed out only once the policy has answered the next chunk."""
        previous: list[Future[Episode]] | None = None
        for start in range(first_chunk * chunk_size, len(tasks), chunk_size):
            chunk = self._chunk(tasks[start : start + chunk_size], start // chunk_size, pool)
            if previous is not None:
                yield previous
            previous = chunk
        if previous is not None:
            yield previous

    def _chunk(self, tasks: Sequence[Task], number: int, pool: ThreadPoolExecutor) -> list[Future[Episode]]:
        plays = list(pool.map(self._start, tasks))
        answers: dict[int, Completion] = {}
        for turn in range(self.max_turns):
            open_places = [place for place, game in enumerate(plays) if self._is_open(game)]
            if not open_places:
                answers = {}
                break
            completions = self._reply([plays[place] for place in open_places], number, turn)
            answers = dict(zip(open_places, completions, strict=True))
            if turn + 1 < self.max_turns:
                list(pool.map(_step, [plays[place] for place in open_places], completions))
        return [pool.submit(self._conclude, game, answers.get(place)) for place, game in enumerate(plays)]

    def _start(self, task: Task) -> _Play:
        game = _Play(task, Conversation(list(task.prompt), task=task, goes_on=self.max_turns > 1))
        began = time.perf_counter()
        try:
            game.environment = self.task_set.start(task)
            game.observation = game.environment.observe()
            if game.observation:
                game.conversation.messages.append(Message("user", game.observation))
        except ENVIRONMENT_FAILURES as error:
            game.fail(error)
        game.seconds += time.perf_counter() - began
        return game

    def _is_open(self, game: _Play) -> bool:
        limit = self.max_episode_tokens
        if game.stop_reason is None and limit is not None and len(game.conversation.token_ids) >= limit:
            game.stop_reason = "token_limit"
        return game.stop_reason is None

    def _reply(self, games: Sequence[_Play], number: int, turn: int) -> list[Completion]:
        parts = (self.seed, self.task_set.env, number, *([turn] if turn else []))
        began = time.perf_counter()
        completions = self.policy.reply(
            [game.conversation for game in games], replace(self.sampling, seed=seed_from(*parts))
        )
        share = (time.perf_counter() - began) / len(games)
        for game in games:
            game.seconds += share
        return completions

    def _conclude(self, game: _Play, last: Completion | None) -> Episode:
        """Play the last reply, if one is open, and grade the episode."""
        if last is not None:
            _step(game, last)
        grade = _grade(game)
        conversation = game.conversation
        conversation.cache = None
        return Episode(
            task_key=game.task.key,
            content_sha256=game.task.content_sha256,
            policy=self.policy.name,
            turns=game.turns,
            grade=grade,
            stop_reason=game.stop_reason or "turn_limit",
            error=game.error,
            num_prompt_tokens=len(conversation.token_ids) - sum(conversation.action_mask),
            num_completion_tokens=sum(turn.num_tokens for turn in game.turns),
            seconds=game.seconds,
            conversation=conversation if self.keep_conversation else None,
            difficulty=game.task.difficulty,
        )


def _step(game: _Play, completion: Completion) -> None:
    """Let the environment play one reply; what it shows becomes the next user message."""
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
    game.turns.append(Turn(game.observation, completion.text, step.reward, len(completion.token_ids), info))
    if step.terminated or step.truncated:
        game.stop_reason = "terminated" if step.terminated else "turn_limit"
        return
    game.observation = step.observation
    game.conversation.messages.append(Message("user", step.observation))


def _grade(game: _Play) -> Grade | None:
    """The grade, or None with the reason noted on `game`; the environment is closed either way."""
    if game.environment is None:
        return None
    began = time.perf_counter()
    grade = None
    try:
        if game.error is None:
            grade = game.environment.grade()
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)
    with suppress(*ENVIRONMENT_FAILURES):  # a grade stands even where the environment cannot be closed
        game.environment.close()
    game.seconds += time.perf_counter() - began
    if grade is None and game.error is None:
        told = game.turns[-1].info.get("error") if game.turns else None
        game.stop_reason, game.error = "error", str(told or "the environment gave no grade")
    return grade
