"""The same results replayed under every scoring profile, in either order of commitment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from affine_trainer.errors import DataError
from affine_trainer.report.first_plays import first_plays
from affine_trainer.report.pairing import Evaluation
from affine_trainer.scoring import (
    Scoring,
    Totals,
    decide,
    enough_samples,
    outcomes,
    required_samples,
    shares,
    totals,
)

VERDICTS = {1: "wins", -1: "loses", 0: "neither"}
TOO_FEW = "too few"


def replay(
    candidate: Evaluation, baselines: Sequence[Evaluation], scorings: Iterable[Scoring]
) -> dict[str, Any]:
    """What each profile says of the candidate, committed last and committed first, as JSON values.

    The baselines are taken to have committed in the order given. A `neither` is two models that share the
    frontier; `too few` two of which one is not eligible for want of samples. DataError where a score lies
    outside [0, 1]; the evaluations must hold the same tasks.
    """
    return {
        scoring.name: {
            "since": scoring.since,
            "orders": {
                "last": _order(scoring, candidate, [*baselines, candidate]),
                "first": _order(scoring, candidate, [candidate, *baselines]),
            },
        }
        for scoring in scorings
    }


def totals_of(evaluations: Sequence[Evaluation], *, shared_only: bool = False) -> list[Totals]:
    """Each model's totals, environments in order of name; one play a task, unseen families left out.

    With `shared_only`, tasks that some model could not grade are left out of all. DataError where a score
    lies outside [0, 1], naming file and line.
    """
    plays = [first_plays(each) for each in evaluations]
    shared = {
        key
        for name in plays[0]
        for key in plays[0][name]
        if all(each[name][key].grade is not None for each in plays)
    }
    found = []
    for evaluation, mine in zip(evaluations, plays, strict=True):
        scores = [
            [
                validator_score(evaluation, key)
                for key, play in mine[name].items()
                if play.grade is not None and (key in shared or not shared_only)
            ]
            for name in sorted(mine)
        ]
        wanted = [len(mine[name]) for name in sorted(mine)]
        found.append(totals([sum(each) for each in scores], [len(each) for each in scores], wanted))
    return found


def validator_score(evaluation: Evaluation, key: str) -> float:
    """The score of a graded task; DataError outside [0, 1]."""
    grade = evaluation.file.episodes[key].grade
    if grade is None or not 0.0 <= grade.reward <= 1.0:
        raise DataError(
            f"{evaluation.file.path}, line {evaluation.file.lines[key]}: the score of {key} is "
            f"{grade and grade.reward}, and a validator's score lies between 0 and 1: evaluate again."
        )
    return grade.reward


def _order(scoring: Scoring, candidate: Evaluation, models: Sequence[Evaluation]) -> dict[str, Any]:
    """One order of commitment, given as the order of `models`."""
    found = totals_of(models, shared_only=scoring.division == "champion")
    labels = [each.label for each in models]
    place = labels.index(candidate.label)
    divided = shares(scoring, found)
    names = sorted(candidate.plays(unseen=False))
    return {
        "commitment": labels,
        "against": {
            label: _against(scoring, found, place, other)
            for other, label in enumerate(labels)
            if other != place
        },
        "shares": {label: float(share) for label, share in zip(labels, divided, strict=True)},
        "unassigned": max(0.0, 1.0 - float(divided.sum())),
        "too_few_samples": _short(scoring, found, labels, names),
    }


def _against(scoring: Scoring, found: Sequence[Totals], place: int, other: int) -> dict[str, Any]:
    later, earlier = found[max(place, other)], found[min(place, other)]
    is_later = place > other
    flags = outcomes(scoring, later, earlier)
    mine, theirs = (
        (flags.later_ahead, flags.earlier_ahead) if is_later else (flags.earlier_ahead, flags.later_ahead)
    )
    decided = int(decide(scoring, later, earlier)) * (1 if is_later else -1)
    unready = not enough_samples(scoring, np.stack([later.counts, earlier.counts])).any()
    return {
        "verdict": TOO_FEW if unready else VERDICTS[decided],
        "environments_ahead": int(mine.sum()),
        "environments_behind": int(theirs.sum()),
    }


def _short(
    scoring: Scoring, found: Sequence[Totals], labels: Sequence[str], names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Samples that a model lacks to be eligible, by model and environment; empty where nothing is lacking."""
    counts = np.stack([each.counts for each in found])
    missing = np.ceil(np.maximum(0.0, required_samples(scoring, counts) - counts)).astype(int)
    return {
        label: {name: int(lack) for name, lack in zip(names, row, strict=True) if lack}
        for label, row in zip(labels, missing, strict=True)
        if row.any()
    }
