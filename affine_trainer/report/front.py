"""The Pareto front of all compared models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from affine_trainer.config import SamplingConfig
from affine_trainer.errors import DataError
from affine_trainer.report.first_plays import first_plays
from affine_trainer.report.pairing import Evaluation
from affine_trainer.stats import pareto_front


def front_of(
    evaluations: Sequence[Evaluation], sampling: SamplingConfig, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """By label: whether the model is on the front as observed, and with what probability it truly is.

    Over the tasks that all models could grade; DataError where an environment has none. The evaluations
    must hold the same tasks, as `pair_evaluations` makes sure.
    """
    places = pareto_front(
        joint_successes(evaluations), sampling.epsilon, draws=sampling.bootstrap_samples, seed=seed
    )
    return {
        each.label: {"on_front": place.observed, "probability": place.probability}
        for each, place in zip(evaluations, places, strict=True)
    }


def joint_successes(evaluations: Sequence[Evaluation]) -> list[np.ndarray]:
    """Successes of shape (models, tasks), one array an environment in order of name."""
    plays = [first_plays(each) for each in evaluations]
    found = []
    for name in sorted(plays[0]):
        rows = [
            [grade.success for grade in grades if grade is not None]
            for key in plays[0][name]
            if all(grades := [each[name][key].grade for each in plays])
        ]
        if not rows:
            raise DataError(
                f"{name}: not one task was graded for all of {', '.join(e.label for e in evaluations)}; "
                "read the errors in their episodes.jsonl, then evaluate again."
            )
        found.append(np.array(rows).T)
    return found


def front_sentence(front: dict[str, dict[str, Any]]) -> str:
    """Who is on the front, and how sure that is of each model."""
    on = [label for label, place in front.items() if place["on_front"]]
    chances = ", ".join(f"{label} {place['probability']:.2f}" for label, place in front.items())
    return f"Pareto front as observed: {', '.join(on) or 'nobody'}; P(on the front): {chances}."
