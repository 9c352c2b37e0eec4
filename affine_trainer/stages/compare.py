"""Step 5: is the candidate better than each baseline, task by task, and by how much?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from affine_trainer.artifacts import log_dir, read_manifest, require, stage_folder, write_atomic, write_json
from affine_trainer.config import Config
from affine_trainer.errors import StageError
from affine_trainer.policies.model_names import model_label
from affine_trainer.report.comparison import compare_evaluations
from affine_trainer.report.pairing import Evaluation, read_evaluation
from affine_trainer.report.tables import comparison_markdown, comparison_table

SCHEMA_VERSION = 1


def compare(
    config: Config, candidate: str = "rl", baselines: Sequence[str] = ("base", "sft"), *, force: bool = False
) -> Path:
    """Compare evaluated models and write logs/{run}/compare; returns that folder.

    Each model is a label under logs/{run}/eval/ or a folder with evaluation.json and episodes.jsonl.
    StageError when one is not evaluated, DataError when two do not hold the same tasks.
    """
    _check_distinct(candidate, baselines)
    folders = {label: evaluation_folder(config, label) for label in (candidate, *baselines)}
    inputs = {f"baseline {label}": folders[label] for label in baselines}
    inputs[f"candidate {candidate}"] = folders[candidate]
    console, path = Console(), log_dir(config, "compare")
    # Compared before the folder is opened: evaluations that do not fit together leave nothing behind.
    comparison = None
    if force or read_manifest(path) is None:
        comparison = _compare(config, read_evaluation(folders[candidate], candidate), folders, baselines)
    with stage_folder(
        "compare", path, config, reads=("seed", "sampling"), inputs=inputs, force=force
    ) as folder:
        if comparison is None or folder.complete:
            console.print(f"compare: {path} is complete, nothing to do")
        else:
            write_json(path / "comparison.json", comparison)
            write_atomic(path / "comparison.md", comparison_markdown(comparison))
            folder.finish(_metrics(comparison))
        _print(console, json.loads((path / "comparison.json").read_bytes()), path)
    return path


def evaluation_folder(config: Config, label: str) -> Path:
    """The finished evaluation that `label` means: a model evaluated in this run, else a folder brought along.

    StageError with the command to run where there is neither.
    """
    own, brought = log_dir(config, "eval", model_label(label)), Path(label)
    command = f"affine eval --model {label}"
    if (brought / "evaluation.json").is_file() and ("/" in label or not own.is_dir()):
        if read_manifest(brought) is not None:  # without one, it is judged by its contents alone
            require(brought, "eval", command)
        return brought
    require(own, "eval", command)
    return own


def _check_distinct(candidate: str, baselines: Sequence[str]) -> None:
    if not baselines:
        raise StageError("There is nothing to compare with: name at least one baseline.")
    labels = [candidate, *baselines]
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise StageError(f"{', '.join(repeated)} is named twice: compare different models.")


def _compare(
    config: Config, candidate: Evaluation, folders: Mapping[str, Path], baselines: Sequence[str]
) -> dict[str, Any]:
    sampling = config.sampling
    return {
        "schema_version": SCHEMA_VERSION,
        "candidate": {"label": candidate.label, "folder": str(candidate.folder)},
        "statistics": {**sampling.model_dump(mode="json"), "seed": config.seed},
        "baselines": {
            label: compare_evaluations(
                candidate, read_evaluation(folders[label], label), sampling, seed=config.seed
            )
            for label in baselines
        },
    }


def _metrics(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest repeats: verdict and macro difference against each baseline."""
    return {
        label: {"verdict": result["verdict"], **result["macro"]}
        for label, result in comparison["baselines"].items()
    }


def _print(console: Console, comparison: Mapping[str, Any], path: Path) -> None:
    for label, result in comparison["baselines"].items():
        console.print()
        console.print(comparison_table(comparison, label))
        console.print(result["sentence"], markup=False, highlight=False, soft_wrap=True)
    console.print()
    for name in ("comparison.json", "comparison.md"):
        console.print(f"in {path / name}", markup=False, highlight=False, soft_wrap=True)
