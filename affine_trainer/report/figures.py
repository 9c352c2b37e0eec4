"""Figures for a paper: every plot of a run as .svg and .png, in the widths of a two-column page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from affine_trainer.artifacts import write_atomic
from affine_trainer.report.diagnostics import calibration_plots, spread_plots
from affine_trainer.report.plots import (
    PAPER,
    Estimate,
    calibration_figure,
    curve_figure,
    difference_figure,
    forest_figure,
    paper_files,
    plotting,
    spread_figure,
)
from affine_trainer.report.readings import UNSEEN, confidence_level, environment_results, verdicts
from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.training_curves import curve_panels
from affine_trainer.tracking import progress


def write_figures(runs: Sequence[RunFiles], folder: Path) -> list[Path]:
    """Write NAME.svg and NAME.png of every plot into `folder`, in a folder a run where there are several."""
    wanted = [
        (folder / run.name if len(runs) > 1 else folder, name, draw)
        for run in runs
        for name, draw in run_figures(run)
    ]
    written = []
    with plotting(PAPER), progress("report: figures", len(wanted), unit="figures") as bar:
        for place, name, draw in wanted:
            place.mkdir(parents=True, exist_ok=True)
            for suffix, content in paper_files(draw()).items():
                written.append(place / f"{name}{suffix}")
                write_atomic(written[-1], content)
            bar.advance()
    return written


def run_figures(run: RunFiles) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """The name of every plot that the run has results for, and what draws it."""
    if run.evaluations:
        yield "environments", partial(_forest, run)
    for verdict in verdicts(run):
        rows = [
            Estimate(name, verdict.candidate, *(entry[key].raw for key in ("difference", "lower", "upper")))
            for name, entry in verdict.rows
        ]
        level = confidence_level(run)
        name = f"{verdict.candidate}_minus_{verdict.baseline}".replace("/", "-")
        yield name, partial(difference_figure, rows, verdict.candidate, verdict.baseline, level)
    for panel in curve_panels(run):
        yield panel.name, partial(curve_figure, panel)
    for plot in spread_plots(run):
        yield plot.name.replace("/", "-").replace(" ", "_"), partial(spread_figure, plot)
    for plot in calibration_plots(run):
        yield plot.name, partial(calibration_figure, plot)


def _forest(run: RunFiles) -> Figure:
    estimates, floors = [], {}
    for environment in environment_results(run):
        name = f"{environment.name} ({UNSEEN})" if environment.unseen else environment.name
        for model in environment.models:
            interval = model.entry["confidence_interval"]
            ends = [model.entry["accuracy"], interval["lower"], interval["upper"]]
            if ends[0].raw is not None:
                estimates.append(Estimate(name, model.label, *(end.raw for end in ends)))
        if (floor := environment.best_floor) and any(e.environment == name for e in estimates):
            floors[name] = floor[1]["accuracy"].raw
    return forest_figure(estimates, floors, confidence_level(run))
