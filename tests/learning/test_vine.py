"""Monte-Carlo values: where steps begin, what states are worth, and advantages that add up."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from affine_trainer.config import Config, RLConfig
from affine_trainer.errors import ConfigError
from affine_trainer.learning.experience import pack_episodes
from affine_trainer.learning.rollout_plan import check_plan, plan_lines, plan_of
from affine_trainer.learning.vine import (
    Values,
    branches,
    merged,
    monte_carlo_values,
    step_advantages,
    step_ends,
    value_episodes,
)
from affine_trainer.records import (
    UNLIMITED,
    Completion,
    Conversation,
    Episode,
    Grade,
    Message,
    Sampling,
    SnapshotKind,
    Split,
    State,
    Step,
    Task,
    Turn,
    sha256_of,
)
from affine_trainer.rollout import StateGroup, continue_from
from affine_trainer.stats import StoppingPlan, fixed_plan, plan_at

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8, seed=0)


def text_of(ids: Sequence[int]) -> str:
    """One character a token."""
    return "".join(map(chr, ids))


def in_steps(text: str) -> list[str]:
    ids = list(map(ord, text))
    ends = [0, *step_ends(ids, text_of), len(ids)]
    return [text[a:b] for a, b in pairwise(ends)]


def test_steps_are_lines_and_sentences() -> None:
    assert in_steps("n = 1\nfor i in x:\n    n += i\nprint(n)") == [
        "n = 1\n", "for i in x:\n    ", "n += i\n", "print(n)",
    ]  # fmt: skip
    assert in_steps("First 1.5 is odd. Then stop!  So: 3") == ["First 1.5 is odd. ", "Then stop!  ", "So: 3"]
    assert in_steps("one line, two parts\nrest") == ["one line, two parts\n", "rest"]


def test_a_reply_of_one_sentence_is_cut_at_its_commas() -> None:
    assert in_steps("x1=True, x2=False, x3=True") == ["x1=True, ", "x2=False, ", "x3=True"]
    assert in_steps("f(a,b)") == ["f(a,b)"]


def test_nothing_but_space_behind_a_boundary_is_no_step() -> None:
    assert in_steps("a\nb\n\n") == ["a\n", "b\n\n"]
    assert in_steps("") == [""]


def test_a_boundary_inside_a_token_moves_behind_it() -> None:
    pieces = ["a", ";\n  b", "c\n", "d"]
    assert step_ends(range(4), lambda ids: "".join(pieces[i] for i in ids)) == [2, 3]


def test_more_steps_than_the_cap_are_merged_evenly_and_the_first_stays() -> None:
    assert merged([3, 5, 9], 3) == [3, 5, 9]
    assert merged(list(range(10)), 4) == [0, 2, 5, 7]
    for count in range(1, 40):
        for most in range(1, 12):
            kept = merged(list(range(count)), most)
            assert kept[0] == 0 and len(kept) == min(count, most)
            steps = [b - a for a, b in zip(kept, [*kept[1:], count], strict=True)]
            assert max(steps) - min(steps) <= 1


def episode(text: str, rewards: Sequence[float] = (1.0,), **changes: object) -> Episode:
    """A played episode of one turn a line of `text`, one token a character, behind a prompt of two tokens."""
    ids, mask, turns, states = [1, 2], [0, 0], [], []
    task = Task("toy:walk", "v1", 0, (Message("user", "?"),), 0.0, "")
    for number, (reply, reward) in enumerate(zip(text.split("|"), rewards, strict=True)):
        states.append(State(task, task.prompt, tuple(ids) if number else (), snapshot=b"", num_turns=number))
        ids += map(ord, reply)
        mask += [1] * len(reply)
        turns.append(Turn("", reply, reward, len(reply)))
        ids, mask = [*ids, 3], [*mask, 0]
    ids, mask = ids[:-1], mask[:-1]
    talk = Conversation([], ids, mask, [0.0] * len(ids), task=task)
    played = Episode(
        task_key=task.key,
        content_sha256="",
        policy="test",
        turns=turns,
        grade=Grade(1.0, True, ""),
        stop_reason="terminated",
        error=None,
        num_prompt_tokens=0,
        num_completion_tokens=sum(mask),
        seconds=0.0,
        conversation=talk,
        states=tuple(states),
    )
    return replace(played, **changes)


def test_a_single_turn_branches_inside_its_reply_and_an_interactive_one_where_turns_begin() -> None:
    one = episode("ab\ncd\nef")
    found = branches(one, text_of, inside_replies=True, most=9)
    assert list(found) == [2, 5, 8]
    assert [(text_of(s.token_ids[2:]), s.begun) for s in found.values()] == [
        ("", 0),
        ("ab\n", 3),
        ("ab\ncd\n", 6),
    ]
    assert list(branches(one, text_of, inside_replies=True, most=2)) == [2, 5]
    turns = episode("ab\ncd|ef|gh", (0.0, 0.5, 0.5))
    found = branches(turns, text_of, inside_replies=False, most=9)
    assert list(found) == [2, 8, 11]
    assert list(found.values()) == list(turns.states)
    assert branches(replace(turns, grade=None), text_of, inside_replies=False, most=9) == {}


def random_row(rng: random.Random, length: int):
    """Turns with observations between them, rewards at their ends, states at some tokens, all in eighths."""
    mask = [0] * rng.randint(0, 3)
    while len(mask) < length:
        mask += [1] * rng.randint(1, 5) + [0] * rng.randint(1, 3)
    mask = mask[:length]
    ends = [int(mask[t] and (t + 1 == length or not mask[t + 1])) for t in range(length)]
    rewards = [rng.randint(-8, 8) / 8 if end else 0.0 for end in ends]
    first = mask.index(1)
    values = [
        rng.randint(-8, 8) / 8 if m and (t == first or rng.random() < 0.4) else float("nan")
        for t, m in enumerate(mask)
    ]
    return rewards, values, mask, ends


def rows(seed: int, count: int = 200, length: int = 24) -> list[torch.Tensor]:
    rng = random.Random(seed)
    made = [random_row(rng, length) for _ in range(count)]
    return [torch.tensor(column, dtype=torch.float64) for column in zip(*made, strict=True)]


def test_the_steps_of_an_episode_sum_exactly_to_its_return_less_the_value_of_its_first_state() -> None:
    rewards, values, mask, ends = rows(1)
    found = step_advantages(rewards, values, mask, ends, gamma=1.0)
    begins = ~values.isnan()
    first = values.gather(1, begins.int().argmax(dim=1, keepdim=True))[:, 0]
    assert torch.equal((found * begins).sum(dim=1), rewards.sum(dim=1) - first)
    assert int(begins.sum()) > 3 * len(values)
    assert torch.all(found[mask == 0] == 0)


def test_every_token_of_a_step_has_its_advantage_by_the_definition() -> None:
    gamma = 0.5
    rewards, values, mask, ends = rows(2)
    found = step_advantages(rewards, values, mask, ends, gamma=gamma)
    for row in range(len(values)):
        begins = [t for t in range(values.shape[1]) if not values[row, t].isnan()]
        for at, following in zip(begins, [*begins[1:], None], strict=True):
            inside = range(at, following or values.shape[1])
            discount, earned = 1.0, 0.0
            for t in inside:
                earned += discount * float(rewards[row, t])
                discount *= gamma if ends[row, t] else 1.0
            behind = discount * float(values[row, following]) if following else 0.0
            expected = earned + behind - float(values[row, at])
            assert all(float(found[row, t]) == expected for t in inside if mask[row, t])


def test_discounted_steps_sum_to_the_discounted_return_less_the_first_value() -> None:
    rewards, values, mask, ends = rows(3)
    found = step_advantages(rewards, values, mask, ends, gamma=0.5)
    weight = 0.5 ** (ends.cumsum(dim=1) - ends)
    begins = ~values.isnan()
    first = values.gather(1, begins.int().argmax(dim=1, keepdim=True))[:, 0]
    assert torch.equal((found * begins * weight).sum(dim=1), (rewards * weight).sum(dim=1) - first)


def test_merging_steps_keeps_the_sum_and_leaves_no_later_step_without_credit() -> None:
    """Filling values back from a cap, as the published code does, would leave later steps exactly nothing."""
    nan = float("nan")
    rewards, mask = torch.tensor([[0.0] * 5 + [1.0]]), torch.ones(1, 6)
    ends = (rewards > 0).float()
    every = torch.tensor([[0.25, 0.5, 0.25, 0.75, 0.5, 0.875]])
    two = torch.tensor([[0.25, nan, nan, 0.75, nan, nan]])
    apart = step_advantages(rewards, every, mask, ends, gamma=1.0)
    joined = step_advantages(rewards, two, mask, ends, gamma=1.0)
    assert joined.tolist() == [[0.5] * 3 + [0.25] * 3]
    assert apart[0, :3].sum() == joined[0, 0] and apart[0, 3:].sum() == joined[0, 3]


def test_tokens_before_the_first_value_teach_nothing() -> None:
    nan = float("nan")
    found = step_advantages(
        torch.tensor([[0.0, 1.0], [0.0, 1.0]]),
        torch.tensor([[nan, nan], [nan, 0.25]]),
        torch.ones(2, 2),
        torch.tensor([[0, 1], [0, 1]]),
        gamma=1.0,
    )
    assert found.tolist() == [[0.0, 0.0], [0.0, 0.75]]


GOAL, HORIZON = 4, 4


class Walk:
    """A walk on 0..GOAL: L and R move by one, the right end pays 1 and is a success, the left end nothing."""

    snapshot_kind: SnapshotKind = "exact"

    def __init__(self, task: Task, at: int, walks: Walks) -> None:
        self.task = task
        self.at = at
        self.walks = walks

    def observe(self) -> str:
        return str(self.at)

    def step(self, reply: str) -> Step:
        if self.walks.fails():
            raise ConnectionError("gone")
        self.at += 1 if reply == "R" else -1
        return Step(str(self.at), float(self.at == GOAL), self.at in (0, GOAL), False)

    def grade(self) -> Grade:
        return Grade(float(self.at == GOAL), self.at == GOAL, "")

    def snapshot(self) -> bytes:
        return json.dumps(self.at).encode()

    def restore(self, state: bytes) -> None:
        self.at = json.loads(state)

    def close(self) -> None: ...


class Walks:
    env, family = "toy:walk", "v1"
    max_reply_tokens = max_open = UNLIMITED
    max_turns = HORIZON

    def __init__(self, fails_every: int = 0) -> None:
        self.fails_every = fails_every
        self._steps = itertools.count(1)

    def fails(self) -> bool:
        return bool(self.fails_every) and next(self._steps) % self.fails_every == 0

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return list(range(count))

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        return [Task(self.env, self.family, i, (Message("user", "?"),), 0.0, sha256_of(i)) for i in indices]

    def start(self, task: Task) -> Walk:
        return Walk(task, 2, self)

    def expert_reply(self, task: Task) -> str | None:
        return None


class Drunkard:
    """Goes right with probability .6; a batch's draws follow its seed."""

    name = "drunkard"

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        rng = random.Random(sampling.seed)
        for talk in conversations:
            talk.messages.append(Message("assistant", "R" if rng.random() < 0.6 else "L"))
        return [Completion(talk.messages[-1].content, (), (), "stop") for talk in conversations]


