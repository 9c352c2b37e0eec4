"""The plan: the chance to win under each profile, and how many more samples would settle the question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from affine_trainer.config import SamplingConfig
from affine_trainer.errors import DataError
from affine_trainer.report.first_plays import first_plays
from affine_trainer.report.pairing import Evaluation, pair_evaluations
from affine_trainer.report.replay import replay, validator_score
from affine_trainer.scoring import Scoring
from affine_trainer.scoring.planning import (
    MAX_FURTHER_SAMPLES,
    Evidence,
    chances,
    evidence,
    further_by_direction,
)
from affine_trainer.stats import PairedCounts, count_pairs, pareto_verdict

ORDERS = {"last": True, "first": False}  # whether the candidate is the later one


def plan_for(
    candidate: Evaluation,
    baseline: Evaluation,
    scorings: Sequence[Scoring],
    sampling: SamplingConfig,
    *,
    samples: int | None = None,
    seed: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Everything `affine plan` says, as JSON values; `on_step` is called after each profile and order.

    `samples` is what the validator takes of each model in every environment; without it, as many as were
    evaluated, but at least as many as the profile asks for. DataError as `pair_evaluations` says.
    """
    pair_evaluations(candidate, baseline)  # refuses what does not fit together
    names, tables, evidences = zip(*_environments(candidate, baseline), strict=True)
    own = pareto_verdict(tables, sampling.epsilon, sampling.decision_probability)
    replayed = replay(candidate, [baseline], scorings)
    rows = []
    for scoring in scorings:
        for order in ORDERS:
            found = _row(scoring, order, evidences, sampling, samples, seed)
            on_results = replayed[scoring.name]["orders"][order]
            rows.append(
                {
                    **found,
                    "on_these_results": on_results["against"][baseline.label]["verdict"],
                    "share_on_these_results": on_results["shares"][candidate.label],
                }
            )
            on_step()
    return {
        "candidate": candidate.label,
        "baseline": baseline.label,
        "samples_evaluated": dict(zip(names, (found.num_tasks for found in evidences), strict=True)),
        "decision_probability": sampling.decision_probability,
        "draws": sampling.bootstrap_samples,
        "seed": seed,
        "largest_number_tried": MAX_FURTHER_SAMPLES,
        "own_verdict": {
            "verdict": own.label,
            "probability_dominates": own.probabilities.dominates,
            "epsilon": sampling.epsilon,
            "further_samples": own.further_tasks,
        },
        "plans": rows,
    }


def _environments(
    candidate: Evaluation, baseline: Evaluation
) -> Iterator[tuple[str, PairedCounts, Evidence]]:
    """Name, paired table and paired scores of each environment, in order of name; one play a task.

    Tasks that were not graded for both are left out. DataError where none is left.
    """
    mine, theirs = first_plays(candidate), first_plays(baseline)
    for name in sorted(mine):
        both = {
            key: (first, second)
            for key, play in mine[name].items()
            if (first := play.grade) is not None and (second := theirs[name][key].grade) is not None
        }
        if not both:
            raise DataError(f"{name}: no task's first play was graded for both models; evaluate again.")
        scores = [[validator_score(each, key) for key in both] for each in (candidate, baseline)]
        successes = [[grades[place].success for grades in both.values()] for place in (0, 1)]
        yield name, count_pairs(*successes), evidence(*scores)


def _row(
    scoring: Scoring,
    order: str,
    evidences: Sequence[Evidence],
    sampling: SamplingConfig,
    samples: int | None,
    seed: int,
) -> dict[str, Any]:
    later, probability = ORDERS[order], sampling.decision_probability
    taken = [samples or max(found.num_tasks, scoring.min_samples) for found in evidences]
    chance = chances(
        scoring, evidences, taken, candidate_later=later, draws=sampling.bootstrap_samples, seed=seed
    )
    further = further_by_direction(
        scoring, evidences, candidate_later=later, probability=probability, seed=seed
    )
    return {
        "scoring": scoring.name,
        "since": scoring.since,
        "committed": order,
        "samples": {"fewest": min(taken), "most": max(taken)},
        "win": chance.win,
        "lose": chance.lose,
        "neither": chance.neither,
        "standard_error": chance.error,
        "further_samples": further,
    }
