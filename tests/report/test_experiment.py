"""Curves read off events, and the tables over seeds that are made of them."""

from pathlib import Path

import pytest

from affine_trainer.artifacts import write_jsonl
from affine_trainer.config import load_experiment
from affine_trainer.errors import DataError
from affine_trainer.report.curves import Curve, read_curve
from affine_trainer.report.experiment import CellResult, summarise_experiment
from affine_trainer.report.experiment_tables import experiment_markdown, experiment_tables

EVENTS = [
    {"step": 0, "validation/success": 0.2, "time/validation": 50.0},
    {"step": 1, "rl/tokens": 100, "rl/reward": 0.1, "time/iteration": 2.0},
    {"step": 2, "rl/tokens": 300, "rl/reward": 0.3, "time/iteration": 2.0},
    {"step": 2, "validation/success": 0.6, "time/validation": 50.0},
]


@pytest.fixture
def experiment(tmp_path: Path):
    path = tmp_path / "e.yaml"
    path.write_text(
        "seeds: [0, 1, 2]\nmetric: validation/success\noverlays: {base: {}, other: {}, idle: {}}\n"
    )
    return load_experiment(path)


def curve(start: float, end: float, tokens: float = 100.0, seconds: float = 10.0) -> Curve:
    return Curve((0, 4), (0.0, tokens), (0.0, seconds), (start, end))


def result(overlay: str, seed: int, found: Curve, rate: float) -> CellResult:
    evaluation = {"success": {"macro": {"rate": rate}}, "per_environment": {"affine:sat": {"accuracy": rate}}}
    return CellResult(overlay, seed, f"e.{overlay}.{seed}", found, evaluation)


def test_a_curve_counts_iterations_and_not_validations(tmp_path):
    write_jsonl(tmp_path / "events.jsonl", EVENTS)
    found = read_curve(tmp_path / "events.jsonl", "validation/success")
    assert found == Curve((0, 2), (0.0, 400.0), (0.0, 4.0), (0.2, 0.6))
    assert (found.at_tokens(100), found.at_seconds(3)) == (pytest.approx(0.3), pytest.approx(0.5))
    assert read_curve(tmp_path / "events.jsonl", "rl/reward").tokens == (100.0, 400.0)


def test_a_metric_that_is_not_logged_is_named_with_those_that_are(tmp_path):
    write_jsonl(tmp_path / "events.jsonl", EVENTS)
    with pytest.raises(DataError, match=r"holds no 'validation/sucess'.*it has validation/success"):
        read_curve(tmp_path / "events.jsonl", "validation/sucess")


def test_cells_are_compared_where_all_of_them_got_to(experiment):
    results = [result("base", seed, curve(0.0, 0.5 + seed / 10), 0.5) for seed in range(3)]
    results += [
        result("other", seed, curve(0.0, 0.9 + seed / 10, tokens=200, seconds=20), 0.6 + seed / 100)
        for seed in range(3)
    ]
    summary = summarise_experiment(experiment, results, {"e.idle.0": "diverged"}, 0.8)
    by_title = {table["title"].partition(":")[0]: table for table in summary["tables"]}
    tokens = by_title["At equal tokens"]
    assert tokens["budget"] == 100.0 and by_title["At equal time"]["budget"] == 10.0
    assert tokens["rows"]["other"]["values"] == pytest.approx({"0": 0.45, "1": 0.5, "2": 0.55})
    difference = tokens["rows"]["other"]["difference"]
    assert difference["mean"] == pytest.approx(-0.1) and difference["num_seeds"] == 3
    half = 1.8856180831641267 * 0.05 / 3**0.5  # t(.9; 2) s / sqrt(n)
    assert (difference["lower"], difference["upper"]) == pytest.approx((-0.1 - half, -0.1 + half))
    assert tokens["rows"]["idle"] is None and tokens["rows"]["base"]["difference"] is None
    assert summary["tables"][3]["rows"]["other"]["difference"]["mean"] == pytest.approx(0.11)
    states = {cell["run"]: cell["state"] for cell in summary["cells"]}
    assert (states["e.idle.0"], states["e.idle.1"], states["e.base.2"]) == ("failed", "not run", "evaluated")


def test_differences_pair_the_seeds_that_both_have(experiment):
    results = [result("base", 0, curve(0, 0.5), 0.5), result("base", 1, curve(0, 0.7), 0.7)]
    results += [result("other", 1, curve(0, 0.8), 0.8), result("other", 2, curve(0, 0.1), 0.1)]
    row = summarise_experiment(experiment, results, {}, 0.8)["tables"][0]["rows"]["other"]
    assert row["difference"]["num_seeds"] == 1 and row["difference"]["mean"] == pytest.approx(0.1)
    assert row["difference"]["lower"] is None and row["difference"]["p_value"] is None


def test_tables_name_interval_metric_rule_and_what_is_missing(experiment):
    results = [result("base", 0, curve(0, 0.5), 0.5), result("other", 0, curve(0, 0.25), 0.75)]
    summary = summarise_experiment(experiment, results, {"e.idle.0": "it diverged"}, 0.8)
    text = experiment_markdown(summary)
    assert "Intervals are 80 %, Student's t over seeds" in text
    assert "## At equal tokens: 100 sampled (validation/success)" in text
    assert "the most that all cells reached; read off each run's curve, linear between its points" in text
    assert "| other | 1 | 25.0 % | – | -25.0 | – | – |" in text
    assert "| idle | 0 | – | – | – | – | – |" in text
    assert "- e.idle.0: it diverged" in text
    assert "One seed" not in text
    assert "One seed gives no interval" in experiment_markdown({**summary, "seeds": [0]})
    assert len(list(experiment_tables(summary))) == 4
