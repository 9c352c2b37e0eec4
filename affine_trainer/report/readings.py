"""What a report reads out of a run's JSON: the rows behind its plots and tables, every number traced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affine_trainer.artifacts import Manifest
from affine_trainer.report.headline import headline as headline_of
from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.traced import Traced

UNSEEN = "unseen families"
# What each environment asks for, for a reader who meets its name for the first time.
ASKED = {
    "affine:sat": "satisfy a logical formula",
    "affine:abd": "find the input behind a program's output",
    "affine:ded": "write a program that passes hidden tests",
    "agentgym:babyai": "reach a goal in a grid world",
    "agentgym:sciworld": "do an experiment in a laboratory",
    "agentgym:textcraft": "craft an item by recipes",
    "agentgym:alfworld": "do a chore in a household",
    "agentgym:webshop": "find and buy what is asked for",
}
PLACES = {name: place for place, name in enumerate(ASKED)}


def place_of(environment: str) -> int:
    """Its place where environments are listed; somebody's own come last."""
    return PLACES.get(environment, len(PLACES))


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model in one environment."""

    label: str
    entry: Traced


@dataclass(frozen=True, slots=True)
class EnvironmentResults:
    """All models in one environment, and the policies that do not try."""

    name: str
    unseen: bool
    models: tuple[ModelResult, ...]
    floors: tuple[tuple[str, Traced], ...]

    @property
    def asked(self) -> str:
        """What it asks for, in a few words; nothing where it is somebody's own."""
        return ASKED.get(self.name, "")

    @property
    def errors(self) -> int:
        """Plays that could not be graded, of all models."""
        return sum(model.entry["errors"].raw for model in self.models)

    @property
    def spark(self) -> list[tuple[float, float, str]]:
        """A point a graded model in a box of 100 by 28: x by its place, y by its share of the best one's."""
        graded = [m for m in self.models if m.entry["accuracy"].raw is not None]
        best = max((m.entry["accuracy"].raw for m in graded), default=0.0) or 1.0
        step = 88 / max(len(graded) - 1, 1)
        return [
            (6 + step * n, 24 - 20 * m.entry["accuracy"].raw / best, m.label) for n, m in enumerate(graded)
        ]

    @property
    def below_floor(self) -> list[str]:
        """The models that solve no more than a policy that does not try, where that one solves anything."""
        floor = self.best_floor
        least = floor[1]["accuracy"].raw if floor else 0.0
        return [m.label for m in self.models if 0.0 < least >= (m.entry["accuracy"].raw or 0.0)]

    @property
    def best_floor(self) -> tuple[str, Traced] | None:
        """The trivial policy that solves most."""
        graded = [floor for floor in self.floors if floor[1]["accuracy"].raw is not None]
        return max(graded, key=lambda floor: floor[1]["accuracy"].raw, default=None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The candidate against one baseline: the comparison's own sentence and its entry."""

    candidate: str
    baseline: str
    result: Traced

    @property
    def everywhere(self) -> str:
        """The sentence's clause on dominance."""
        return str(self.result["sentence"]).partition("; ")[2].rstrip(".")

    @property
    def tone(self) -> str:
        """better, worse or level, as the macro interval lies to zero."""
        macro = self.result["macro"].raw
        return "better" if macro["lower"] > 0 else "worse" if macro["upper"] < 0 else "level"

    @property
    def rows(self) -> list[tuple[str, Traced]]:
        """Every environment, then the slices of unseen families, in the order of the models' own results."""
        slices = self.result.at("slices", "unseen_families")
        rows = sorted(self.result["per_environment"].entries(), key=lambda row: place_of(row[0]))
        extra = sorted(slices.entries() if slices else [], key=lambda row: place_of(row[0]))
        return [*rows, *((f"{name} ({UNSEEN})", entry) for name, entry in extra)]

    @property
    def reach(self) -> float:
        """The end of an axis, symmetrical around 0, that holds every environment's interval."""
        return axis_end(row for _, row in self.rows)

    @property
    def macro_reach(self) -> float:
        """The same for the macro interval alone."""
        return axis_end([self.result["macro"]])


@dataclass(frozen=True, slots=True)
class ScoringRow:
    """What one dated rule profile says of the candidate in one order of commitment, by baseline."""

    profile: str
    order: str
    against: dict[str, Traced]
    share: Traced | None


@dataclass(frozen=True, slots=True)
class Link:
    """One folder of the lineage; `intact` says whether each of its inputs is still as it was read."""

    folder: str
    manifest: Traced
    inputs: tuple[tuple[str, str, bool | None], ...]

    @property
    def machine(self) -> str:
        """What it was made on, in words."""
        device = self.manifest["device"].raw
        cores, isolation = device.get("cores"), device.get("isolation")
        parts = [device.get("name"), cores and f"{cores} cores", isolation and f"isolation {isolation}"]
        return ", ".join(part for part in parts if part)


def axis_end(entries: Iterable[Traced]) -> float:
    """The least multiple of 5 points that no interval of `entries` goes beyond."""
    ends = [abs(entry.raw[end]) for entry in entries for end in ("lower", "upper")]
    return max(0.05, math.ceil(max(ends, default=0.0) * 20 - 1e-9) / 20)


def environment_results(run: RunFiles) -> list[EnvironmentResults]:
    """Every environment that any model was evaluated in, unseen families last."""
    found = []
    for unseen in (False, True):
        parts = {label: _part(summary, unseen) for label, summary in run.evaluations.items()}
        names = dict.fromkeys(name for part in parts.values() for name in part)
        for name in sorted(names, key=place_of):
            models = tuple(ModelResult(label, part[name]) for label, part in parts.items() if name in part)
            floors = models[0].entry.get("trivial_policies")
            found.append(EnvironmentResults(name, unseen, models, tuple(floors.entries() if floors else ())))
    return found


def verdicts(run: RunFiles) -> list[Verdict]:
    """One verdict a baseline, in the comparison's order; none before `affine compare`."""
    if run.comparison is None:
        return []
    candidate = str(run.comparison["candidate"]["label"])
    return [Verdict(candidate, label, entry) for label, entry in run.comparison["baselines"].entries()]


def scoring_rows(run: RunFiles) -> list[ScoringRow]:
    """One row a profile, order and baseline; none where the comparison was not replayed under any profile."""
    replayed = run.comparison.get("scoring") if run.comparison else None
    if run.comparison is None or replayed is None:
        return []
    candidate = str(run.comparison["candidate"]["label"])
    orders = [
        (profile, order, found)
        for profile, entry in replayed.entries()
        for order, found in members(entry.get("orders"))
    ]
    return [
        ScoringRow(profile, order, dict(members(found.get("against"))), found.at("shares", candidate))
        for profile, order, found in orders
    ]


def members(item: Traced | None) -> list[tuple[str, Traced]]:
    """The members of an object that may be missing."""
    return item.entries() if item is not None else []


def headline(run: RunFiles) -> str:
    """All verdicts in one line, as `affine compare` has it; nothing before that."""
    if run.comparison is None:
        return ""
    candidate = str(run.comparison["candidate"]["label"])
    asked = float(run.comparison["statistics"]["decision_probability"].raw)
    return headline_of(candidate, run.comparison["baselines"].raw, asked)


def confidence_level(run: RunFiles) -> float:
    """Of the intervals, as the evaluations or the comparison say."""
    sources = [run.comparison, *run.evaluations.values()]
    return next(float(s["statistics"]["confidence_level"].raw) for s in sources if s is not None)


def lineage(run: RunFiles) -> list[Link]:
    """The folders of the run, each with its inputs as (name, path, still as read)."""
    digests = {folder: manifest.digest for folder, (manifest, _) in run.stages.items()}
    return [
        Link(folder, entry, tuple(_inputs(manifest, digests)))
        for folder, (manifest, entry) in run.stages.items()
    ]


def config_differences(runs: Sequence[RunFiles]) -> list[tuple[str, list[Any]]]:
    """Config keys that the runs' stages were made with different values of, with each run's value."""
    configs = [_configs(run) for run in runs]
    keys = sorted({key for config in configs for key in config} - {"run"})
    rows = [(key, [config.get(key, "–") for config in configs]) for key in keys]
    return [(key, values) for key, values in rows if any(value != values[0] for value in values)]


def best_models(run: RunFiles) -> Mapping[str, Traced]:
    """The macro success of each evaluated model."""
    found = {label: summary.at("success", "macro") for label, summary in run.evaluations.items()}
    return {label: macro for label, macro in found.items() if macro is not None}


def _part(summary: Traced, unseen: bool) -> dict[str, Traced]:
    part = summary.at("slices", "unseen_families") if unseen else summary["per_environment"]
    return dict(part.entries()) if part is not None else {}


def _inputs(manifest: Manifest, digests: Mapping[str, str]) -> list[tuple[str, str, bool | None]]:
    return [
        (name, item["path"], digests[item["path"]] == item["digest"] if item["path"] in digests else None)
        for name, item in manifest.inputs.items()
    ]


def _configs(run: RunFiles) -> dict[str, Any]:
    """The dotted config of a run; the last stage made decides where stages differ."""
    merged: dict[str, Any] = {}
    for manifest, _ in run.stages.values():
        merged.update(_flat(manifest.config))
    return merged


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    parts = [_flat(part, f"{prefix}.{name}".lstrip(".")) for name, part in value.items()]
    return {key: leaf for part in parts for key, leaf in part.items()}
