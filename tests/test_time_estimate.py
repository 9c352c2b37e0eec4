"""The time estimate, replayed on recorded runs, and what it learns from."""

import json
from pathlib import Path

import pytest

from affine_trainer.artifacts import LiveBar
from affine_trainer.config import Config, load_config
from affine_trainer.stages.forecast import Seen, forecast
from affine_trainer.stages.workload import BarWork, Work, workload
from benchmarks.time_estimate import read_recording, replay

RECORDINGS = Path(__file__).parents[1] / "benchmarks" / "recordings"


@pytest.mark.parametrize("name", ["default-1", "default-2"])
def test_a_recorded_default_run_is_forecast_within_a_quarter_after_a_tenth(name):
    rows = replay(read_recording(RECORDINGS / f"{name}.jsonl"))
    after_a_tenth = [(left, estimate) for share, left, estimate in rows if 0.1 <= share <= 0.8]
    assert len(after_a_tenth) == 8
    for left, estimate in after_a_tenth:
        assert estimate == pytest.approx(left, rel=0.25)


def test_the_work_follows_the_config():
    whole = {work.stage: work.seconds for work in workload(Config())}
    assert list(whole) == ["collect", "sft", "rl", "eval base", "eval sft", "eval rl", "compare"]
    half = {work.stage: work.seconds for work in workload(load_config(None, ["rl_training.num_rollouts=18"]))}
    assert half["rl"] == pytest.approx(whole["rl"] / 2, rel=0.1) and half["sft"] == whole["sft"]
    epochs = {work.stage: work.seconds for work in workload(load_config(None, ["training.num_epochs=4"]))}
    assert epochs["sft"] == pytest.approx(2 * whole["sft"], rel=0.1)


def test_environments_of_ones_own_are_work_too_alone_and_beside_others():
    own = ["data.custom.environments={mine: own.py:Mine}", "data.custom.weights={mine: 1}"]
    alone = ["data.affine.environments=[]", "data.agentgym.environments=[]", "rl_training.weights={}"]
    only = {work.stage: work.seconds for work in workload(load_config(None, own + alone))}
    assert all(seconds > 0.0 for seconds in only.values())
    weights = "rl_training.weights={}"
    beside = {work.stage: work.seconds for work in workload(load_config(None, [*own, weights]))}
    without = {work.stage: work.seconds for work in workload(load_config(None, [weights]))}
    assert beside["eval sft"] > without["eval sft"]


def test_a_bar_costs_what_its_segments_cost_and_stretches_to_another_total():
    bar = BarWork("eval", "evaluation", ((10, 1.0), (10, 3.0)))
    assert bar.seconds == 40.0
    assert bar.seconds_of(5, 20) == 5.0 and bar.seconds_of(15, 20) == 25.0
    assert bar.seconds_of(20, 40) == 10.0


def test_a_slow_machine_is_noticed_and_an_earlier_process_does_not_count_in_the_pace():
    works = [
        Work("sft", "training", 0.0, (BarWork("sft", "training", ((1000, 1.0),)),)),
        Work("rl", "training", 0.0, (BarWork("rl", "training", ((100, 10.0),)),)),
    ]
    assert forecast(works, {}).left == {"sft": 1000.0, "rl": 1000.0}
    slow = Seen(1500.0, (LiveBar("sft", "steps", 1000, 0, 500, seconds=1500.0),))
    left = forecast(works, {"sft": slow}).left
    assert left["sft"] == pytest.approx(1500.0, rel=0.15) and left["rl"] == pytest.approx(3000.0, rel=0.15)
    resumed = Seen(300.0, (LiveBar("sft", "steps", 1000, 400, 500, seconds=300.0),))
    assert forecast(works, {"sft": resumed}).left["sft"] == pytest.approx(1500.0, rel=0.4)
    finished = forecast(works, {"sft": Seen(0.0, finished=True)}).left
    assert finished == {"sft": 0.0, "rl": 1000.0}


def test_the_table_of_costs_names_the_command_that_makes_it():
    from affine_trainer.stages.workload import measured_costs

    assert "benchmarks/time_estimate.py" in measured_costs()["made_by"]
    assert json.loads(json.dumps(measured_costs()))["model"] == "nano"
