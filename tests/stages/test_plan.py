"""`affine plan`: what it prints, as a table and as JSON, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affine_trainer.cli import app
from affine_trainer.config import load_config
from tests.evaluations import episodes, write_evaluation

CONFIG = load_config(None, [])
SAT, ABD = "affine:sat@small", "affine:abd@generated-v1"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def evaluated(label, rate, *, count=250, names=(SAT, ABD), seed=0):
    drawn = np.random.default_rng(seed).uniform(size=count)
    outcomes = {name: [bool(each < rate) for each in drawn] for name in names}
    write_evaluation(Path("logs/default/eval", label), episodes(outcomes), CONFIG)


def plan(*arguments):
    return CliRunner().invoke(app, ["plan", *arguments, "--set", "sampling.bootstrap_samples=1000"])


def test_the_table_has_two_orders_of_every_profile_and_the_chance_to_win():
    evaluated("rl", 0.6)
    evaluated("base", 0.5)
    done = plan()
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines() if " last " in line or " first " in line]
    rows = [row for row in rows if row[0].startswith(("pareto", "jeffreys", "threshold", "duel"))]
    assert len(rows) == 12
    assert "rl against base: would it win?" in done.stdout
    assert "Our own verdict: dominates" in done.stdout


def test_json_holds_the_chances_the_samples_and_the_verdict_on_these_results():
    evaluated("rl", 0.6)
    evaluated("base", 0.5)
    done = plan("rl", "base", "--scoring", "jeffreys-2025-10", "--json")
    found = json.loads(done.stdout)
    last, first = found["plans"]
    assert (last["committed"], first["committed"]) == ("last", "first")
    assert last["win"] + last["lose"] + last["neither"] == pytest.approx(1.0)
    assert first["win"] > last["win"]
    assert last["samples"] == {"fewest": 250, "most": 250}
    assert last["further_samples"]["win"] > 0
    assert last["further_samples"]["lose"] is None
    assert found["samples_evaluated"] == {"affine:abd": 250, "affine:sat": 250}


def test_more_samples_of_the_validator_raise_the_chance_of_the_better_model():
    evaluated("rl", 0.6)
    evaluated("base", 0.5)

    def chance(*samples):
        done = plan("rl", "base", "--scoring", "jeffreys-2025-10", "--json", *samples)
        return json.loads(done.stdout)["plans"][0]["win"]

    assert chance("--samples", "2000") > chance() + 0.05


def test_an_unknown_scoring_and_a_missing_evaluation_are_one_sentence_each():
    evaluated("rl", 0.6)
    unknown = plan("rl", "base", "--scoring", "elo")
    assert unknown.exit_code == 2
    assert "no scoring named 'elo'" in unknown.output
    missing = plan("rl", "base")
    assert missing.exit_code == 2
    assert "affine eval --model base" in missing.output


def test_a_model_against_itself_is_refused():
    evaluated("rl", 0.6)
    assert "named twice" in plan("rl", "rl").output
