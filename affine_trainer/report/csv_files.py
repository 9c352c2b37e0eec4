"""How advantages and values are spread, and values calibrated, as CSV files: a row a bin, or a state."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import write_atomic
from affine_trainer.report.diagnostics import KINDS, calibration_plots, spreads
from affine_trainer.report.run_files import RunFiles

CALIBRATION_COLUMNS = (
    "run", "weights", "of", "task", "turn", "position", "value", "truth", "standard_error", "continuations",
)  # fmt: skip
COLUMNS = ("run", "weights", "of", "step", "outcome", "lower", "upper", "count", "cumulative_share")


def write_csv_files(runs: Sequence[RunFiles], folder: Path) -> list[Path]:
    """Write advantages.csv, values.csv, calibration.csv into `folder`, of what any run's diagnostics hold."""
    tables: dict[str, tuple[tuple[str, ...], list[Any]]]
    tables = {kind: (COLUMNS, list(_rows(runs, kind))) for kind in KINDS}
    tables["calibration"] = (CALIBRATION_COLUMNS, list(_calibration_rows(runs)))
    written = []
    for name, (columns, rows) in tables.items():
        if rows:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([columns, *rows])
            write_atomic(folder / f"{name}.csv", text.getvalue())
            written.append(folder / f"{name}.csv")
    return written


def _calibration_rows(runs: Sequence[RunFiles]) -> Iterator[tuple[Any, ...]]:
    for run in runs:
        for plot in calibration_plots(run):
            for row in plot.found["rows"].raw:
                yield run.name, plot.weights, *(row[name] for name in CALIBRATION_COLUMNS[2:])


def _rows(runs: Sequence[RunFiles], kind: str) -> Iterator[tuple[Any, ...]]:
    found = [
        (run.name, weights, spread)
        for run in runs
        for weights, diagnosis in run.diagnostics.items()
        for spread in spreads(diagnosis, kind)
    ]
    for run, weights, spread in found:
        counts, shares = spread.entry["counts"].raw, accumulate(spread.shares)
        for row in zip(spread.edges[:-1], spread.edges[1:], counts, shares, strict=True):
            yield run, weights, spread.of, spread.step, spread.outcome, *row