def known_value(at: int, turns_left: int, gamma: float) -> float:
    """By the equation of Bellman (the policy is fixed)."""
    if at in (0, GOAL) or turns_left == 0:
        return 0.0
    right = 1.0 if at + 1 == GOAL else gamma * known_value(at + 1, turns_left - 1, gamma)
    return 0.6 * right + 0.4 * gamma * known_value(at - 1, turns_left - 1, gamma)


def walk_states(walks: Walks) -> tuple[list[State], list[tuple[int, int]]]:
    """A state at each place of the walk after 0 to 3 turns, and (place, turns left)."""
    [task] = walks.tasks([0])
    about = [(at, left) for at in range(1, GOAL) for left in range(1, HORIZON + 1)]
    states = [
        State(
            task,
            (Message("user", "?"), Message("user", str(at))),
            observation=str(at),
            snapshot=json.dumps(at).encode(),
            num_turns=HORIZON - left,
        )
        for at, left in about
    ]
    return states, about


def values_of(walks: Walks, states: Sequence[State], plan: StoppingPlan, **options: object) -> Values:
    options = {"unbiased": True, "gamma": 1.0, "seed": 0} | options
    drunkard = Drunkard()
    return monte_carlo_values(
        [StateGroup(walks, states)],
        lambda groups, n, seed: continue_from(groups, drunkard, SAMPLING, n=n, seed=seed, chunk_size=4000),
        plan,
        **options,
    )


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_values_come_to_those_of_bellmans_equation(gamma: float) -> None:
    walks = Walks()
    states, about = walk_states(walks)
    plan = fixed_plan(100)
    [found] = values_of(walks, states, plan, gamma=gamma).values
    for (at, left), value in zip(about, found, strict=True):
        assert value is not None
        exact = known_value(at, left, gamma)
        assert abs(value - exact) < 4 * (exact * (1 - exact) / 100) ** 0.5 + 1e-12, (at, left)
    assert max(found) > 0.7 and min(found) == 0.0


