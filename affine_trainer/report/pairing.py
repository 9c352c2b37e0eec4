"""Two evaluations joined task by task; whatever does not fit together is refused by file and line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affine_trainer.errors import DataError
from affine_trainer.records import Episode, Grade
from affine_trainer.report.episodes import EpisodeFile, environment_of, is_unseen, read_episode_file

_SAME_TASKS = "evaluate both with the same data and evaluation settings"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluated model: its label, its evaluation.json and its episodes."""

    label: str
    folder: Path
    summary: dict[str, Any]
    file: EpisodeFile

    def plays(self, *, unseen: bool) -> dict[str, dict[str, Episode]]:
        """Episodes by environment and key; `unseen` picks the families kept out of training."""
        groups: dict[str, dict[str, Episode]] = {}
        for key, episode in self.file.episodes.items():
            if is_unseen(key) == unseen:
                groups.setdefault(environment_of(key), {})[key] = episode
        return groups


@dataclass(slots=True)
class Pairs:
    """One environment's tasks that both could grade, in one order; `excluded` counts the others.

    Where tasks have several samples, successes and scores are a task's means over the samples that both could
    grade. The first of these samples stand alone as well, since a paired table counts unrelated plays.
    """

    candidate_success: list[float] = field(default_factory=list)
    baseline_success: list[float] = field(default_factory=list)
    candidate_score: list[float] = field(default_factory=list)
    baseline_score: list[float] = field(default_factory=list)
    candidate_first: list[bool] = field(default_factory=list)
    baseline_first: list[bool] = field(default_factory=list)
    excluded: int = 0


def read_evaluation(folder: Path, label: str) -> Evaluation:
    """Read `folder`'s evaluation.json and episodes.jsonl.

    DataError where one is missing, broken or holds NaN, or where the two do not belong together.
    """
    summary = _read_summary(folder / "evaluation.json")
    evaluation = Evaluation(label, folder, summary, read_episode_file(folder / "episodes.jsonl"))
    _check_counts(evaluation)
    return evaluation


def pair_evaluations(
    candidate: Evaluation, baseline: Evaluation, *, unseen: bool = False
) -> dict[str, Pairs]:
    """The pairs of every environment, sorted by name.

    Both must hold the same environments and tasks, with the same contents and as many samples of each, and be
    graded by the same rules; DataError otherwise, and where no task of an environment was graded for both.
    """
    _check_rules(candidate, baseline)
    _check_samples(candidate, baseline)
    mine, theirs = candidate.plays(unseen=unseen), baseline.plays(unseen=unseen)
    _check_environments(candidate, baseline, mine, theirs)
    pairs = {}
    for name in sorted(mine):
        _check_tasks(candidate, baseline, name, mine[name], theirs[name])
        pairs[name] = _pairs(mine[name], theirs[name])
        if not pairs[name].candidate_success:
            raise DataError(
                f"{name}: not one task was graded in both {candidate.file.path} and {baseline.file.path}; "
                "read the errors in these files, then evaluate again."
            )
    return pairs


def setting_differences(candidate: Evaluation, baseline: Evaluation) -> dict[str, list[Any]]:
    """Evaluation settings that differ, as {name: [candidate's, baseline's]}."""
    mine, theirs = (evaluation.summary.get("settings") or {} for evaluation in (candidate, baseline))
    return {
        name: [mine.get(name), theirs.get(name)]
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    }


