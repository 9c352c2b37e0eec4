"""What a run left on disk, read for a report: what is missing is left out, what is broken is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import Manifest, read_jsonl, read_manifest
from affine_trainer.errors import DataError, StageError
from affine_trainer.report.traced import Traced, traced

TRAINED = ("sft_final", "rl_best", "rl_final")
NOT_A_MODEL = "trivial"  # the folder of the policies that do not try, beside those of the models


@dataclass(frozen=True, slots=True)
class EventLog:
    """The events of one stage; `path` is its events.jsonl."""

    path: Path
    events: tuple[dict[str, Any], ...]

    def series(self, metric: str) -> tuple[list[int], list[float]]:
        """Steps and values of a metric, where it was logged as a finite number."""
        found = [(e["step"], e[metric]) for e in self.events if isinstance(e.get(metric), (int, float))]
        return [step for step, _ in found], [float(value) for _, value in found]

    def total(self, metric: str) -> Traced | None:
        """The sum of a metric over all events, traced as `FILE#sum:METRIC`."""
        _, values = self.series(metric)
        return Traced(sum(values), f"{self.path.as_posix()}#sum:{metric}") if values else None

    def last(self, metric: str) -> Traced | None:
        """The last value of a metric, traced as `FILE#last:METRIC`."""
        _, values = self.series(metric)
        return Traced(values[-1], f"{self.path.as_posix()}#last:{metric}") if values else None


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Everything a report shows of one run; None or empty where the run has not got that far.

    `evaluations` and `episodes` are by model label, `stages` the manifests by folder, in the order of the
    pipeline, `diagnostics` by the weights they were made with.
    """

    name: str
    comparison: Traced | None
    evaluations: dict[str, Traced]
    episodes: dict[str, Path]
    sft: EventLog | None
    rl: EventLog | None
    audit: Traced | None
    leaks: Traced | None
    stages: dict[str, tuple[Manifest, Traced]]
    plan: Traced | None
    diagnostics: dict[str, Traced]


def read_run(name: str) -> RunFiles:
    """Read logs/{name}, data/{name} and models/{name}.

    StageError where there is nothing at all or no stage got anywhere, DataError where a file is broken.
    """
    logs, data = Path("logs", name), Path("data", name)
    if not any(folder.is_dir() for folder in (logs, data, Path("models", name))):
        raise StageError(
            f"there is no run {name!r} here (no {logs}): name another, or start one with `affine run`."
        )
    comparison = _json(logs / "compare" / "comparison.json")
    folders = _evaluated(logs, comparison)
    found = RunFiles(
        name=name,
        comparison=comparison,
        evaluations={label: _evaluation(folder) for label, folder in folders.items()},
        episodes={
            label: folder / "episodes.jsonl"
            for label, folder in folders.items()
            if (folder / "episodes.jsonl").is_file()
        },
        sft=_events(logs / "sft" / "events.jsonl"),
        rl=_events(logs / "rl" / "events.jsonl"),
        audit=_json(data / "audit.json"),
        leaks=_json(logs / "audit" / "audit.json"),
        stages=_stages(name, folders),
        plan=_json(logs / "plan" / "plan.json"),
        diagnostics=_diagnoses(logs / "diagnostics"),
    )
    if not any(getattr(found, each.name) for each in fields(found) if each.name != "name"):
        raise StageError(
            f"run {name!r} has no finished stage yet, so nothing to report: go on with `affine run`."
        )
    return found


def read_experiments(root: Path = Path("logs", "experiments")) -> dict[str, dict[str, Traced]]:
    """The JSON files of every experiment, by its name and theirs; empty where there is none."""
    folders = sorted(path for path in root.glob("*") if path.is_dir()) if root.is_dir() else []
    return {folder.name: found for folder in folders if (found := _all_json(folder))}


def _evaluated(logs: Path, comparison: Traced | None) -> dict[str, Path]:
    """The evaluation folders by label: those of the run, and those that its comparison brought along."""
    own = sorted(path.parent for path in (logs / "eval").glob("*/evaluation.json"))
    order = {"base": 0, "sft": 1, "rl": 2}
    folders = {path.name: path for path in sorted(own, key=lambda p: (order.get(p.name, 3), p.name))}
    folders.pop(NOT_A_MODEL, None)
    if comparison is not None:
        named = [(label, result.get("folder")) for label, result in comparison["baselines"].entries()]
        candidate = comparison["candidate"]
        named.append((str(candidate["label"]), candidate.get("folder")))
        known = {folder.resolve() for folder in folders.values()}
        for label, folder in named:
            path = Path(str(folder)) if folder else None
            if path and (path / "evaluation.json").is_file() and path.resolve() not in known:
                folders[label] = path
    return folders


def _evaluation(folder: Path) -> Traced:
    found = _json(folder / "evaluation.json")
    if found is None or not isinstance(found.raw.get("per_environment"), dict):
        raise DataError(f"{folder / 'evaluation.json'}: not an evaluation; run `affine eval` again.")
    return found


def _stages(name: str, folders: dict[str, Path]) -> dict[str, tuple[Manifest, Traced]]:
    logs = Path("logs", name)
    paths = [
        Path("data", name),
        *(Path("models", name, leaf) for leaf in TRAINED),
        *folders.values(),
        *(logs / leaf for leaf in ("compare", "audit", "plan")),
    ]
    found = {}
    for path in paths:
        if (manifest := read_manifest(path)) is not None:
            found[path.as_posix()] = (manifest, traced(asdict(manifest), (path / "manifest.json").as_posix()))
    return found


def _events(path: Path) -> EventLog | None:
    begun = path.is_file() and path.stat().st_size > 0
    return EventLog(path, tuple(read_jsonl(path, ("step",)))) if begun else None


def _all_json(folder: Path) -> dict[str, Traced]:
    paths = [path for path in sorted(folder.glob("*.json")) if path.name != "manifest.json"]
    return {path.stem: found for path in paths if (found := _json(path)) is not None}


def _diagnoses(folder: Path) -> dict[str, Traced]:
    paths = sorted(folder.glob("*/diagnostics.json"))
    return {path.parent.name: found for path in paths if (found := _json(path)) is not None}


def _json(path: Path) -> Traced | None:
    if not path.is_file():
        return None
    try:
        return traced(json.loads(path.read_text(encoding="utf-8")), path.as_posix())
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start + 1}).") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from error
