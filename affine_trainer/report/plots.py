"""The plots, drawn with matplotlib: one function a plot, for the page (themed SVG) and for a paper alike."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import matplotlib
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from affine_trainer.colours import model_looks
from affine_trainer.report.diagnostics import CalibrationPlot, SpreadPlot
from affine_trainer.report.training_curves import Panel

MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^"}
# Stand for the page's own colours, which change with its theme; a paper has fixed ones.
THEMED = {"ink": "#010203", "muted": "#010204", "grid": "#010205"}
PAPER = {"ink": "#1b1f24", "muted": "#57606a", "grid": "#d8dee4"}
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "affine", "font.family": "sans-serif", "font.size": 8,
    "axes.titlesize": 9, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.linewidth": 0.6,
    "axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    "grid.linewidth": 0.6, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "legend.frameon": False,
    "legend.fontsize": 7.5, "lines.linewidth": 1.4, "lines.markersize": 4, "savefig.transparent": True,
}  # fmt: skip
COLUMN_WIDTH, PAGE_WIDTH = 3.4, 7.0  # inches, of a paper in two columns


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its interval, of one model in one environment; all in [0, 1]."""

    environment: str
    label: str
    value: float
    lower: float
    upper: float


@contextmanager
def plotting(colours: Mapping[str, str]) -> Iterator[None]:
    """matplotlib in the style of the report with these colours (THEMED or PAPER), while this is open."""
    ink, muted, grid = colours["ink"], colours["muted"], colours["grid"]
    chosen: dict[Any, Any] = {
        "text.color": ink,
        "axes.titlecolor": ink,
        "grid.color": grid,
        "axes.labelcolor": muted,
    }
    chosen |= {name: muted for name in ("axes.edgecolor", "xtick.color", "ytick.color")}
    with matplotlib.rc_context(cast("Any", chosen | STYLE)):
        yield


def ink() -> str:
    """The colour of text, as `plotting` set it."""
    return matplotlib.rcParams["text.color"]


def muted() -> str:
    """The colour of what stands back, as `plotting` set it."""
    return matplotlib.rcParams["axes.labelcolor"]


def curve_figure(panel: Panel) -> Figure:
    """One panel of training curves over the steps of its stage."""
    figure, axes = _one(COLUMN_WIDTH, 1.9)
    colour = model_looks([panel.stage])[panel.stage].colour
    plain = [line for line in panel.lines if not line.sparse]
    for line in panel.lines:
        if line.sparse:
            style: dict[str, Any] = {"color": ink(), "linestyle": "--", "marker": "o", "linewidth": 1.0}
        else:
            second = plain.index(line) > 0
            style = {"color": muted() if second else colour, "linestyle": ":" if second else "-"}
            style["marker"] = "o" if len(line.steps) == 1 else None
        axes.plot(line.steps, line.values, label=line.label, **style)
    axes.set_title(panel.title)
    axes.set_xlabel("optimiser step" if panel.stage == "sft" else "iteration")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if len(panel.lines) > 1:
        axes.legend(loc="best")
    return figure


def forest_figure(estimates: Sequence[Estimate], floors: Mapping[str, float], level: float) -> Figure:
    """Success by environment and model, with intervals and the best policy that does not try."""
    labels = list(dict.fromkeys(e.label for e in estimates))
    environments = list(dict.fromkeys(e.environment for e in estimates))
    looks = model_looks(labels)
    figure, axes = _one(PAGE_WIDTH, 0.5 + 0.42 * len(environments))
    for e in estimates:
        place = environments.index(e.environment) + (labels.index(e.label) + 1) / (len(labels) + 1) - 0.5
        look = looks[e.label]
        axes.plot([e.lower, e.upper], [place, place], color=look.colour, solid_capstyle="butt")
        axes.plot([e.value], [place], MARKERS[look.marker], color=look.colour)
    for environment, floor in floors.items():
        place = environments.index(environment)
        axes.plot([floor, floor], [place - 0.45, place + 0.45], color=ink(), linestyle="--", linewidth=0.9)
    for label in labels:
        axes.plot([], [], MARKERS[looks[label].marker], color=looks[label].colour, label=label)
    axes.plot([], [], color=ink(), linestyle="--", linewidth=0.9, label="best policy that does not try")
    axes.set_yticks(range(len(environments)), environments)
    axes.invert_yaxis()
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(f"tasks solved ({100 * level:g} % intervals)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(labels) + 1)
    return figure


def difference_figure(rows: Sequence[Estimate], candidate: str, baseline: str, level: float) -> Figure:
    """Paired differences with their intervals; coloured by who is better where the interval excludes 0."""
    looks = model_looks([candidate, baseline])
    figure, axes = _one(COLUMN_WIDTH, 0.7 + 0.24 * len(rows))
    for place, row in enumerate(rows):
        clear = candidate if row.lower > 0 else baseline if row.upper < 0 else None
        colour = looks[clear].colour if clear else muted()
        axes.plot([100 * row.lower, 100 * row.upper], [place, place], color=colour, solid_capstyle="butt")
        axes.plot([100 * row.value], [place], "o", color=colour)
    axes.axvline(0, color=ink(), linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row.environment for row in rows])
    axes.invert_yaxis()
    axes.set_title(f"{candidate} minus {baseline}")
    axes.set_xlabel(f"points ({100 * level:g} % intervals)")
    return figure