def test_adaptive_values_are_unbiased_where_the_plain_mean_is_not() -> None:
    """Means of 200 adaptive values of one state, against its exact value and the enumerated bias."""
    walks, count = Walks(), 200
    states, about = walk_states(walks)
    state, exact = states[about.index((1, 4))], known_value(1, 4, 1.0)
    plan = StoppingPlan.every(4, 12, 0.5, "wilson", 0.95)
    at = plan_at(plan, exact)
    assert at.mle_bias < -0.04
    # The same state under many names, so that nothing is shared.
    copies = [replace(state, messages=(*state.messages, Message("user", str(name)))) for name in range(count)]
    for unbiased, bias, error in ((True, 0.0, at.rmse), (False, at.mle_bias, at.mle_rmse)):
        found = values_of(walks, copies, plan, unbiased=unbiased)
        [values] = found.values
        mean = sum(value for value in values if value is not None) / count
        assert abs(mean - exact - bias) < 3 * error / count**0.5
        assert sum(found.used) / count == pytest.approx(at.expected_trials, abs=0.6)


def test_equal_states_share_their_continuations() -> None:
    walks = Walks()
    states, _ = walk_states(walks)
    found = values_of(walks, [states[0], states[3], states[0]], fixed_plan(5))
    [values] = found.values
    assert values[0] == values[2]
    assert found.num_played == 10
    assert found.used == [5, 5]


