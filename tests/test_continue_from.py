"""Playing on from saved states: the same play where nothing is left to chance, fresh ones where there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from affine_trainer.config import AgentGymConfig, Config, DataConfig
from affine_trainer.envs import task_set
from affine_trainer.envs.agents.environment import AgentEnvironment
from affine_trainer.errors import AffineError
from affine_trainer.policies.hf import HFPolicy
from affine_trainer.records import (
    Completion,
    Conversation,
    Episode,
    Message,
    Sampling,
    State,
    TaskGroup,
    seed_from,
)
from affine_trainer.rollout import StateGroup, continue_from, play
from tests.learning.toy import RepeatDigits
from tests.test_rollout import CountingGames, Recorder
from tests.tiny_model import tiny_model, tiny_tokenizer

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=12, seed=0)
SAMPLED = dataclasses.replace(GREEDY, temperature=1.0)


def tiny_policy(seed: int = 0, **limits: int) -> HFPolicy:
    return HFPolicy(tiny_model(seed), tiny_tokenizer(), name="tiny", **({"max_prompt_tokens": 2000} | limits))


def played(
    tasks: RepeatDigits, policy: HFPolicy, count: int = 6, sampling: Sampling = GREEDY, **options: bool
) -> list[Episode]:
    options = {"keep_conversation": True, "keep_states": True} | options
    group = TaskGroup(tasks, tasks.tasks(range(count)))
    return play([group], policy, sampling, seed=0, chunk_size=4, **options)[0]


def inside(episode: Episode, tokens: int) -> State:
    """The state `tokens` tokens into the first reply of an episode."""
    talk = episode.conversation
    assert talk is not None
    first = talk.action_mask.index(1) + tokens
    return dataclasses.replace(
        episode.states[0],
        token_ids=tuple(talk.token_ids[:first]),
        action_mask=tuple(talk.action_mask[:first]),
        logprobs=tuple(talk.logprobs[:first]),
        begun=tokens,
    )


def outcome(episode: Episode) -> tuple:
    talk = episode.conversation
    assert talk is not None
    return (
        talk.token_ids,
        talk.action_mask,
        talk.messages,
        episode.grade,
        episode.stop_reason,
        [(turn.observation, turn.reply, turn.reward, turn.num_tokens) for turn in episode.turns],
    )


@pytest.mark.parametrize("tokens", [0, 1, 5, 11])
def test_from_inside_a_reply_greedy_play_ends_as_it_would_have(tokens: int) -> None:
    tasks, policy = RepeatDigits(), tiny_policy()
    straight = played(tasks, policy)
    assert all(episode.turns[0].num_tokens == 12 for episode in straight)
    states = [inside(episode, tokens) if tokens else episode.states[0] for episode in straight]
    [found] = continue_from(
        [StateGroup(tasks, states)], policy, GREEDY, n=2, seed=5, chunk_size=8, keep_conversation=True
    )
    for episode, continued in zip(straight, found, strict=True):
        assert [outcome(each) for each in continued] == [outcome(episode)] * 2


def test_from_a_later_turn_greedy_play_ends_as_it_would_have() -> None:
    tasks, policy = RepeatDigits(num_turns=4), tiny_policy()
    for episode in played(tasks, policy):
        assert [state.num_turns for state in episode.states] == [0, 1, 2, 3]
        [found] = continue_from(
            [StateGroup(tasks, episode.states)], policy, GREEDY, n=1, seed=5, chunk_size=8,
            keep_conversation=True,
        )  # fmt: skip
        for number, [continued] in enumerate(found):
            whole, rest = outcome(episode), outcome(continued)
            assert rest[:5] == whole[:5]
            assert rest[5] == whole[5][number:]


def test_sampled_continuations_are_fresh_and_follow_the_seed() -> None:
    tasks, policy = RepeatDigits(num_turns=2), tiny_policy()
    states = [state for episode in played(tasks, policy) for state in episode.states]

    def replies(seed: int) -> list[list[str]]:
        [found] = continue_from([StateGroup(tasks, states)], policy, SAMPLED, n=3, seed=seed, chunk_size=9)
        return [[turn.reply for e in of_state for turn in e.turns] for of_state in found]

    first = replies(1)
    assert first == replies(1) != replies(2)
    assert all(len(set(of_state)) > 1 for of_state in first)


def test_a_conversations_own_cache_gives_the_same_as_reading_it_again() -> None:
    policy = tiny_policy()
    [task] = RepeatDigits(num_turns=2).tasks([3])
    talk = Conversation([Message("user", "3")], task=task, goes_on=True)
    policy.reply([talk], GREEDY)
    talk.messages.append(Message("user", "0"))
    tasks = RepeatDigits(num_turns=2)
    environment = tasks.start(task)
    environment.step(talk.messages[1].content)
    state = State(
        task,
        tuple(talk.messages),
        tuple(talk.token_ids),
        tuple(talk.action_mask),
        tuple(talk.logprobs),
        observation="0",
        snapshot=environment.snapshot(),
        num_turns=1,
    )
    assert talk.cache is not None
    with_cache = dataclasses.replace(state, cache=talk.cache)
    [[again, read]] = [
        [outcome(e) for of_state in group for e in of_state]
        for group in continue_from(
            [StateGroup(tasks, [state, with_cache])], policy, GREEDY, n=1, seed=0, chunk_size=2,
            keep_conversation=True,
        )
    ]  # fmt: skip
    assert again == read


def test_a_reply_that_is_begun_stays_within_the_limit_of_the_whole_reply() -> None:
    tasks, policy = RepeatDigits(), tiny_policy()
    states = [inside(played(tasks, policy)[0], tokens) for tokens in (1, 4, 9)]
    [found] = continue_from([StateGroup(tasks, states)], policy, SAMPLED, n=8, seed=1, chunk_size=24)
    lengths = [episode.turns[0].num_tokens for of_state in found for episode in of_state]
    assert max(lengths) == 12
    assert all(turn.num_tokens > 9 for episode in found[2] for turn in episode.turns)


def test_chunks_of_continuations_hold_whole_states_and_are_seeded_as_in_play() -> None:
    tasks, recorder = CountingGames(max_turns=1), Recorder()
    states = [State(task, task.prompt) for task in tasks.tasks(range(5))]
    continue_from([StateGroup(tasks, states)], recorder, SAMPLED, n=3, seed=9, chunk_size=8)
    assert [len(keys) for keys, _ in recorder.batches] == [6, 6, 3]
    assert [seed for _, seed in recorder.batches] == [seed_from(9, "toy:count", n) for n in range(3)]


def test_an_environment_that_cannot_go_back_is_refused_by_name() -> None:
    tasks = CountingGames()
    group = TaskGroup(tasks, tasks.tasks([1]))
    with pytest.raises(AffineError, match=r"toy:count@v1/1 cannot be put back.*instead of a server"):
        play([group], Recorder(), SAMPLED, seed=0, chunk_size=1, keep_states=True)
    state = State(group.tasks[0], group.tasks[0].prompt, snapshot=b"", num_turns=1)
    with pytest.raises(AffineError, match="cannot be put back"):
        continue_from([StateGroup(tasks, [state])], Recorder(), SAMPLED, n=2, seed=0, chunk_size=4)
    assert all(game.closed for game in tasks.started)


class FromTheListOfActions:
    """Does one of the actions that the game understands, chosen by what has been said so far."""

    name = "listed"

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        for talk in conversations:
            environment = talk.environment
            assert isinstance(environment, AgentEnvironment)
            actions = sorted(environment.game.actions())
            said = seed_from(*(message.content for message in talk.messages))
            talk.messages.append(Message("assistant", f"Action: {actions[said % len(actions)]}"))
        return [Completion(talk.messages[-1].content, (), (), "stop") for talk in conversations]


@pytest.mark.parametrize("name", ["babyai", "textcraft", "alfworld", "webshop", "sciworld"])
def test_every_embedded_environment_goes_on_from_a_snapshot_as_if_it_had_never_stopped(name: str) -> None:
    config = Config(data=DataConfig(agentgym=AgentGymConfig(environments=(name,), weights={name: 1})))
    tasks = task_set(f"agentgym:{name}", "embedded", config=config, sandbox=None, purpose="training")
    few = 1 if name == "sciworld" else 3  # whose worlds are Java, and replayed from their beginning
    chosen = tasks.tasks(tasks.indices("train", few, 0))
    policy = FromTheListOfActions()
    [straight] = play([TaskGroup(tasks, chosen)], policy, SAMPLED, seed=0, chunk_size=3, keep_states=True)
    for episode in straight:
        states = episode.states[1::3] if name != "sciworld" else episode.states[2:3]
        assert states
        [found] = continue_from([StateGroup(tasks, states)], policy, SAMPLED, n=2, seed=1, chunk_size=6)
        for state, both in zip(states, found, strict=True):
            for continued in both:
                assert continued.turns == episode.turns[state.num_turns :]
                assert (continued.grade, continued.stop_reason) == (episode.grade, episode.stop_reason)
