"""What states are worth and values say: against returns by GAE, known values, and a critic read alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from affine_trainer.learning.advantages import generalized_advantages
from affine_trainer.learning.experience import pack_episodes
from affine_trainer.learning.packing import Rows
from affine_trainer.learning.practice import Practice
from affine_trainer.learning.trl_scoring import read_values
from affine_trainer.learning.value_check import (
    DrawnState,
    Level,
    compare,
    draw_states,
    earned,
    read_off,
    share_cut_off,
    state_groups,
    truth,
)
from affine_trainer.learning.vine import branches
from affine_trainer.records import Grade, State
from affine_trainer.rollout import StateGroup, continue_from
from tests.learning.ppo_runs import ToyRun, small_config
from tests.learning.test_vine import (
    SAMPLING,
    Drunkard,
    Walks,
    episode,
    known_value,
    text_of,
    walk_states,
)
from tests.test_rollout import CountingGames
from tests.tiny_model import tiny_model


@pytest.mark.parametrize("level", ["turn", "token"])
@pytest.mark.parametrize("inside", [False, True])
def test_what_the_rest_of_a_play_earns_is_the_return_that_a_critic_learns(level: Level, inside: bool) -> None:
    """GAE with lambda 1 and no values gives the returns; the rest of the play is one continuation."""
    gamma = 0.5
    played = episode("ab\ncd|efg\nh|ij", (0.5, -0.25, 1.0))
    packed = pack_episodes([played], pad_id=0)
    returns, _ = generalized_advantages(
        packed.rewards,
        torch.zeros_like(packed.rewards),
        packed.action_mask,
        packed.turn_end,
        torch.zeros(1),
        gamma=gamma,
        gae_lambda=1.0,
        level=level,
    )
    states = branches(played, text_of, inside_replies=inside, most=99)
    assert len(states) == (5 if inside else 3)
    for position, state in states.items():
        rest = replace(played, turns=played.turns[state.num_turns :])
        assert earned(state, rest, gamma=gamma, level=level) == pytest.approx(float(returns[0, position - 1]))


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_truths_come_to_known_values_and_only_a_biased_value_has_a_bias(gamma: float) -> None:
    walks, number = Walks(), 400
    states, about = walk_states(walks)
    [played] = continue_from(
        [StateGroup(walks, states)], Drunkard(), SAMPLING, n=number, seed=0, chunk_size=4000
    )
    exact = [known_value(at, left, gamma) for at, left in about]
    truths = [truth(s, plays, gamma=gamma, level="turn") for s, plays in zip(states, played, strict=True)]
    for found, value in zip(truths, exact, strict=True):
        assert found is not None and found.number == number
        assert abs(found.mean - value) < 4 * found.noise**0.5 + 1e-12
        assert found.noise <= 0.25 / (number - 1)
    fair, off = (
        compare(_drawn(states), [value + by for value in exact], truths, level=0.95) for by in (0.0, 0.2)
    )
    assert fair is not None and off is not None
    assert abs(fair.bias) < 0.02 and fair.rmse < 0.03
    assert off.bias == pytest.approx(fair.bias + 0.2) and off.rmse == pytest.approx(0.2, abs=0.02)


def _drawn(states: Sequence[State]) -> list[DrawnState]:
    return [DrawnState(0, at + 1, state) for at, state in enumerate(states)]


def test_what_could_not_be_graded_counts_for_nothing_and_one_play_measures_no_variance() -> None:
    won = episode("ab", (1.0,))
    cut = replace(won, stop_reason="turn_limit", grade=Grade(0.0, False, ""))
    broken = replace(won, grade=None, turns=[], stop_reason="error", error="gone")
    state = won.states[0]
    found = truth(state, [won, broken, cut], gamma=1.0, level="turn")
    assert found is not None and found.number == 2
    assert truth(state, [won, broken], gamma=1.0, level="turn") is None
    assert share_cut_off([[won, broken], [cut, won]]) == pytest.approx(1 / 3)
    assert compare(_drawn([state]), [0.5], [None], level=0.8) is None
    assert compare(_drawn([state]), [None], [found], level=0.8) is None


def test_drawn_states_are_distinct_seeded_and_grouped() -> None:
    walks = Walks()
    first, other = episode("ab|cd|ef", (0.0,) * 3), episode("ab|xy|ef", (0.0,) * 3)

    def drawn(count: int, seed: int = 0):
        return draw_states([first, other], lambda key: walks, text_of, most=8, count=count, seed=seed)

    everything = drawn(99)
    assert len(everything) == 4  # both begin alike, and "ab" leads to the same place
    assert len(drawn(3)) == 3 and drawn(3) == drawn(3)
    assert len({tuple((d.row, d.position) for d in drawn(3, seed)) for seed in range(9)}) > 1
    [group] = state_groups(everything, lambda key: walks)
    assert group.states == [each.state for each in everything]


def test_a_state_is_valued_where_the_critic_has_read_its_tokens_and_no_more(tmp_path: Path) -> None:
    run = ToyRun(tiny_model(), small_config(samples_per_task=4), tmp_path, 3)
    critic = run.trainer.critic
    assert critic is not None
    torch.manual_seed(1)
    torch.nn.init.normal_(critic.value.weight, std=0.5)
    with run.trainer.sampling():
        episodes = run.rollouts.collect(0, keep_states=True)["toy"]
    packed = pack_episodes(episodes, run.trainer.pad_id)
    values = run.trainer.scored(packed).values
    assert values is not None
    drawn = draw_states(episodes, run.rollouts.task_set, run.text_of, most=8, count=99, seed=0)
    assert len({each.state.num_turns for each in drawn}) == 3
    for each, value in zip(drawn, read_off(values, drawn), strict=True):
        ids = packed.token_ids[each.row : each.row + 1, : each.position]
        actions = packed.action_mask[each.row : each.row + 1, : each.position - 1].bool()
        length = torch.tensor([each.position])
        alone = Rows(ids, length, packed.prompt_lengths[each.row : each.row + 1], torch.zeros(1), actions)
        with run.trainer.sampling():
            read = read_values(run.trainer.policy_model, run.trainer._hook, alone)
        assert value == pytest.approx(float(read[0, -1]), abs=1e-5)
    assert len({round(value, 4) for value in read_off(values, drawn)}) > 3


def test_an_environment_that_cannot_go_back_says_so_before_anything_is_played() -> None:
    def practice(name, task_set):
        return Practice({name: [1]}, {}, {name: task_set}, None, None, None)

    why = practice("toy:count@v1", CountingGames()).why_not_continued()
    assert why is not None and "toy:count@v1/1 cannot be put back" in why
    assert practice("toy:walk@v1", Walks()).why_not_continued() is None
