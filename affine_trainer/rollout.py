"""The one loop that plays episodes: a policy replies in fixed chunks, environments step in thread pools."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from affine_trainer.one_play import OnePlay, advance, begin, conversation_at
from affine_trainer.records import (
    MAX_OPEN_CHUNKS,
    Completion,
    Episode,
    Policy,
    Sampling,
    State,
    TaskGroup,
    TaskSet,
    seed_from,
)

MAX_THREADS = 16  # of each environment


@dataclass(frozen=True, slots=True)
class Place:
    """Which chunk: the number of its group, its number in the group, and the tasks it holds."""

    group: int
    number: int
    tasks: slice


def chunk_plan(groups: Sequence[TaskGroup], chunk_size: int, refills: int = 1) -> list[Place]:
    """The chunks in the order of play: the first of each group, the second of each, and so on.

    They have `chunk_size` tasks, `refills` times as many where a play has a single turn, or as many as the
    environment holds open at once.
    """
    chunks = []
    for group, found in enumerate(groups):
        wanted = chunk_size * (refills if found.task_set.max_turns == 1 else 1)
        size = min(wanted, found.task_set.max_open)
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
    refills: int = 1,
    skip: int = 0,
    on_chunk: Callable[[list[Episode]], None] | None = None,
    keep_conversation: bool = False,
    keep_states: bool = False,
) -> list[list[Episode]]:
    """Play every task once; the episodes of each group in the order of its tasks.

    The episodes depend on `seed` and the tasks, never on timing. A chunk's replies of one turn are one batch,
    seeded by `seed`, the environment, the chunk's number and the turn (`sampling.seed` is not used), so the
    chunks behind the first `skip` of `chunk_plan` can be played by another process with the same result.
    `on_chunk` gets each finished chunk, in the plan's order. Several chunks are in play at once, so that a
    slow environment does not hold up a fast one; of those that wait for the policy the first in the plan is
    answered. `refills` above 1 makes chunks of single turns larger, for a policy in which new
    replies take the places of those that have ended.

    An environment that fails gives an episode without a grade, as does a policy's completion that says
    "error". `seconds` is an episode's share of its batches
    plus its environment's own time. `keep_conversation` leaves token ids, action mask and log-probs on the
    episodes, `keep_states` the states at which each turn began, for `continue_from`.
    """
    starts = [[State(task, task.prompt) for task in group.tasks] for group in groups]
    plan = chunk_plan(groups, chunk_size, refills)[skip:]
    keep = _Keep(keep_conversation, keep_states)
    return _play_plan(groups, starts, plan, _Player(policy, sampling, seed, keep), on_chunk)


@dataclass(frozen=True, slots=True)
class StateGroup:
    """States of one environment and family, which share chunks."""

    task_set: TaskSet
    states: Sequence[State]


def continue_from(
    groups: Sequence[StateGroup],
    policy: Policy,
    sampling: Sampling,
    *,
    n: int,
    seed: int,
    chunk_size: int,
    on_chunk: Callable[[list[Episode]], None] | None = None,
    keep_conversation: bool = False,
) -> list[list[list[Episode]]]:
    """Play on from every state `n` times, to the end; for each group and state the `n` episodes.

    By the rules of `play`: chunks of `chunk_size` episodes, rounded to whole states, each turn's replies one
    batch, seeds by chunk and turn; `on_chunk` gets each finished chunk. What a state's continuations have in
    common is read once (policies/open_rows.py). An episode's turns are those behind the state, the first of
    them with its whole reply; its conversation holds all. AffineError where an environment cannot go back to
    a state.
    """
    starts = [[state for state in group.states for _ in range(n)] for group in groups]
    tasks = [
        TaskGroup(group.task_set, [state.task for state in states], samples_per_task=n)
        for group, states in zip(groups, starts, strict=True)
    ]
    plan = chunk_plan(tasks, max(n, chunk_size - chunk_size % n))
    player = _Player(policy, sampling, seed, _Keep(keep_conversation, states=False))
    played = _play_plan(tasks, starts, plan, player, on_chunk)
    return [[found[at : at + n] for at in range(0, len(found), n)] for found in played]


@dataclass(frozen=True, slots=True)
class _Keep:
    """What stays on the episodes for RL."""

    conversation: bool
    states: bool


@dataclass(frozen=True, slots=True)
class _Player:
    """Who plays, how its replies are drawn, and what is kept of them."""

    policy: Policy
    sampling: Sampling
    seed: int
    keep: _Keep


def _play_plan(
    groups: Sequence[TaskGroup],
    starts: Sequence[Sequence[State]],
    plan: Sequence[Place],
    player: _Player,
    on_chunk: Callable[[list[Episode]], None] | None = None,
) -> list[list[Episode]]:
    """Play the chunks of `plan` from their `starts`; the episodes of each group in order."""
    episodes: list[list[Episode]] = [[] for _ in groups]
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="environment"))
            for _ in groups
        ]
        stack.callback(lambda: [pool.shutdown(wait=False, cancel_futures=True) for pool in pools])
        chunks = [
            _Chunk(groups[at.group], starts[at.group][at.tasks], at, pools[at.group], player) for at in plan
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


@dataclass(slots=True, eq=False)
class _Chunk:
    """Plays that go on side by side: environments step, the policy answers, and so on by turns."""

    group: TaskGroup
    starts: Sequence[State]
    place: Place
    pool: ThreadPoolExecutor
    player: _Player
    plays: list[OnePlay] = field(default_factory=list)
    pending: list[Future[None]] = field(default_factory=list)
    turn: int = 0
    finished: bool = False

    @property
    def size(self) -> int:
        return self.place.tasks.stop - self.place.tasks.start

    def start(self) -> None:
        goes_on = self.group.task_set.max_turns > 1
        for number, state in zip(
            range(self.place.tasks.start, self.place.tasks.stop), self.starts, strict=True
        ):
            conversation = conversation_at(state, goes_on)
            conversation.sample = number % self.group.samples_per_task
            self.plays.append(OnePlay(state, conversation, self.player.keep.states))
        self.pending = [self.pool.submit(begin, game, self.group.task_set) for game in self.plays]

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
        most = self.group.task_set.max_turns
        for game, completion in zip(games, self._replies(games), strict=True):
            last = game.num_turns + 1 >= most
            self.pending.append(self.pool.submit(advance, game, completion, last))
        self.turn += 1
        return False

    def _replies(self, games: Sequence[OnePlay]) -> list[Completion]:
        player = self.player
        parts = (player.seed, self.group.task_set.env, self.place.number, *([self.turn] if self.turn else []))
        began = time.perf_counter()
        most = min(player.sampling.max_new_tokens, self.group.task_set.max_reply_tokens)
        sampling = replace(player.sampling, max_new_tokens=most, seed=seed_from(*parts))
        completions = player.policy.reply([game.conversation for game in games], sampling)
        share = (time.perf_counter() - began) / len(games)
        for game in games:
            game.seconds += share
        return completions

    def episodes(self) -> list[Episode]:
        """What was played; the plays are let go."""
        episodes = [self._episode(game) for game in self.plays]
        self.plays = []
        return episodes

    def _episode(self, game: OnePlay) -> Episode:
        conversation = game.conversation
        return Episode(
            task_key=game.task.key,
            content_sha256=game.task.content_sha256,
            policy=self.player.policy.name,
            turns=game.turns,
            grade=game.grade,
            stop_reason=game.stop_reason or "turn_limit",
            error=game.error,
            num_prompt_tokens=conversation.sent_tokens
            or len(conversation.token_ids) - sum(conversation.action_mask),
            num_completion_tokens=sum(turn.num_tokens for turn in game.turns),
            seconds=game.seconds,
            conversation=conversation if self.player.keep.conversation else None,
            states=tuple(game.states),
            difficulty=game.task.difficulty,
            sample=conversation.sample,
        )
