"""How advantages and values are spread as CSV files, one row a bin of a histogram."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import write_atomic
from affine_trainer.report.diagnostics import KINDS, spreads
from affine_trainer.report.run_files import RunFiles

COLUMNS = ("run", "weights", "of", "step", "outcome", "lower", "upper", "count", "cumulative_share")


def write_csv_files(runs: Sequence[RunFiles], folder: Path) -> list[Path]:
    """Write advantages.csv and values.csv into `folder`, of the kinds that any run's diagnostics hold."""
    written = []
    for kind in KINDS:
        if rows := list(_rows(runs, kind)):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
            write_atomic(folder / f"{kind}.csv", text.getvalue())
            written.append(folder / f"{kind}.csv")
    return written


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
