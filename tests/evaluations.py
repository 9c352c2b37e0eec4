"""Evaluated models for tests: episodes with chosen outcomes, and the folders that an evaluation leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import stage_folder, write_json, write_jsonl
from affine_trainer.config import Config
from affine_trainer.records import Episode, Grade, Turn, sha256_of
from affine_trainer.report.episodes import episode_row, group_by_environment
from affine_trainer.report.summary import summarise

Outcome = bool | float | None  # success, a fractional score (success at 1), or not graded


def episode(
    key: str, outcome: Outcome = True, *, policy: str = "model", difficulty: float | None = None
) -> Episode:
    """One finished single-turn play of the task `key`."""
    grade = None if outcome is None else Grade(float(outcome), outcome >= 1, "as the test says")
    return Episode(
        task_key=key,
        content_sha256=sha256_of(key),
        policy=policy,
        turns=[Turn("", "x1=True", grade.reward if grade else 0.0, 4, {"parsed": 1})],
        grade=grade,
        stop_reason="terminated" if grade else "error",
        error=None if grade else "the grader was unreachable",
        num_prompt_tokens=30,
        num_completion_tokens=4,
        seconds=0.25,
        difficulty=difficulty,
    )


def episodes(outcomes: Mapping[str, Sequence[Outcome]]) -> list[Episode]:
    """Plays of tasks 0, 1, 2 ... of each `env@family`, with these outcomes."""
    return [
        episode(f"{name}/{index}", outcome)
        for name, results in outcomes.items()
        for index, outcome in enumerate(results)
    ]


def write_evaluation(
    folder: Path, plays: Sequence[Episode], config: Config, settings: Mapping[str, Any] | None = None
) -> Path:
    """A finished evaluation folder, manifest included."""
    with stage_folder("eval", folder, config, reads=("evaluation",), inputs={}) as stage:
        write_jsonl(folder / "episodes.jsonl", map(episode_row, plays))
        summary = summarise(group_by_environment(plays), config.sampling, settings=settings)
        write_json(folder / "evaluation.json", summary)
        stage.finish({})
    return folder
