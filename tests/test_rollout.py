"""Playing episodes: chunks and seeds, turns and limits, failures as errors, and what is kept for RL."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from affine_trainer.config import Config
from affine_trainer.envs import task_set
from affine_trainer.errors import AffineError
from affine_trainer.policies.hf import HFPolicy, encode_observation, encode_prompt
from affine_trainer.policies.scripted import TRIVIAL_POLICIES
from affine_trainer.records import (
    UNLIMITED,
    Completion,
    Conversation,
    Episode,
    Grade,
    Message,
    Policy,
    Sampling,
    SnapshotKind,
    Split,
    Step,
    Task,
    TaskGroup,
    TaskSet,
    seed_from,
    sha256_of,
)
from affine_trainer.rollout import chunk_plan, play
from tests.tiny_model import tiny_model, tiny_tokenizer

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8, seed=123)


class CountingGame:
    """Ends when its target number of replies is played; the reward is one a reply, a win is in time."""

    snapshot_kind: SnapshotKind = "none"

    def __init__(self, task: Task, failure: dict[str, Exception]) -> None:
        self.task = task
        self._failure = failure
        self._played = 0
        self.closed = False

    def _fail(self, where: str) -> None:
        if where in self._failure:
            raise self._failure[where]

    def observe(self) -> str:
        self._fail("observe")
        return "count 0"

    def step(self, reply: str) -> Step:
        time.sleep(0.002 * (self.task.index % 3))  # so that threads finish out of order
        self._fail("step")
        self._played += 1
        done = self._played >= self.task.index % 4 + 1
        return Step(f"count {self._played}", 1.0, terminated=done, truncated=False, info={"n": self._played})

    def grade(self) -> Grade | None:
        self._fail("grade")
        won = self._played >= self.task.index % 4 + 1
        return Grade(float(won), won, f"{self._played} replies")

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


class CountingGames:
    """Task i takes i % 4 + 1 replies; `failures` names what raises, by task index."""

    env, family = "toy:count", "v1"
    max_reply_tokens = max_open = UNLIMITED

    def __init__(
        self, failures: dict[int, dict[str, Exception]] | None = None, *, max_turns: int = 10
    ) -> None:
        self.max_turns = max_turns
        self._failures = failures or {}
        self.started: list[CountingGame] = []

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return list(range(count))

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        prompt = (Message("user", "rules"), Message("assistant", "OK"))
        return [Task(self.env, self.family, i, prompt, 0.5, sha256_of(i)) for i in indices]

    def start(self, task: Task) -> CountingGame:
        failure = self._failures.get(task.index, {})
        if "start" in failure:
            raise failure["start"]
        self.started.append(CountingGame(task, failure))
        return self.started[-1]

    def expert_reply(self, task: Task) -> str | None:
        return None


class Recorder:
    """Replies with the number of messages it sees, and remembers each batch's keys and seed."""

    name = "recorder"

    def __init__(self) -> None:
        self.batches: list[tuple[list[str], int]] = []

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        self.batches.append(([talk.task.key for talk in conversations if talk.task], sampling.seed))
        for talk in conversations:
            talk.messages.append(Message("assistant", f"{len(talk.messages)}"))
        return [Completion(talk.messages[-1].content, (), (), "stop") for talk in conversations]


def play_one(
    tasks: TaskSet, chosen: Sequence[Task], policy: Policy, sampling: Sampling = SAMPLING, **options: Any
) -> list[Episode]:
    [episodes] = play([TaskGroup(tasks, chosen)], policy, sampling, **options)
    return episodes


def count_episodes(games: CountingGames, count: int = 8, **options: Any) -> list[Episode]:
    options = {"seed": 7, "chunk_size": 3} | options
    return play_one(games, games.tasks(range(count)), Recorder(), **options)


def sat_tasks(count: int) -> tuple[TaskSet, list[Task]]:
    tasks = task_set("affine:sat", "small", config=Config(), sandbox=None)
    return tasks, tasks.tasks(tasks.indices("train", count, 0))


def tiny_policy(**options: int) -> HFPolicy:
    options = {"max_prompt_tokens": 2000} | options
    return HFPolicy(tiny_model(), tiny_tokenizer(), name="tiny", **options)


def untimed(episodes: Sequence[Episode]) -> list[Episode]:
    return [dataclasses.replace(episode, seconds=0.0) for episode in episodes]


def test_chunks_are_consecutive_tasks_and_seeded_by_their_number() -> None:
    games, policy = CountingGames(max_turns=1), Recorder()
    play_one(games, games.tasks(range(7)), policy, seed=9, chunk_size=3)
    keys = [task.key for task in games.tasks(range(7))]
    assert policy.batches == [
        (keys[start : start + 3], seed_from(9, "toy:count", number)) for number, start in enumerate((0, 3, 6))
    ]


