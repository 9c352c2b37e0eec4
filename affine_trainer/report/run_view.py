"""One run as its sections show it: readings, plots and labels side by side, made when a template asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from affine_trainer.artifacts import command_for
from affine_trainer.report import costs, readings
from affine_trainer.report.costs import Phase
from affine_trainer.report.diagnostics import (
    CalibrationPlot,
    SpreadPlot,
    calibration_plots,
    spread_plots,
)
from affine_trainer.report.plots import calibration_figure, curve_figure, spread_figure, themed_svg
from affine_trainer.report.readings import EnvironmentResults, Link, ScoringRow, Verdict
from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.traced import Traced
from affine_trainer.report.training_curves import Panel, curve_panels

# What the page shows in places of its own; any other part of a comparison is shown as it is.
KNOWN_PARTS = frozenset({"schema_version", "candidate", "statistics", "baselines", "scoring", "headline"})
KNOWN_RESULTS = frozenset(
    {
        "folder", "num_tasks", "num_excluded", "macro", "verdict", "probabilities", "per_environment",
        "slices", "further_tasks_per_environment", "setting_differences", "sentence", "standing",
    }
)  # fmt: skip


class RunView:
    """Everything of one run that the templates ask for; `prefix` tells its models from another run's."""

    def __init__(self, run: RunFiles, prefix: str = "", *, first: bool = True) -> None:
        self.run = run
        self.first = first  # its sections are those that the page's links lead to
        self.verdicts: list[Verdict] = readings.verdicts(run)
        self.environments: list[EnvironmentResults] = readings.environment_results(run)
        self.headline = readings.headline(run)
        self._prefix = prefix

    def label(self, model: str) -> str:
        """The model's label in the page."""
        return self._prefix + model

    def command(self, verb: str) -> str:
        """The command that makes a part which this run lacks."""
        return command_for(Path("logs", self.run.name), f"affine {verb}")

    @property
    def labels(self) -> list[str]:
        """Every model of the run, also those that only its comparison names."""
        named = [label for verdict in self.verdicts for label in (verdict.candidate, verdict.baseline)]
        return list(dict.fromkeys([*self.run.evaluations, *named]))

    @cached_property
    def level(self) -> float | None:
        """The confidence level of the intervals; None where nothing was evaluated."""
        known = self.run.evaluations or self.run.comparison
        return readings.confidence_level(self.run) if known else None

    @property
    def macros(self) -> Mapping[str, Traced]:
        return readings.best_models(self.run)

    @property
    def curves(self) -> list[tuple[Panel, Markup, list[tuple[str, Traced]]]]:
        """Each panel, its plot, and the last value of each of its lines."""
        return [
            (panel, Markup(themed_svg(curve_figure(panel), panel.title)), self._lasts(panel))
            for panel in curve_panels(self.run)
        ]

    @cached_property
    def phases(self) -> list[Phase]:
        return costs.phases(self.run)

    @property
    def longest(self) -> float:
        return max(phase.seconds.raw for phase in self.phases) or 1.0

    @property
    def best_iteration(self) -> Traced | None:
        """The RL iteration whose weights `rl_best` holds; 0 is the model before RL."""
        found = self.run.stages.get(f"models/{self.run.name}/rl_best")
        return found[1].at("metrics", "best_iteration") if found else None

    @property
    def compared(self) -> str | None:
        """The model to set beside published results: the candidate, else the one evaluated last."""
        named = [verdict.candidate for verdict in self.verdicts if verdict.candidate in self.run.evaluations]
        return next(iter([*named, *reversed(self.run.evaluations)]), None)

    def result_in(self, environment: str | None) -> Traced | None:
        """What that model reached in an environment; None where it was not evaluated there."""
        if environment is None or self.compared is None:
            return None
        return self.run.evaluations[self.compared].at("per_environment", environment)

    @cached_property
    def rl_phases(self) -> list[tuple[str, Traced]]:
        return costs.rl_phases(self.run)

    @property
    def longest_rl(self) -> float:
        return max(total.raw for _, total in self.rl_phases) or 1.0

    @property
    def families(self) -> list[str]:
        """Every family that the data audit counts, in any set."""
        sets = readings.members(self.run.audit.get("counts") if self.run.audit else None)
        return list(dict.fromkeys(name for _, part in sets for name, _ in part.entries()))

    @property
    def leaked(self) -> list[str]:
        """Pairs of sets that must not overlap and do: any with a validation or an evaluation set."""
        overlaps = readings.members(self.run.audit.get("overlaps") if self.run.audit else None)
        return [
            pair
            for pair, entry in overlaps
            if ("evaluation" in pair or "validation" in pair) and any(entry.raw.values())
        ]

    @property
    def lineage(self) -> list[Link]:
        return readings.lineage(self.run)

    @property
    def packages(self) -> Traced | None:
        """The package versions of the stage made last."""
        stages = [entry for _, entry in self.run.stages.values()]
        return max(stages, key=lambda entry: entry["created"].raw)["packages"] if stages else None

    @property
    def scoring(self) -> list[ScoringRow]:
        """What each rule profile would say of the candidate."""
        return readings.scoring_rows(self.run)

    @property
    def further(self) -> list[tuple[str, Traced]]:
        """Parts of the comparison that no other place of the page shows."""
        if self.run.comparison is None:
            return []
        parts = [(name, part) for name, part in self.run.comparison.entries() if name not in KNOWN_PARTS]
        for verdict in self.verdicts:
            extra = [(name, part) for name, part in verdict.result.entries() if name not in KNOWN_RESULTS]
            parts += [
                (f"{name}, {verdict.candidate} against {verdict.baseline}", part) for name, part in extra
            ]
        return [
            (name.replace("_", " "), part) for name, part in parts if part and not isinstance(part.raw, str)
        ]

    @property
    def spreads(self) -> list[tuple[SpreadPlot, Markup]]:
        plots = spread_plots(self.run)
        return [(plot, Markup(themed_svg(spread_figure(plot), plot.title))) for plot in plots]

    @property
    def calibrations(self) -> list[tuple[CalibrationPlot, Markup]]:
        plots = calibration_plots(self.run)
        described = "Values against the measured truth"
        return [(plot, Markup(themed_svg(calibration_figure(plot), described))) for plot in plots]

    def _lasts(self, panel: Panel) -> list[tuple[str, Traced]]:
        log = self.run.sft if panel.stage == "sft" else self.run.rl
        found = [(line.label, log.last(line.metric)) for line in panel.lines] if log else []
        return [(label, last) for label, last in found if last is not None]
