"""The card of an exported model: facts out of manifests, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from affine_trainer import __version__

LIBRARIES = ("torch", "transformers", "trl", "peft")


class Written(Protocol):
    """What was written into the folder."""

    @property
    def base(self) -> str | None: ...
    @property
    def dtype(self) -> str: ...
    @property
    def num_parameters(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A finished evaluation: its folder, when it was made (UTC), and evaluation.json."""

    folder: str
    created: str
    summary: Mapping[str, Any]


def model_card(
    label: str, written: Written, made: Mapping[str, Any] | None, evaluations: Sequence[Evaluated]
) -> str:
    """README.md of an export. `made` is what the manifest of the model's folder says, if it has one."""
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "---",
        "",
        f"# {label}",
        "",
    ]
    lines += ["| fact | value |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in _facts(written, made)]
    if made and (metrics := _numbers(made["metrics"])):
        lines += ["", f"## What `affine {made['stage']}` measured", "", "| metric | value |", "| --- | --- |"]
        lines += [f"| {name} | {value:.6g} |" for name, value in metrics]
    for evaluation in evaluations:
        lines += ["", *_evaluation(evaluation)]
    return "\n".join([*lines, ""])


def _facts(written: Written, made: Mapping[str, Any] | None) -> Iterator[tuple[str, object]]:
    yield "parameters", f"{written.num_parameters:,}"
    yield "stored in", written.dtype
    if written.base:
        # A folder of the machine it was made on tells nobody anything.
        yield "merged into", Path(written.base).name if Path(written.base).is_dir() else written.base
    yield "exported by", f"affine {__version__}"
    if made is None:
        return
    yield "trained by", f"affine {made['stage']}, {made['created']}, seed {made['seed']}"
    if made["git_commit"]:
        yield "git commit", made["git_commit"]
    versions = [f"{name} {made['packages'][name]}" for name in LIBRARIES if name in made["packages"]]
    yield "with", ", ".join(versions)


def _numbers(metrics: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [
        (name, value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


def _evaluation(evaluation: Evaluated) -> Iterator[str]:
    summary = evaluation.summary
    level = f"{100 * summary['statistics']['confidence_level']:g} %"
    yield f"## Evaluation of {evaluation.created}"
    yield ""
    yield f"Success on fixed tasks, with Jeffreys intervals ({level}), under the rules {_rules(summary)}."
    yield ""
    yield "| environment | tasks | success | interval |"
    yield "| --- | --- | --- | --- |"
    for name, result in summary["per_environment"].items():
        interval = result["confidence_interval"]
        yield (
            f"| {name} | {result['num_samples']:,} | {100 * result['accuracy']:.1f} % | "
            f"{100 * interval['lower']:.1f} to {100 * interval['upper']:.1f} % |"
        )


def _rules(summary: Mapping[str, Any]) -> str:
    return str((summary.get("settings") or {}).get("rules", "unknown"))
