"""What `affine diagnose` shows on the console."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from affine_trainer.report.tables import COMPACT, percent


def diagnostics_tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Gradient noise by estimator, values by step and against the truth, and what the tasks could teach."""
    yield _gradients(found)
    yield _spreads(found, "advantages", "Advantages, before normalisation")
    if found["values"]:
        yield _spreads(found, "values", "Values of the critic")
    if "values" in found["calibration"]:
        yield _calibration(found["calibration"])
    yield _tasks(found)


def _gradients(found: Mapping[str, Any]) -> Table:
    level = f"{100 * found['confidence_level']:g} %"
    title = f"Policy gradient on {found['episodes']} episodes of {found['tasks']} tasks ({found['weights']})"
    table = Table(title=title, title_justify="left", caption_justify="left", **COMPACT)
    table.caption = (
        f"SNR: |G|^2 / tr(Sigma) of one task, {level} {found['interval']}; gap: less that of "
        f"{found['configured']} on the same tasks. Tasks, episodes: the noise scale, at which noise and "
        "signal are level (episodes counted as if they were independent)."
    )
    table.add_column("of", no_wrap=True)
    for heading in ("SNR", level, "gap", level, "tasks", "episodes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, entry in found["gradients"].items():
        if "silent" in entry:
            table.add_row(name, "–", entry["silent"])
            continue
        task, gap = entry["task"], entry.get("snr_difference")
        table.add_row(
            name,
            f"{task['snr']['value']:.3f}",
            _range(task["snr"]),
            "–" if gap is None else f"{gap['value']:+.3f}",
            "" if gap is None else _range(gap, "+"),
            _number(task["noise_scale"]["value"]),
            _number(entry["episode"]["noise_scale"]["value"]),
        )
    return table


def _spreads(found: Mapping[str, Any], key: str, title: str) -> Table:
    """Over all steps and outcomes; the CSV file has each."""
    table = Table(title=f"{title} (by step and outcome: {key}.csv)", title_justify="left", **COMPACT)
    table.add_column("of", no_wrap=True)
    for heading in ("tokens", "mean", "deviation", "exactly 0", "5 %", "median", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found[key]:
        if row["step"] != "all":
            continue
        low, _, middle, _, high = row["quantiles"]
        table.add_row(
            row["of"],
            f"{row['number']:,}",
            f"{row['mean']:+.3f}",
            f"{row['deviation']:.3f}",
            percent(row["share_zero"]),
            *(f"{value:+.3f}" for value in (low, middle, high)),
        )
    return table


def _calibration(found: Mapping[str, Any]) -> Table:
    level = f"{100 * found['confidence_level']:g} %"
    fresh, states = found["fresh_rollouts"], found["states"]
    title = f"Values against the truth: the mean of {fresh} fresh continuations, at {states} states"
    table = Table(title=title, title_justify="left", caption_justify="left", **COMPACT)
    table.caption = (
        f"Bias: value less truth, {level} {found['interval']} ({found['tasks']}). RMSE without the noise of "
        f"the measured truth. Near: within .05 of it. Monte Carlo: {_plays(found)}. "
        f"{percent(found['cut_off'])} of the continuations were cut off; a critic that learns by GAE values "
        "what would come then."
    )
    table.add_column("of", no_wrap=True)
    for heading in ("mean", "truth", "bias", level, "RMSE", "near", "corr."):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, entry in found["values"].items():
        correlation = entry["correlation"]
        table.add_row(
            name.replace("_", " "),
            f"{entry['mean_value']:.3f}",
            f"{entry['mean_truth']:.3f}",
            f"{entry['bias']['value']:+.3f}",
            _range(entry["bias"], "+"),
            f"{entry['rmse']:.3f}",
            percent(entry["near"]),
            "–" if math.isnan(correlation) else f"{correlation:.2f}",
        )
    return table


def _plays(found: Mapping[str, Any]) -> str:
    entry = found["values"].get("monte_carlo", {})
    return f"the mean of {entry['rollouts_a_state']:.3g} other plays" if entry else "none could be made"


def _tasks(found: Mapping[str, Any]) -> Table:
    table = Table(title="Tasks whose episodes all earned the same teach nothing by comparison",
                  title_justify="left", **COMPACT)  # fmt: skip
    table.add_column("environment")
    for heading in ("tasks", "same return", "all failed", "all solved", "ungraded"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in found["zero_variance"].items():
        table.add_row(name, *(str(row[key]) for key in ("tasks", "same_return", "all_failed", "all_solved",
                                                        "ungraded")))  # fmt: skip
    return table


def _range(ends: Mapping[str, float], sign: str = "") -> str:
    return f"{ends['lower']:{sign}.3f} to {ends['upper']:{sign}.3f}"


def _number(value: float) -> str:
    return "inf" if value == float("inf") else f"{value:,.1f}"