def spread_figure(plot: SpreadPlot) -> Figure:
    """Histograms as shares of each group, with the empirical distribution at the bins' ends beside them."""
    figure = Figure(figsize=(PAGE_WIDTH, 2.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = [*(look.colour for look in model_looks(["rl", "sft", "base"]).values()), ink(), muted()]
    for (name, spread), colour in zip(plot.lines.items(), reversed(colours), strict=False):
        left.stairs(spread.shares, spread.edges, label=name, color=colour, linewidth=1.2)
        heights = [0.0, *accumulate(spread.shares)]
        right.step(spread.edges, heights, where="pre", label=name, color=colour)
    left.set_title(plot.title)
    left.set_ylabel("share")
    right.set_ylabel("share at or below")
    for axes in (left, right):
        axes.set_xlabel(plot.unit)
    if len(plot.lines) > 1:
        right.legend(loc="best")
    return figure


def calibration_figure(plot: CalibrationPlot) -> Figure:
    """A panel a kind of value: the measured truth of each state over its value, and the means of bins.

    Right values lie on the dashed line.
    """
    figure = Figure(figsize=(PAGE_WIDTH, 2.6), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    everything = [number for line in plot.lines.values() for state in line.states for number in state]
    ends = min(everything), max(everything)
    look = model_looks(["rl"])["rl"]
    for axes, (label, line) in zip(panels, plot.lines.items(), strict=False):
        axes.plot(ends, ends, color=muted(), linestyle="--", linewidth=0.9)
        axes.plot(*zip(*line.states, strict=True), ".", color=look.colour, alpha=0.45, markersize=3.5)
        axes.plot(*zip(*line.bins, strict=True), MARKERS[look.marker], color=ink(), linestyle="-")
        axes.set_title(label[:1].upper() + label[1:])
        axes.set_xlabel("value")
    panels[0].set_ylabel("measured truth")
    for unused in panels[len(plot.lines) :]:
        unused.set_visible(False)
    return figure


def themed_svg(figure: Figure, description: str) -> str:
    """The figure as an SVG element for the page: its colours follow the theme, its text is text."""
    text = _svg(figure)
    for name, placeholder in THEMED.items():
        text = text.replace(placeholder, f"var(--{name})")
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    text = re.sub(r"^.*?(?=<svg)|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # matplotlib names clips and markers by their contents, which two plots of a page may share.
    mark = hashlib.sha256(text.encode()).hexdigest()[:6]
    text = re.sub(r' id="(?![pm][0-9a-f]{8,}")[^"]*"', "", text)
    text = re.sub(r'(id="|url\(#|href="#)([pm][0-9a-f]{8,})', rf"\1f{mark}-\2", text)
    opening = f'<svg viewBox="{_view_box(text)}" role="img" aria-label="{escape(description)}">'
    return opening + text.partition("<svg")[2].partition(">")[2]


def paper_files(figure: Figure) -> dict[str, bytes]:
    """The figure as .svg and as .png of 300 dots an inch."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=300, transparent=False, facecolor="white")
    return {".svg": _svg(figure).encode(), ".png": image.getvalue()}


def _view_box(svg: str) -> str:
    found = re.search(r'viewBox="([\d. ]+)"', svg)
    assert found is not None, "matplotlib writes a viewBox"
    return found[1]


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _one(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