def test_chunks_of_single_turns_hold_as_many_batches_as_are_wanted() -> None:
    one_turn, several = CountingGames(max_turns=1), CountingGames(max_turns=5)
    groups = [TaskGroup(tasks, tasks.tasks(range(20))) for tasks in (one_turn, several)]
    sizes = [(at.group, at.tasks.stop - at.tasks.start) for at in chunk_plan(groups, 4, refills=3)]
    assert sizes == [(0, 12), (1, 4), (0, 8), *[(1, 4)] * 4]


def test_a_later_turn_of_a_chunk_draws_with_another_seed() -> None:
    games, policy = CountingGames(max_turns=4), Recorder()
    play_one(games, games.tasks([3]), policy, seed=9, chunk_size=1)
    seeds = [seed for _, seed in policy.batches]
    assert len(set(seeds)) == 4
    assert seeds[0] == seed_from(9, "toy:count", 0)


def test_episodes_end_when_their_environment_says_so_and_keep_their_order() -> None:
    episodes = count_episodes(CountingGames())
    assert [episode.task_key for episode in episodes] == [f"toy:count@v1/{i}" for i in range(8)]
    assert [len(episode.turns) for episode in episodes] == [1, 2, 3, 4, 1, 2, 3, 4]
    assert {episode.stop_reason for episode in episodes} == {"terminated"}
    assert all(episode.grade == Grade(1.0, True, f"{len(episode.turns)} replies") for episode in episodes)
    assert [turn.observation for turn in episodes[2].turns] == ["count 0", "count 1", "count 2"]
    assert [turn.reply for turn in episodes[2].turns] == ["3", "5", "7"]
    assert episodes[2].turns[1].info == {"n": 2, "stop": "stop"}


def test_the_turn_limit_ends_an_episode_that_is_graded_all_the_same() -> None:
    long = count_episodes(CountingGames(max_turns=2))[3]
    assert (long.stop_reason, len(long.turns), long.error) == ("turn_limit", 2, None)
    assert long.grade == Grade(0.0, False, "2 replies")


def test_the_policys_token_limit_ends_an_episode_before_its_next_turn() -> None:
    games = CountingGames(max_turns=4)
    [episode] = play_one(games, games.tasks([3]), tiny_policy(max_episode_tokens=60), seed=0, chunk_size=4)
    assert episode.stop_reason == "token_limit"
    assert 0 < len(episode.turns) < 4
    assert episode.grade is not None and not episode.grade.success
    assert episode.num_prompt_tokens + episode.num_completion_tokens <= 60


def test_a_reply_has_no_more_tokens_than_its_environment_allows() -> None:
    games = CountingGames(max_turns=2)
    games.max_reply_tokens = 3
    [episode] = play_one(games, games.tasks([3]), tiny_policy(), seed=0, chunk_size=4)
    assert all(turn.num_tokens <= 3 for turn in episode.turns)


@pytest.mark.parametrize("where", ["start", "observe", "step", "grade"])
def test_a_failing_environment_is_an_error_and_never_a_zero(where: str) -> None:
    games = CountingGames({4: {where: ConnectionError("the simulator hung up")}})
    episodes = count_episodes(games)
    failed = episodes.pop(4)
    assert failed.grade is None
    assert failed.stop_reason == "error"
    assert failed.error == "ConnectionError: the simulator hung up"
    assert all(episode.grade for episode in episodes)
    assert all(game.closed for game in games.started)


def test_an_ungradable_reply_is_an_error_with_the_environments_words() -> None:
    class Ungradable(CountingGame):
        def step(self, reply: str) -> Step:
            return Step("", 0.0, terminated=True, truncated=False, info={"error": "the sandbox failed"})

        def grade(self) -> Grade | None:
            return None

    games = CountingGames()
    games.start = lambda task: Ungradable(task, {})
    (episode,) = count_episodes(games, count=1)
    assert (episode.grade, episode.stop_reason, episode.error) == (None, "error", "the sandbox failed")


def test_a_mistake_of_the_user_in_an_environment_is_raised() -> None:
    with pytest.raises(AffineError, match="no such file"):
        count_episodes(CountingGames({2: {"step": AffineError("no such file")}}))


def test_finished_chunks_are_handed_over_in_order_before_the_end() -> None:
    seen: list[list[str]] = []
    episodes = count_episodes(
        CountingGames(), on_chunk=lambda chunk: seen.append([e.task_key for e in chunk])
    )
    assert [len(chunk) for chunk in seen] == [3, 3, 2]
    assert [key for chunk in seen for key in chunk] == [episode.task_key for episode in episodes]


