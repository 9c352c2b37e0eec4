"""The whole comparison of a candidate with all baselines, as comparison.json holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from affine_trainer.config import SamplingConfig
from affine_trainer.report.comparison import compare_evaluations, listed
from affine_trainer.report.front import front_of
from affine_trainer.report.headline import headline
from affine_trainer.report.pairing import Evaluation
from affine_trainer.report.replay import replay
from affine_trainer.scoring import SCORINGS

SCHEMA_VERSION = 2


def compare_all(
    candidate: Evaluation,
    baselines: Sequence[Evaluation],
    sampling: SamplingConfig,
    *,
    seed: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Each baseline by itself, all on one Pareto front, and all under every scoring profile.

    `on_step` is called after each baseline, after the front and after the replay. DataError as
    `compare_evaluations` and `replay` say.
    """
    results = {}
    for each in baselines:
        results[each.label] = compare_evaluations(candidate, each, sampling, seed=seed)
        on_step()
    comparison: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "candidate": {"label": candidate.label, "folder": str(candidate.folder)},
        "statistics": {**sampling.model_dump(mode="json"), "seed": seed},
        "baselines": results,
    }
    comparison["front"] = front_of([candidate, *baselines], sampling, seed=seed)
    on_step()
    comparison["scoring"] = replay(candidate, baselines, SCORINGS.values())
    on_step()
    comparison["headline"] = headline(candidate.label, results, sampling.decision_probability)
    return {"sentence": overall_sentence(comparison), **comparison}


def overall_sentence(comparison: Mapping[str, Any]) -> str:
    """The one sentence over all baselines; with a single baseline, that one's own."""
    results = comparison["baselines"]
    if len(results) == 1:
        return next(iter(results.values()))["sentence"]
    candidate = comparison["candidate"]["label"]
    gates = [label for label, result in results.items() if not result["regression_gate"]["passed"]]
    place = comparison["front"][candidate]
    where = "on" if place["on_front"] else "not on"
    fails = f"; it fails the regression gate against {listed(gates)}" if gates else ""
    return (
        f"{comparison['headline']}; it is {where} the Pareto front of all {len(results) + 1} "
        f"(P = {place['probability']:.2f}){fails}."
    )