def test_tokens_that_were_sampled_and_that_were_only_read_are_counted_apart() -> None:
    """A continuation of a reply with one token begun: three of its four are new, and 7 + 2 stood before."""
    played = replace(episode("abcd"), num_prompt_tokens=7)
    state = replace(played.states[0], token_ids=(1, 2, 3, 97), action_mask=(0, 1, 0, 1), begun=1)
    found = monte_carlo_values(
        [StateGroup(Walks(), [state])],
        lambda groups, n, seed: [[[played] * n]],
        fixed_plan(5),
        unbiased=True,
        gamma=1.0,
        seed=0,
    )
    assert (found.num_played, found.num_tokens, found.num_tokens_read) == (5, 5 * 3, 5 * 9)


def test_a_continuation_that_could_not_be_graded_is_played_again_and_never_a_zero() -> None:
    flaky = Walks(fails_every=20)
    states, about = walk_states(flaky)
    found = values_of(flaky, [states[about.index((3, 4))]], fixed_plan(100))
    [[value]] = found.values
    assert found.num_played > 100 and found.used == [100]
    assert value is not None and value > known_value(3, 4, 1.0) - 0.15
    broken = values_of(Walks(fails_every=1), [states[0]], fixed_plan(4))
    assert broken.values == [[None]]
    assert broken.num_played == 4 * 5


def test_a_state_without_a_value_joins_the_step_before_and_without_the_first_nothing_is_learned() -> None:
    walks = Walks()
    played = [episode("ab|cd|ef", (0.0, 0.0, 1.0)) for _ in range(2)]

    def estimate(groups: Sequence[StateGroup]) -> Values:
        assert [len(group.states) for group in groups] == [6]
        return Values([[0.5, None, 0.75, None, 0.5, 0.5]], [], 0, 0, 0)

    [valued], metrics = value_episodes([(walks, played)], text_of, estimate, most=8)
    assert [e.state_values for e in valued] == [{2: 0.5, 8: 0.75}, {}]
    assert metrics["vine_unvalued"] == 2 and metrics["vine_states"] == 6
    packed = pack_episodes(valued, pad_id=0)
    assert packed.state_values is not None
    found = step_advantages(
        packed.rewards, packed.state_values, packed.action_mask, packed.turn_end, gamma=1.0
    )
    assert found.tolist() == [[0, 0.25, 0.25, 0, 0.25, 0.25, 0, 0.25, 0.25], [0] * 9]
    assert pack_episodes(played, pad_id=0).state_values is None


def test_a_plan_that_cannot_stop_early_is_refused_unless_it_is_meant() -> None:
    documented = {"adaptive_rollouts": "adaptive", "target_ci_width": 0.15}
    with pytest.raises(ConfigError, match=r"narrowest 95% wilson interval.*0\.242.*target_ci_width to 0\.25"):
        check_plan(RLConfig(**documented))
    check_plan(RLConfig(**documented, allow_full_rollouts=True))
    check_plan(RLConfig(**(documented | {"target_ci_width": 0.25})))
    check_plan(RLConfig(adaptive_rollouts="fixed", target_ci_width=0.15))
    with pytest.raises(ConfigError, match="leaves nothing to adapt"):
        check_plan(RLConfig(adaptive_rollouts="adaptive", min_rollouts=8, max_rollouts=8))


def test_the_plan_follows_its_keys_and_says_what_is_biased() -> None:
    assert plan_of(RLConfig(vine_rollouts=5)).looks == (5,)
    adaptive = {"adaptive_rollouts": "adaptive"}
    assert plan_of(RLConfig(**adaptive)).looks == (4, 8, 12, 16)
    assert plan_of(RLConfig(**adaptive, min_rollouts=5, max_rollouts=12)).looks == (5, 10, 12)
    assert plan_of(RLConfig(**adaptive, ci_method="jeffreys", ci_level=0.8)).width(0, 4) < 0.37
    assert "BIASED" in plan_lines(RLConfig(adaptive_rollouts="adaptive_mle"))[0]
    unbiased = plan_lines(RLConfig(**adaptive))
    assert "unbiased" in unbiased[0] and len(unbiased) == 9
    with pytest.raises(ValueError, match="at most max_rollouts"):
        Config(rl_training=RLConfig(min_rollouts=20))
