"""The benchmark of the statistics, in its quick form: it runs, and the figures that are known come out."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from affine_trainer.scoring import SCORINGS
from benchmarks.interval_coverage import jeffreys_coverage
from benchmarks.statistics_check import DUELS, PARTS, worlds
from benchmarks.verdict_power import (
    DUEL,
    calibration,
    cells,
    false_wins,
    highest_correlation,
    needed_gap,
    needed_samples,
    observed_domination,
    paired_mcnemar,
    paired_posterior,
    unpaired_fisher,
    unpaired_posterior,
    verdict_shares,
    wins,
)

ROOT = Path(__file__).parents[1]


def test_it_runs_from_the_command_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "benchmarks/statistics_check.py", "--quick", "--only", "gaps", "false-wins"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "0.500 | 200 | 0.095" in done.stdout
    assert {"jeffreys", "intervals", "duel", "pairing", "verdict", "calibration"} <= PARTS.keys()


def test_the_jeffreys_interval_covers_80_percent_on_average():
    for mean, _ in jeffreys_coverage(40_000).values():
        assert 0.79 < mean < 0.81


@pytest.mark.parametrize(("level", "share"), [(0.80, 0.035), (0.90, 0.010)])
def test_equal_models_win_an_environment_as_often_as_published(level, share):
    assert false_wins(0.9, 1000, level, 100_000) == pytest.approx(share, abs=0.003)


def test_the_gap_needed_is_the_published_one():
    assert [needed_gap(0.5, 200), needed_gap(0.95, 200), needed_gap(0.5, 1000)] == pytest.approx(
        [0.095, 0.035, 0.041]
    )


@pytest.mark.parametrize("name", ["4 environments, 20 to 80 %", "5 environments, 50 to 90 %"])
def test_the_duel_is_won_as_often_as_published_with_200_tasks(name):
    rates = DUELS[name]
    assert 0.08 <= wins(DUEL, rates, 0.00, 200, 20_000) <= 0.13
    assert 0.37 <= wins(DUEL, rates, 0.03, 200, 20_000) <= 0.48
    assert 0.70 <= wins(DUEL, rates, 0.06, 200, 20_000) <= 0.82


@pytest.mark.parametrize(("correlation", "most"), [(0.5, 0.55), (0.8, 0.25)])
def test_a_paired_design_needs_a_fraction_of_the_samples(correlation, most):
    rates, table = np.array([0.60, 0.50]), cells(0.60, 0.50, correlation)
    for paired, unpaired in ((paired_mcnemar, unpaired_fisher), (paired_posterior, unpaired_posterior)):
        assert needed_samples(paired, table, 4000) <= most * needed_samples(unpaired, rates, 4000)


def test_a_table_has_the_correlation_asked_for_and_cannot_have_more_than_there_is():
    both, mine, theirs, _ = cells(0.6, 0.5, 0.5)
    assert both + mine == pytest.approx(0.6) and both + theirs == pytest.approx(0.5)
    assert (both - 0.3) / np.sqrt(0.24 * 0.25) == pytest.approx(0.5)
    assert cells(0.95, 0.9, highest_correlation(0.95, 0.9))[2] == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="correlation"):
        cells(0.95, 0.9, 0.8)


def test_our_verdict_is_seldom_wrong_and_finds_ten_points():
    found = {name: verdict_shares(world, 200, 300) for name, world in worlds().items()}
    assert found["equal"]["undecided"] > 0.95
    assert found["+10 points everywhere"]["dominates"] > 0.6
    assert found["-5 points everywhere"]["dominates"] == 0.0
    assert found["+5 points in seven, -3 in one"]["dominates"] < 0.05


def test_point_estimates_see_domination_as_often_as_published():
    world = worlds()["equal"]
    world = world._replace(candidate=(0.55,) * 8, baseline=(0.50,) * 8)
    seen = [observed_domination(world._replace(correlation=c), 200, 4000) for c in (0.0, 0.5, 0.8)]
    assert seen == sorted(seen)


def test_the_chance_to_win_is_about_what_then_happens():
    rows = calibration(replace(SCORINGS["duel-2026-06"]), 200, 60)
    assert sum(count for _, _, count in rows) == 60
    predicted = sum(each * count for each, _, count in rows) / 60
    actual = sum(each * count for _, each, count in rows) / 60
    assert predicted == pytest.approx(actual, abs=0.17)
