"""Learning-rate schedules, entropy decay, early stopping."""

from __future__ import annotations

import pytest

from affine_trainer.learning.early_stopping import EarlyStopping
from affine_trainer.learning.schedules import LearningRateSchedule, entropy_coefficient


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
def test_warm_up_rises_in_equal_steps_from_above_zero_to_one(kind: str) -> None:
    schedule = LearningRateSchedule(kind, total_steps=20, warmup_steps=4, min_ratio=0.1)
    factors = [schedule.factor(step) for step in range(5)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_decays_end_at_the_least_ratio_and_are_half_way_in_the_middle() -> None:
    for kind in ("linear", "cosine"):
        schedule = LearningRateSchedule(kind, total_steps=21, warmup_steps=0, min_ratio=0.2)
        factors = [schedule.factor(step) for step in range(21)]
        assert factors[0] == 1.0
        assert factors[10] == pytest.approx(0.6)
        assert factors[-1] == pytest.approx(0.2)
        assert factors == sorted(factors, reverse=True)


def test_cosine_is_above_the_straight_line_at_first_and_below_it_later() -> None:
    cosine = LearningRateSchedule("cosine", 21, 0, 0.0)
    linear = LearningRateSchedule("linear", 21, 0, 0.0)
    assert cosine.factor(5) > linear.factor(5)
    assert cosine.factor(15) < linear.factor(15)


def test_constant_stays_at_one_and_steps_beyond_the_end_stay_at_the_least_ratio() -> None:
    assert LearningRateSchedule("constant", 10, 2, 0.1).factor(9) == 1.0
    assert LearningRateSchedule("cosine", 10, 2, 0.1).factor(50) == pytest.approx(0.1)
    assert LearningRateSchedule("linear", 3, 5, 0.1).factor(2) == pytest.approx(0.5)


def test_entropy_coefficient_decays_by_a_factor_a_step_down_to_its_floor() -> None:
    values = [entropy_coefficient(n, initial=0.1, decay=0.5, floor=0.03) for n in range(4)]
    assert values == pytest.approx([0.1, 0.05, 0.03, 0.03])


def test_an_entropy_bonus_that_is_off_stays_off_whatever_its_floor() -> None:
    assert entropy_coefficient(7, initial=0.0, decay=0.9, floor=0.01) == 0.0


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
