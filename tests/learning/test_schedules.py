"""Schedules of one type: the learning rate, the coefficients, and that every key of theirs matters."""

from __future__ import annotations

from typing import Any

import pytest

from affine_trainer.config import RLConfig
from affine_trainer.learning.early_stopping import EarlyStopping
from affine_trainer.learning.schedules import (
    Kind,
    Schedule,
    entropy_coefficient,
    kl_coefficient,
    learning_rate_factor,
)

MOVING: list[Kind] = ["linear", "cosine", "power", "steps"]


@pytest.mark.parametrize("kind", ["constant", *MOVING])
def test_warm_up_rises_in_equal_steps_from_above_zero_to_the_start(kind: Kind) -> None:
    schedule = Schedule(kind, start=1.0, end=0.1, total=20, warmup=4)
    assert [schedule(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("kind", MOVING)
def test_a_schedule_goes_one_way_from_start_to_end_and_stays_there(kind: Kind) -> None:
    for start, end in ((1.0, 0.2), (3.0, 30.0)):
        schedule = Schedule(kind, start, end, total=21)
        values = [schedule(step) for step in range(21)]
        assert values[0] == pytest.approx(start)
        assert values[-1] == pytest.approx(end)
        assert values == sorted(values, reverse=end < start)
        assert schedule(50) == pytest.approx(end)


def test_linear_and_cosine_are_half_way_in_the_middle_and_cosine_starts_and_ends_gently() -> None:
    linear, cosine = (Schedule(kind, 1.0, 0.2, 21) for kind in ("linear", "cosine"))
    assert linear(10) == pytest.approx(0.6)
    assert cosine(10) == pytest.approx(0.6)
    assert cosine(5) > linear(5)
    assert cosine(15) < linear(15)


def test_power_is_slow_at_first_and_its_exponent_says_how_slow() -> None:
    assert Schedule("power", 0.0, 1.0, 11, power=2.0)(5) == pytest.approx(0.25)
    assert Schedule("power", 0.0, 1.0, 11, power=3.0)(5) == pytest.approx(0.125)
    assert Schedule("power", 0.0, 1.0, 11, power=0.5)(5) == pytest.approx(0.5**0.5)


def test_steps_are_equal_stages_from_start_to_end() -> None:
    schedule = Schedule("steps", 4.0, 10.0, 12, num_stages=3)
    assert [schedule(step) for step in range(12)] == [4.0] * 4 + [7.0] * 4 + [10.0] * 4


def test_decay_multiplies_every_step_as_far_as_the_end_from_either_side() -> None:
    down = Schedule("decay", 0.1, 0.03, 99, factor=0.5)
    assert [down(step) for step in range(4)] == pytest.approx([0.1, 0.05, 0.03, 0.03])
    up = Schedule("decay", 1.0, 3.0, 99, factor=2.0)
    assert [up(step) for step in range(3)] == [1.0, 2.0, 3.0]


def test_constant_stays_and_a_warm_up_longer_than_the_run_never_reaches_the_start() -> None:
    assert Schedule("constant", 1.0, 0.1, 10, warmup=2)(9) == 1.0
    assert Schedule("linear", 1.0, 0.1, 3, warmup=5)(2) == pytest.approx(0.5)


def test_the_embedded_default_keeps_its_numbers() -> None:
    rl, total = RLConfig(), 288
    rate, entropy, kl = (
        learning_rate_factor(rl, total),
        entropy_coefficient(rl, total),
        kl_coefficient(rl, total),
    )
    assert (rate(0), rate(20), rate(total - 1)) == pytest.approx((1 / 21, 1.0, 0.1))
    assert entropy(0) == 0.001
    assert entropy(100) == pytest.approx(0.001 * 0.9995**100)
    assert entropy(10_000) == 0.0005
    assert {kl(step) for step in range(total)} == {0.1}


def test_a_bonus_below_its_floor_stays_as_it_is_and_one_that_is_off_stays_off() -> None:
    for kind in ("decay", "linear"):
        small = RLConfig(entropy_coef=0.01, entropy_floor=0.2, entropy_schedule=kind)
        assert {entropy_coefficient(small, 9)(step) for step in range(9)} == {0.01}
        off = RLConfig(entropy_coef=0.0, entropy_schedule=kind)
        assert {entropy_coefficient(off, 9)(step) for step in range(9)} == {0.0}


def test_without_a_kl_term_no_schedule_brings_one() -> None:
    rl = RLConfig(kl_coef=0.0, final_kl_coef=0.5, kl_schedule="linear", kl_warmup_steps=3)
    assert {kl_coefficient(rl, 9)(step) for step in range(9)} == {0.0}


@pytest.mark.parametrize(
    "changed",
    [
        {"lr_schedule": "constant"},
        {"lr_schedule": "power"},
        {"lr_schedule": "steps"},
        {"min_lr_ratio": 0.5},
        {"warmup_steps": 0},
        {"lr_schedule": "power", "schedule_power": 3.0},
        {"lr_schedule": "steps", "schedule_stages": 7},
        {"entropy_schedule": "cosine"},
        {"entropy_schedule": "power", "schedule_power": 1.5},
        {"entropy_decay": 0.9},
        {"entropy_floor": 0.0},
        {"entropy_coef": 0.02},
        {"kl_schedule": "linear"},
        {"kl_schedule": "linear", "final_kl_coef": 0.3},
        {"kl_schedule": "steps", "schedule_stages": 2},
        {"kl_warmup_steps": 5},
        {"kl_coef": 0.2},
    ],
    ids=lambda changed: ",".join(f"{name}={value}" for name, value in changed.items()),
)
def test_every_key_of_a_schedule_changes_what_is_learned_with(changed: dict[str, Any]) -> None:
    """Each change against the run without its last key, whose schedules all move."""

    def courses(**settings: Any) -> list[list[float]]:
        rl = RLConfig(**({"entropy_decay": 0.98} | settings))
        made = learning_rate_factor(rl, 60), entropy_coefficient(rl, 60), kl_coefficient(rl, 60)
        return [[schedule(step) for step in range(60)] for schedule in made]

    without_last = dict(list(changed.items())[:-1])
    assert courses(**changed) != courses(**without_last)


def test_patience_counts_validations_without_improvement_and_starts_anew_at_one() -> None:
    stopping = EarlyStopping(patience=2, min_improvement=0.01)
    assert stopping.update(0, 0.5)
    assert not stopping.update(10, 0.505)
    assert not stopping.exhausted
    assert stopping.update(20, 0.52)
    assert not stopping.update(30, 0.52)
    assert not stopping.update(40, 0.1)
    assert stopping.exhausted
    assert (stopping.best_iteration, stopping.best_score) == (20, 0.52)


def test_without_a_least_improvement_an_equal_score_is_still_none() -> None:
    stopping = EarlyStopping(patience=1, min_improvement=0.0)
    assert stopping.update(0, 0.0)
    assert not stopping.update(1, 0.0)
    assert stopping.best_iteration == 0


def test_the_state_of_early_stopping_comes_back_whole() -> None:
    stopping, other = EarlyStopping(2, 0.01), EarlyStopping(2, 0.01)
    stopping.update(3, 0.25)
    stopping.update(6, 0.2)
    other.load_state_dict(stopping.state_dict())
    assert other == stopping