def _pairs(mine: Mapping[str, Episode], theirs: Mapping[str, Episode]) -> Pairs:
    tasks: dict[str, list[tuple[Grade, Grade]]] = {}
    for key, episode in mine.items():
        both = tasks.setdefault(episode.task_key, [])
        first, second = episode.grade, theirs[key].grade
        if first is not None and second is not None:
            both.append((first, second))
    pairs = Pairs(excluded=sum(not both for both in tasks.values()))
    for both in filter(None, tasks.values()):
        first, second = both[0]
        pairs.candidate_first.append(first.success)
        pairs.baseline_first.append(second.success)
        pairs.candidate_success.append(_mean([grade.success for grade, _ in both]))
        pairs.baseline_success.append(_mean([grade.success for _, grade in both]))
        pairs.candidate_score.append(_mean([grade.reward for grade, _ in both]))
        pairs.baseline_score.append(_mean([grade.reward for _, grade in both]))
    return pairs


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path} does not exist: run `affine eval` first, or name another folder.")

    def refuse(constant: str) -> None:
        raise DataError(f"{path}: {constant} is not a number; evaluate again.")

    try:
        summary = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start + 1}).") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not valid JSON ({error.msg}); evaluate again."
        ) from error
    if not isinstance(summary, dict) or not isinstance(summary.get("per_environment"), dict):
        raise DataError(f"{path}: not an evaluation, as it has no per_environment.")
    if not isinstance(summary.get("settings") or {}, dict):
        raise DataError(f"{path}: settings is not an object; evaluate again.")
    return summary


def _check_counts(evaluation: Evaluation) -> None:
    """The summary counts as many graded tasks as its episodes; a file cut between two lines is seen here."""
    plays = evaluation.plays(unseen=False)
    expected = evaluation.summary["per_environment"]
    for name in sorted(plays.keys() | expected.keys()):
        entry = expected.get(name)
        counted = entry.get("num_samples") if isinstance(entry, dict) else 0
        graded = sum(episode.grade is not None for episode in plays.get(name, {}).values())
        if counted != graded:
            raise DataError(
                f"{evaluation.folder}: evaluation.json counts {counted} graded tasks of {name}, "
                f"episodes.jsonl holds {graded}; evaluate again."
            )


def _check_rules(candidate: Evaluation, baseline: Evaluation) -> None:
    if rules := setting_differences(candidate, baseline).get("rules"):
        raise DataError(
            f"{candidate.label} was graded by the rules {rules[0]}, {baseline.label} by {rules[1]}: "
            "evaluate both by the same rules."
        )


def _check_samples(candidate: Evaluation, baseline: Evaluation) -> None:
    mine, theirs = (
        1 + max((episode.sample for episode in evaluation.file.episodes.values()), default=0)
        for evaluation in (candidate, baseline)
    )
    if mine != theirs:
        raise DataError(
            f"{candidate.label} was evaluated with {mine} samples a task, {baseline.label} with {theirs}: "
            "evaluate both with the same evaluation.samples_per_task."
        )


def _check_environments(
    candidate: Evaluation, baseline: Evaluation, mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
    for has, lacks, missing in (
        (candidate, baseline, mine.keys() - theirs.keys()),
        (baseline, candidate, theirs.keys() - mine.keys()),
    ):
        if missing:
            raise DataError(
                f"{lacks.file.path} has no episode of {', '.join(sorted(missing))}, "
                f"which {has.file.path} holds: {_SAME_TASKS}."
            )


def _check_tasks(
    candidate: Evaluation,
    baseline: Evaluation,
    environment: str,
    mine: Mapping[str, Episode],
    theirs: Mapping[str, Episode],
) -> None:
    for has, lacks, missing in (
        (candidate, baseline, mine.keys() - theirs.keys()),
        (baseline, candidate, theirs.keys() - mine.keys()),
    ):
        if missing:
            line, first = min((has.file.lines[key], key) for key in missing)
            raise DataError(
                f"{environment}: {lacks.file.path} lacks {len(missing)} of the tasks in {has.file.path}, "
                f"the first {first} (line {line}): {_SAME_TASKS}."
            )
    for key, episode in mine.items():
        if episode.content_sha256 != theirs[key].content_sha256:
            raise DataError(
                f"Task {key} is not the same problem in {candidate.file.path}, line "
                f"{candidate.file.lines[key]}, and {baseline.file.path}, line {baseline.file.lines[key]}: "
                f"{_SAME_TASKS}."
            )
