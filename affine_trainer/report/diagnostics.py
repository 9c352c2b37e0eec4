"""What `affine diagnose` left: how advantages and values are spread, and how right the values are."""

from __future__ import annotations

from dataclasses import dataclass

from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.traced import Traced

KINDS = {"advantages": "advantage", "values": "value"}
ALL = "all"
MAX_GROUPS = 5  # lines of one plot


@dataclass(frozen=True, slots=True)
class Spread:
    """One histogram of a diagnosis: of an estimator, at a step of the episode, with an outcome."""

    of: str
    step: str
    outcome: str
    entry: Traced

    @property
    def edges(self) -> list[float]:
        return self.entry["edges"].raw

    @property
    def shares(self) -> list[float]:
        """The share of all values in each bin."""
        counts = self.entry["counts"].raw
        return [count / (sum(counts) or 1) for count in counts]


@dataclass(frozen=True, slots=True)
class SpreadPlot:
    """The spreads that share a plot, by the name that tells them apart."""

    name: str
    title: str
    unit: str
    lines: dict[str, Spread]


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """One kind of value of a diagnosis: its statistics, and value and measured truth of each state."""

    entry: Traced
    states: list[tuple[float, float]]

    @property
    def bins(self) -> list[tuple[float, float]]:
        """Mean value and mean truth of each bin."""
        return [(each["mean_value"].raw, each["mean_truth"].raw) for each in self.entry["bins"]]


@dataclass(frozen=True, slots=True)
class CalibrationPlot:
    """The calibration that one diagnosis found, and its kinds of values by what they are called."""

    name: str
    weights: str
    found: Traced
    lines: dict[str, CalibrationLine]


def value_label(name: str, rollouts_a_state: float | None) -> str:
    """What a kind of value is called: `critic`, or `Monte Carlo, 9 plays`."""
    if rollouts_a_state is None:
        return name
    return f"{name.replace('_', ' ').title()}, {rollouts_a_state:.3g} plays"


def calibration_plots(run: RunFiles) -> list[CalibrationPlot]:
    """One for each diagnosis that measured the truth."""
    plots = []
    for weights, diagnosis in run.diagnostics.items():
        found = diagnosis.get("calibration")
        if found is not None and (values := found.get("values")):
            lines = {}
            for name, entry in values.entries():
                states = [(row["value"], row["truth"]) for row in found["rows"].raw if row["of"] == name]
                label = value_label(name, entry.raw.get("rollouts_a_state"))
                lines[label] = CalibrationLine(entry, states)
            plots.append(CalibrationPlot(f"calibration_{weights}", weights, found, lines))
    return plots


def spreads(diagnosis: Traced, kind: str) -> list[Spread]:
    """The histograms of `advantages` or `values`; none where the diagnosis has none."""
    rows = diagnosis.get(kind)
    return [
        Spread(str(row["of"]), str(row["step"]), str(row["outcome"]), row)
        for row in (rows if rows is not None else ())
        if row.get("edges") is not None and row.get("counts") is not None
    ]


def spread_plots(run: RunFiles) -> list[SpreadPlot]:
    """For each diagnosis and kind a plot by estimator, and by outcome and by step where there are several."""
    plots = []
    for weights, diagnosis in run.diagnostics.items():
        for kind, unit in KINDS.items():
            found = spreads(diagnosis, kind)
            configured = str(diagnosis.get("configured") or "")
            main = next((s.of for s in found if s.of == configured), found[0].of if found else "")
            mine = [s for s in found if s.of == main]
            sets = {
                "by estimator": {s.of: s for s in found if (s.step, s.outcome) == (ALL, ALL)},
                f"of {main} by outcome": {s.outcome: s for s in mine if s.step == ALL and s.outcome != ALL},
                f"of {main} by step": {s.step: s for s in mine if s.outcome == ALL and s.step != ALL},
            }
            for title, lines in sets.items():
                if lines and (len(lines) > 1 or title == "by estimator"):
                    kept = dict(list(lines.items())[:MAX_GROUPS])
                    name = f"{kind}_{weights}_{title.rpartition(' ')[2]}"
                    plots.append(SpreadPlot(name, f"{kind.capitalize()} {title}", unit, kept))
    return plots
