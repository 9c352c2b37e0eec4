"""Calibration of a walk whose every value is known: what is true, what is biased, and what is only noisy."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from statistics import fmean

import pytest
import torch

from affine_trainer.config import Config, RLConfig
from affine_trainer.learning.diagnostics import PhaseClock
from affine_trainer.learning.rollouts import Rollouts
from affine_trainer.learning.value_check import DrawnState
from affine_trainer.records import Message
from affine_trainer.stages.value_calibration import COLUMNS, calibrate, calibration_csv, continue_states
from tests.learning.test_vine import Drunkard, Walks, known_value, walk_states

GAMMA, FRESH, COPIES = 0.9, 64, 12


@pytest.fixture(scope="module")
def measured():
    """Each place of the walk twelve times, under names that keep them apart; their exact values."""
    walks = Walks()
    rl = RLConfig(gamma=GAMMA, vine_rollouts=9, vine_batch_size=4096, samples_per_task=2)
    rollouts = Rollouts(Drunkard(), {"walk": walks}, None, {}, Config(rl_training=rl), PhaseClock())
    rollouts.practise({"walk": [0]}, 0)
    states, about = walk_states(walks)
    states = [
        replace(s, messages=(*s.messages, Message("user", str(n)))) for n in range(COPIES) for s in states
    ]
    drawn = [DrawnState(0, place + 1, state) for place, state in enumerate(states)]
    exact = [known_value(at, left, GAMMA) for at, left in about] * COPIES
    return continue_states(rollouts, drawn, FRESH, seed=3), torch.tensor([[*exact, 0.0]]), rl


def test_a_critic_that_knows_the_values_has_no_bias_and_one_that_is_off_is_found_off(measured) -> None:
    found, exact, rl = measured
    right = calibrate(found, exact, rl, FRESH, 0.8)["values"]["critic"]
    wrong = calibrate(found, exact + 0.15, rl, FRESH, 0.8)["values"]["critic"]
    assert abs(right["bias"]["value"]) < 0.015 and right["rmse"] < 0.02
    assert right["mean_truth"] == pytest.approx(float(exact[0, :-1].mean()), abs=0.015)
    assert right["correlation"] > 0.9
    assert wrong["bias"]["value"] == pytest.approx(right["bias"]["value"] + 0.15)
    assert wrong["rmse"] == pytest.approx(0.15, abs=0.02)
    assert sum(each["number"] for each in right["bins"]) == len(found.drawn)


def test_the_truth_is_discounted_as_the_critic_is_taught(measured) -> None:
    """The exact values here are those with gamma .9, which are too low for the undiscounted return."""
    found, exact, rl = measured
    undiscounted = rl.model_copy(update={"gamma": 1.0})
    entry = calibrate(found, exact, undiscounted, FRESH, 0.8)["values"]["critic"]
    paid = fmean(known_value(at, left, 1.0) for at, left in walk_states(Walks())[1])
    assert paid - float(exact[0, :-1].mean()) > 0.02
    assert entry["mean_truth"] == pytest.approx(paid, abs=0.012)
    assert entry["return"] == "discounted by turn, gamma 1"


def test_monte_carlo_values_are_unbiased_and_as_noisy_as_their_own_few_plays(measured) -> None:
    """Had they shared plays with the truth, they would seem better than they are."""
    found, _, rl = measured
    entry = calibrate(found, None, rl, FRESH, 0.8)
    assert set(entry["values"]) == {"monte_carlo"}
    values = entry["values"]["monte_carlo"]
    assert values["rollouts_a_state"] == 9
    assert abs(values["bias"]["value"]) < 0.035
    variances = [64 * row["standard_error"] ** 2 for row in entry["rows"]]
    assert values["rmse"] == pytest.approx(math.sqrt(fmean(variances) / 9), rel=0.2)


def test_every_state_is_a_row_of_the_csv_under_each_value(measured) -> None:
    found, exact, rl = measured
    entry = calibrate(found, exact, rl, FRESH, 0.8)
    rows = list(csv.DictReader(calibration_csv(entry).splitlines()))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 2 * len(found.drawn) == 2 * entry["states"]
    assert {row["of"] for row in rows} == {"critic", "monte_carlo"}
    assert {row["turn"] for row in rows} == {"1", "2", "3", "4"}
    assert all(row["continuations"] == str(FRESH) for row in rows)
    assert 0.0 < entry["cut_off"] < 0.6


def test_states_that_could_never_be_graded_are_said_to_be_left_out(measured) -> None:
    found, exact, rl = measured
    broken = [[replace(play, grade=None) for play in plays] for plays in found.plays]
    entry = calibrate(replace(found, plays=broken), exact, rl, FRESH, 0.8)
    assert entry == {"left_out": "no state of the batch could be continued and graded"}