def test_a_chunk_is_graded_while_the_policy_answers_the_next() -> None:
    answered = threading.Event()

    class Waiting(CountingGame):
        def step(self, reply: str) -> Step:
            in_time = answered.wait(timeout=20) if self.task.index == 0 else True
            return Step("", 0.0, terminated=True, truncated=False, info={"in_time": in_time})

    class Announcing(Recorder):
        def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
            if self.batches:
                answered.set()
            return super().reply(conversations, sampling)

    games = CountingGames()
    games.start = lambda task: Waiting(task, {})
    games.max_turns = 1
    episodes = play_one(games, games.tasks(range(2)), Announcing(), seed=0, chunk_size=1)
    assert episodes[0].turns[0].info["in_time"]


def test_slow_environments_do_not_hold_up_fast_ones() -> None:
    """The slow chunk steps only once the policy has answered every chunk of the fast environment."""
    fast_is_done = threading.Event()

    class Slow(CountingGame):
        def step(self, reply: str) -> Step:
            return Step("", 0.0, True, False, info={"in_time": fast_is_done.wait(timeout=20)})

    class Counting(Recorder):
        def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
            completions = super().reply(conversations, sampling)
            if sum(len(keys) for keys, _ in self.batches) == 1 + 6:
                fast_is_done.set()
            return completions

    slow, fast = CountingGames(max_turns=1), CountingGames(max_turns=1)
    slow.start = lambda task: Slow(task, {})
    groups = [TaskGroup(slow, slow.tasks([0])), TaskGroup(fast, fast.tasks(range(6)))]
    seen: list[str] = []
    episodes = play(
        groups,
        Counting(),
        SAMPLING,
        seed=0,
        chunk_size=2,
        on_chunk=lambda chunk: seen.append(chunk[0].task_key),
    )
    assert episodes[0][0].turns[0].info["in_time"]
    assert [len(group) for group in episodes] == [1, 6]
    assert seen == [
        f"toy:count@v1/{index}" for index in (0, 0, 2, 4)
    ]  # in the order of the plan all the same


def test_a_later_start_gives_the_same_chunks() -> None:
    tasks, all_tasks = sat_tasks(7)
    policy = tiny_policy()
    whole = play_one(tasks, all_tasks, policy, seed=4, chunk_size=3)
    rest = play_one(tasks, all_tasks, policy, seed=4, chunk_size=3, skip=1)
    assert untimed(rest) == untimed(whole)[3:]


def test_the_seed_decides_the_replies_of_a_model() -> None:
    tasks, all_tasks = sat_tasks(4)
    policy = tiny_policy()
    first, again, other = (play_one(tasks, all_tasks, policy, seed=seed, chunk_size=4) for seed in (1, 1, 2))
    assert untimed(first) == untimed(again)
    assert [e.turns[0].reply for e in first] != [e.turns[0].reply for e in other]


def test_a_constant_policy_is_graded_as_its_answers_deserve() -> None:
    tasks, all_tasks = sat_tasks(300)
    all_true = TRIVIAL_POLICIES["affine:sat"][0]
    episodes = play_one(tasks, all_tasks, all_true, seed=0, chunk_size=64)
    successes = sum(episode.grade.success for episode in episodes if episode.grade)
    assert 0.08 < successes / 300 < 0.28  # 17.4 % of this family
    assert {episode.policy for episode in episodes} == {"all-true"}
    assert {episode.num_completion_tokens for episode in episodes} == {0}


def test_conversations_are_kept_on_request_with_aligned_tokens() -> None:
    games, tokenizer = CountingGames(), tiny_tokenizer()
    tasks = games.tasks([1])
    [episode] = play_one(games, tasks, tiny_policy(), seed=0, chunk_size=1, keep_conversation=True)
    talk = episode.conversation
    assert talk is not None and len(episode.turns) == 2
    first = encode_prompt(tokenizer, [*tasks[0].prompt, Message("user", "count 0")])
    assert talk.token_ids[: len(first)] == first
    assert sum(talk.action_mask) == episode.num_completion_tokens == sum(t.num_tokens for t in episode.turns)
    assert episode.num_prompt_tokens + episode.num_completion_tokens == len(talk.token_ids)
    assert len(talk.logprobs) == len(talk.action_mask) == len(talk.token_ids)
    reply_end = len(first) + episode.turns[0].num_tokens
    suffix = encode_observation(
        tokenizer, "count 1", stopped=talk.token_ids[reply_end - 1] == tokenizer.eos_token_id
    )
    assert talk.token_ids[reply_end : reply_end + len(suffix)] == suffix
    assert talk.cache is None


def test_conversations_are_dropped_by_default() -> None:
    assert all(episode.conversation is None for episode in count_episodes(CountingGames()))


def test_a_prompt_over_the_limit_stops_the_rollout_and_names_the_task() -> None:
    tasks, all_tasks = sat_tasks(2)
    with pytest.raises(AffineError, match=rf"the prompt of {all_tasks[0].key} has \d+ tokens"):
        play_one(tasks, all_tasks, tiny_policy(max_prompt_tokens=20), seed=0, chunk_size=2)
