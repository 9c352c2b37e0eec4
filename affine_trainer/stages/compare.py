"""Step 5: is the candidate better than each baseline, task by task, and by how much?"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import rich
from rich.console import Console

from affine_trainer.artifacts import read_manifest, stage_folder, write_atomic, write_json
from affine_trainer.config import Config
from affine_trainer.errors import DataError, StageError
from affine_trainer.report.folders import (
    BASELINES,
    CANDIDATE,
    check_distinct,
    comparison_folder,
    evaluation_folder,
)
from affine_trainer.report.front import front_sentence
from affine_trainer.report.gate import gate_sentence
from affine_trainer.report.pairing import Evaluation, read_evaluation
from affine_trainer.report.replay import replay
from affine_trainer.report.replay_table import replay_caption, replay_notes, replay_table
from affine_trainer.report.tables import comparison_markdown, comparison_table
from affine_trainer.report.verdict import SCHEMA_VERSION, compare_all
from affine_trainer.scoring import DEFAULT_SCORING, scorings_named
from affine_trainer.tracking import progress

READS = ("seed", "sampling")


def compare(
    config: Config,
    candidate: str = CANDIDATE,
    baselines: Sequence[str] = BASELINES,
    *,
    scoring: str = DEFAULT_SCORING.name,
    force: bool = False,
) -> Path:
    """Compare evaluated models; returns the folder, logs/{run}/compare for rl against base and sft.

    Each model is a label under logs/{run}/eval/ or a folder with evaluation.json and episodes.jsonl.
    Every scoring profile is replayed and written; `scoring` (a name, or "all") is what is shown.
    StageError when one is not evaluated, DataError when two do not hold the same tasks.
    """
    shown = {each.name: each for each in scorings_named(scoring)}
    check_distinct(candidate, baselines)
    folders = {label: evaluation_folder(config, label) for label in (candidate, *baselines)}
    inputs = {f"baseline {label}": folders[label] for label in baselines}
    inputs[f"candidate {candidate}"] = folders[candidate]
    console, path = rich.get_console(), comparison_folder(config, candidate, baselines)

    def read() -> list[Evaluation]:
        return [read_evaluation(folder, label) for label, folder in folders.items()]

    # Compared before the folder is opened: evaluations that do not fit together leave nothing behind.
    comparison = None
    if force or read_manifest(path) is None:
        mine, *others = read()
        with progress("compare", len(others) + 2, unit="steps") as bar:
            comparison = compare_all(mine, others, config.sampling, seed=config.seed, on_step=bar.advance)
    with stage_folder("compare", path, config, reads=READS, inputs=inputs, force=force) as folder:
        if comparison is None or folder.complete:
            console.print(f"compare: {path} is complete, nothing to do")
        else:
            write_json(path / "comparison.json", comparison)
            write_atomic(path / "comparison.md", comparison_markdown(comparison))
            folder.finish(_metrics(comparison))
        comparison = _written(path / "comparison.json")
    # The days between two profiles are not written, so they are replayed now.
    if extra := [each for name, each in shown.items() if name not in comparison["scoring"]]:
        mine, *others = read()
        comparison["scoring"] |= replay(mine, others, extra)
    _print(console, comparison, path, shown.keys())
    return path


def _written(path: Path) -> dict[str, Any]:
    """The comparison as it stands in the folder; of another version it is not understood."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is broken: redo the comparison with --force.") from error
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
        raise StageError(f"{path} was written by another version of affine: redo it with --force.")
    return found


def _metrics(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest repeats: verdict, gate and macro difference against each baseline."""
    return {
        label: {
            "verdict": result["verdict"],
            "standing": result["standing"],
            "regression_gate": result["regression_gate"]["passed"],
            **result["macro"],
        }
        for label, result in comparison["baselines"].items()
    }


def _print(console: Console, comparison: Mapping[str, Any], path: Path, scorings: Collection[str]) -> None:
    level = comparison["statistics"]["confidence_level"]

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for label, result in comparison["baselines"].items():
        console.print()
        console.print(comparison_table(comparison, label))
        say(result["sentence"])
        say(gate_sentence(result["regression_gate"], label, level))
    console.print()
    console.print(replay_table(comparison, scorings))
    for note in (replay_caption(comparison), *replay_notes(comparison, scorings)):
        say(note)
    say(front_sentence(comparison["front"]))
    if len(comparison["baselines"]) > 1:
        console.print()
        say(comparison["sentence"])
    console.print()
    for name in ("comparison.json", "comparison.md"):
        say(f"in {path / name}")
