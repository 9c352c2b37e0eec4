"""The curriculum: what opens when, what is drawn, what the gate waits for, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from affine_trainer.config import AgentGymConfig, Config, DataConfig, RLConfig
from affine_trainer.errors import ConfigError
from affine_trainer.learning.curriculum import Curriculum, Gate, Pool
from affine_trainer.learning.task_mix import TaskMix
from affine_trainer.stats import jeffreys_interval
from tests.learning.toy import RepeatDigits

FORTY = {"a": {index: index / 40 for index in range(40)}}


def settings(**rl: Any) -> RLConfig:
    wanted = {"enable_curriculum": True, "num_rollouts": 9, "curriculum_until": 1.0}
    return RLConfig(**(wanted | {"initial_max_steps": 2, "final_max_steps": 10} | rl))


def curriculum(difficulties: Any = None, **rl: Any) -> Curriculum:
    return Curriculum(settings(**rl), difficulties or FORTY, seed=0)


def limits(found: Curriculum, iterations: int = 9, name: str = "a") -> list[float]:
    return [found.limit(name, iteration) for iteration in range(iterations)]


def test_the_limit_goes_from_the_first_to_the_last_value_by_each_schedule() -> None:
    assert limits(curriculum()) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert limits(curriculum(curriculum_schedule="power"))[4] == 2 + 8 * 0.5**2
    assert limits(curriculum(curriculum_schedule="power", schedule_power=3.0))[4] == 2 + 8 * 0.5**3
    steps = limits(curriculum(curriculum_schedule="steps", schedule_stages=3))
    assert steps == [2, 2, 2, 6, 6, 6, 10, 10, 10]
    for schedule in ("linear", "power", "steps", "gate"):
        found = limits(curriculum(curriculum_schedule=schedule))
        assert found[0] == 2 and found[-1] == 10


def test_the_limit_is_final_from_the_given_share_of_the_iterations_on() -> None:
    found = limits(curriculum(curriculum_until=0.5, num_rollouts=8), 8)
    assert found[:3] == [2, pytest.approx(2 + 8 / 3), pytest.approx(2 + 16 / 3)]
    assert found[3:] == [10] * 5
    assert limits(curriculum(curriculum_until=0.01), 1) == [10]


def test_the_easiest_share_is_open_and_ties_open_together() -> None:
    pool = Pool.of({5: 0.3, 3: 0.1, 9: 0.2, 1: 0.2, 7: 0.9})
    assert pool.indices == (3, 1, 9, 5, 7)
    assert [pool.num_open(share) for share in (0.001, 0.2, 0.4, 0.6, 0.8, 1.0)] == [1, 1, 3, 3, 4, 5]
    found = curriculum()
    assert [found.num_open("a", iteration) for iteration in (0, 4, 8)] == [8, 24, 40]
    assert curriculum(curriculum_limits=("rounds",)).num_open("a", 0) == 40


def test_only_open_tasks_are_drawn_and_each_once_before_any_comes_again() -> None:
    found = curriculum()
    first = found.draw("a", 8, 0)
    assert sorted(first) == list(range(8))
    assert sorted(found.draw("a", 8, 0)) == list(range(8))
    fresh = curriculum()
    everything = [index for iteration in range(8, 12) for index in fresh.draw("a", 10, iteration)]
    assert max(Counter(everything).values()) <= 2
    assert len(set(everything)) >= 36


def test_another_seed_draws_others() -> None:
    draws = [Curriculum(settings(), FORTY, seed=seed).draw("a", 8, 8) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(("rehearsal", "expected"), [(0.0, 0.2), (0.2, 0.2), (0.6, 0.6), (1.0, 1.0)])
def test_tasks_open_from_the_start_keep_their_share_of_the_draws(rehearsal: float, expected: float) -> None:
    found = curriculum(curriculum_rehearsal=rehearsal)
    drawn = [index for later in range(40) for index in found.draw("a", 7, 8 + later)]
    assert len(drawn) == 280
    assert sum(index < 8 for index in drawn) / 280 == pytest.approx(expected, abs=0.03)


def test_without_difficulties_that_differ_all_tasks_are_open() -> None:
    found = curriculum({"a": {index: 0.0 for index in range(40)}})
    assert found.num_open("a", 0) == 40


def test_the_gate_opens_at_the_lower_bound_and_not_before() -> None:
    """13 of 20 is the first count whose 80 % Jeffreys interval lies above one half."""
    assert jeffreys_interval(12, 20, 0.8).lower < 0.5 <= jeffreys_interval(13, 20, 0.8).lower
    for hits, level in ((12, 0), (13, 1)):
        gate = Gate()
        gate.take_in([1.0] * hits + [0.0] * (20 - hits), window=4, threshold=0.5, last=3)
        assert gate.level == level
    fractions = Gate()
    fractions.take_in([0.64] * 20, window=4, threshold=0.5, last=3)  # 12.8 tasks' worth, counted as 12
    assert fractions.level == 0


def test_the_gate_looks_at_recent_iterations_of_its_own_level_only() -> None:
    gate = Gate()
    for _ in range(3):
        gate.take_in([0.0] * 50, window=2, threshold=0.5, last=3)
    gate.take_in([1.0] * 50, window=2, threshold=0.5, last=3)
    assert gate.level == 0  # the failures before still count
    gate.take_in([1.0] * 50, window=2, threshold=0.5, last=3)
    assert (gate.level, gate.recent) == (1, [])
    for _ in range(9):
        gate.take_in([1.0] * 50, window=2, threshold=0.5, last=3)
    assert gate.level == 3


def test_each_environment_has_its_gate_and_all_are_open_at_the_end() -> None:
    both = {"a": FORTY["a"], "b": FORTY["a"]}
    found = curriculum(both, curriculum_schedule="gate", schedule_stages=3)
    for _ in range(2):
        found.take_in({"a": [1.0] * 20, "b": [0.0] * 20})
    assert [found.limit(name, 2) for name in ("a", "b")] == [10, 2]
    metrics = found.metrics(2)
    assert metrics["rl/curriculum_limit"] == 6
    assert (metrics["rl/curriculum_limit/a"], metrics["rl/curriculum_tasks/b"]) == (10, 8)
    assert [found.limit(name, 8) for name in ("a", "b")] == [10, 10]


def test_gate_and_window_come_from_the_config() -> None:
    def level(**rl: Any) -> float:
        found = curriculum(curriculum_schedule="gate", schedule_stages=2, **rl)
        for mean in (0.0, 1.0, 1.0):
            found.take_in({"a": [mean] * 30})
        return found.limit("a", 3)

    assert level(curriculum_gate=0.5) == 10
    assert level(curriculum_gate=0.9) == 2
    assert level(curriculum_gate=0.9, curriculum_window=1) == 10


def test_a_restored_curriculum_goes_on_as_the_one_that_was_saved() -> None:
    def one_more(found: Curriculum, iteration: int) -> tuple[list[int], dict[str, float]]:
        drawn = found.draw("a", 9, iteration)
        found.take_in({"a": [float(index % 3 > 0) for index in drawn]})
        return drawn, found.metrics(iteration)

    rl = dict(curriculum_schedule="gate", curriculum_gate=0.5, schedule_stages=6, num_rollouts=30)
    whole, broken = curriculum(**rl), curriculum(**rl)
    for iteration in range(4):
        assert one_more(whole, iteration) == one_more(broken, iteration)
    resumed = curriculum(**rl)
    resumed.load_state_dict(json.loads(json.dumps(broken.state_dict())))
    later = [one_more(whole, iteration) for iteration in range(4, 20)]
    assert [one_more(resumed, iteration) for iteration in range(4, 20)] == later
    assert later[-1][1]["rl/curriculum_limit"] > later[0][1]["rl/curriculum_limit"]
    forgetful = curriculum(**rl)
    assert [one_more(forgetful, iteration) for iteration in range(4, 20)] != later


def test_episodes_are_shortened_to_whole_rounds_and_the_task_set_itself_is_not() -> None:
    found, toy = curriculum(), RepeatDigits(num_turns=6)
    assert [found.shortened(toy, "a", iteration).max_turns for iteration in range(6)] == [2, 3, 4, 5, 6, 6]
    assert found.shortened(toy, "a", 4) is toy and toy.max_turns == 6
    assert curriculum(curriculum_limits=("difficulty",)).shortened(toy, "a", 0) is toy


def test_the_mix_keeps_its_shares_and_draws_what_is_open() -> None:
    both = {"a": FORTY["a"], "b": {index: -float(index) for index in range(100, 140)}}
    indices, weights = {name: list(found) for name, found in both.items()}, {"a": 3.0, "b": 1.0}
    plain = TaskMix(indices, weights, batch_size=8, seed=0)
    mix = TaskMix(indices, weights, batch_size=8, seed=0, curriculum=curriculum(both))
    drawn = mix.draw(0)
    assert {name: len(found) for name, found in drawn.items()} == {"a": 6, "b": 2}
    assert set(drawn["a"]) <= set(range(8)) and set(drawn["b"]) <= set(range(132, 140))
    assert not set(plain.draw(0)["a"]) <= set(range(8))


def test_what_opens_too_little_is_refused_with_the_numbers() -> None:
    with pytest.raises(ConfigError, match="opens 8 of the 40 tasks of a, and an iteration plays 12"):
        curriculum().check({"a": 12}, {"a": 1})
    assert curriculum().check({"a": 8}, {"a": 1}) == []
    small = {"a": {index: float(index) for index in range(4)}}
    with pytest.raises(ConfigError, match="raise initial_max_steps"):
        curriculum(small).check({"a": 12}, {"a": 1})
    assert curriculum(small, initial_max_steps=10).check({"a": 12}, {"a": 1}) == []


def test_a_curriculum_without_anything_to_limit_is_refused() -> None:
    alike = {"a": {index: 0.5 for index in range(40)}, "b": {1: 2.0}}
    with pytest.raises(ConfigError, match="nothing to limit: the tasks of a, b"):
        curriculum(alike).check({"a": 8}, {"a": 1, "b": 1})
    with pytest.raises(ConfigError, match="nothing to limit"):
        curriculum(curriculum_limits=("rounds",)).check({"a": 8}, {"a": 2})
    assert curriculum(curriculum_limits=("rounds",)).check({"a": 8}, {"a": 3}) == []
    notes = curriculum(alike).check({"a": 8}, {"a": 3, "b": 1})
    assert [note.split(" are ")[0] for note in notes] == ["the tasks of a", "the tasks of b"]


def test_limits_that_contradict_each_other_are_refused_by_the_config() -> None:
    with pytest.raises(ValidationError, match=r"initial_max_steps \(12\) must be at most"):
        Config(rl_training=settings(initial_max_steps=12))
    agents = DataConfig(agentgym=AgentGymConfig(max_rounds=6))
    with pytest.raises(
        ValidationError, match=r"final_max_steps \(10\) is more than data.agentgym.max_rounds"
    ):
        Config(rl_training=settings(), data=agents)
    Config(rl_training=settings(final_max_steps=6), data=agents)
    Config(rl_training=settings(curriculum_limits=("difficulty",)), data=agents)
    Config(rl_training=settings(enable_curriculum=False), data=agents)
