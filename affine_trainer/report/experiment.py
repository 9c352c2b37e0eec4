"""What an experiment found: every overlay's mean over seeds and its difference to the baseline's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import log_dir
from affine_trainer.config import Cell, Experiment
from affine_trainer.report.curves import RULE, Curve, read_curve
from affine_trainer.stats import SeedMean, holm, seed_mean
from affine_trainer.tracking import EVENTS_FILE

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell whose RL is finished; `evaluation` is its evaluation.json where that is there too."""

    overlay: str
    seed: int
    run: str
    curve: Curve
    evaluation: Mapping[str, Any] | None


def read_cell(cell: Cell, metric: str, *, evaluated: bool) -> CellResult:
    """What a cell with finished RL left in logs/; DataError where its events lack the metric."""
    logs = log_dir(cell.config)
    path = logs / "eval" / "rl" / "evaluation.json"
    evaluation = json.loads(path.read_bytes()) if evaluated else None
    return CellResult(
        cell.overlay,
        cell.seed,
        cell.config.run,
        read_curve(logs / "rl" / EVENTS_FILE, metric),
        evaluation,
    )


def summarise_experiment(
    experiment: Experiment, results: Sequence[CellResult], failures: Mapping[str, str], level: float
) -> dict[str, Any]:
    """The body of experiment.json; `failures` says by run what stopped a cell.

    A table has `rows` by overlay, each with `values` by seed, mean, interval, and the paired `difference` to
    the baseline at the same seeds; None where fewer than one or two seeds allow nothing.
    """
    tables = _curve_tables(experiment, results, level) if results else []
    tables += _evaluation_tables(experiment, [r for r in results if r.evaluation], level)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": experiment.name,
        "file": str(experiment.path),
        "baseline": experiment.baseline,
        "seeds": list(experiment.seeds),
        "metric": experiment.metric,
        "confidence_level": level,
        "interval": "Student's t over seeds",
        "tables": tables,
        "cells": [_cell_entry(cell, results, failures) for cell in experiment.cells],
    }


def _curve_tables(
    experiment: Experiment, results: Sequence[CellResult], level: float
) -> list[dict[str, Any]]:
    """At the most tokens, and at the most time, that every finished cell reached; and where all began."""
    tokens = min(result.curve.tokens[-1] for result in results)
    seconds = min(result.curve.seconds[-1] for result in results)
    reached = "the most that all cells reached"

    def table(title: str, rule: str, budget: float | None, read: Callable[[Curve], float]) -> dict[str, Any]:
        values = _by_overlay(experiment, results, lambda result: read(result.curve))
        rows = _rows(values, experiment.baseline, level)
        return {"title": title, "metric": experiment.metric, "rule": rule, "budget": budget, "rows": rows}

    at_tokens = f"At equal tokens: {tokens:,.0f} sampled"
    at_time = f"At equal time: {seconds:,.0f} s of training"
    return [
        table(at_tokens, f"{reached}; {RULE}", tokens, lambda curve: curve.at_tokens(tokens)),
        table(at_time, f"{reached}; {RULE}", seconds, lambda curve: curve.at_seconds(seconds)),
        table("Before RL", "each run's first point", None, lambda curve: curve.values[0]),
    ]


def _evaluation_tables(
    experiment: Experiment, results: Sequence[CellResult], level: float
) -> list[dict[str, Any]]:
    """The final evaluation of each cell's best model: macro success, then each environment's."""
    if not results:
        return []

    def table(title: str, read: Callable[[Mapping[str, Any]], float | None]) -> dict[str, Any]:
        values = _by_overlay(experiment, results, lambda result: read(result.evaluation or {}))
        rule = "the best model by validation, on the fixed evaluation tasks"
        rows = _rows(values, experiment.baseline, level)
        return {"title": title, "metric": "success", "rule": rule, "budget": None, "rows": rows}

    environments = list((results[0].evaluation or {})["per_environment"])
    return [
        table("Final evaluation: macro success", lambda e: e["success"]["macro"]["rate"]),
        *(
            table(f"Final evaluation: {name}", lambda e, name=name: e["per_environment"][name]["accuracy"])
            for name in environments
        ),
    ]


def _by_overlay(
    experiment: Experiment, results: Sequence[CellResult], read: Callable[[CellResult], float | None]
) -> dict[str, dict[int, float]]:
    """Each overlay's value a seed, in the order of the file; what is not there is left out."""
    values: dict[str, dict[int, float]] = {name: {} for name in experiment.overlays}
    for result in results:
        value = read(result)
        if value is not None:
            values[result.overlay][result.seed] = value
    return values


def _rows(
    values: Mapping[str, Mapping[int, float]], baseline: str, level: float
) -> dict[str, dict[str, Any] | None]:
    rows: dict[str, dict[str, Any] | None] = {}
    for name, by_seed in values.items():
        if not by_seed:
            rows[name] = None
            continue
        shared = [seed for seed in by_seed if seed in values[baseline]] if name != baseline else []
        gaps = [by_seed[seed] - values[baseline][seed] for seed in shared]
        difference = _statistics(seed_mean(gaps, level)) if gaps else None
        by_name = {str(seed): value for seed, value in by_seed.items()}
        rows[name] = {
            "values": by_name,
            **_statistics(seed_mean(list(by_seed.values()), level)),
            "difference": difference,
        }
    _correct([row["difference"] for row in rows.values() if row and row["difference"]])
    return rows


def _statistics(mean: SeedMean) -> dict[str, Any]:
    ends = mean.interval._asdict() if mean.interval else {"lower": None, "upper": None}
    return {
        "mean": mean.mean,
        "deviation": mean.deviation,
        **ends,
        "num_seeds": mean.num_seeds,
        "p_value": mean.p_value,
    }


def _correct(differences: Sequence[dict[str, Any]]) -> None:
    """Holm's correction over the overlays that are compared with the baseline."""
    tested = [difference for difference in differences if difference["p_value"] is not None]
    for difference in differences:
        difference["p_holm"] = None
    adjusted = holm([difference["p_value"] for difference in tested])
    for difference, p_value in zip(tested, adjusted, strict=True):
        difference["p_holm"] = p_value


def _cell_entry(cell: Cell, results: Sequence[CellResult], failures: Mapping[str, str]) -> dict[str, Any]:
    run = cell.config.run
    result = next((each for each in results if each.run == run), None)
    entry = {"overlay": cell.overlay, "seed": cell.seed, "run": run, "failure": failures.get(run)}
    if result is None:
        return entry | {"state": "failed" if run in failures else "not run"}
    curve = result.curve
    state = "evaluated" if result.evaluation else "trained"
    totals = {"iterations": curve.iterations[-1], "tokens": curve.tokens[-1], "seconds": curve.seconds[-1]}
    return entry | {"state": state, **totals, "curve": asdict(curve)}


def results_folder(name: str) -> Path:
    return Path("logs", "experiments", name)
