"""Pareto dominance between two models over several environments, judged from paired posteriors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from affine_trainer.stats.paired import PairedCounts

VerdictLabel = Literal["dominates", "dominated", "incomparable", "undecided"]

# Jeffreys' prior on the four cells of the paired table; the two concordant cells only ever enter as a sum.
_PRIOR = (0.5, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Dominance:
    """Posterior probabilities of the four ways two models can relate; they sum to 1.

    `dominates`: the candidate is better by more than epsilon somewhere and worse by more than epsilon
    nowhere; `dominated`: the reverse; `incomparable`: each is better somewhere; `equivalent`: no
    environment differs by more than epsilon (0 when epsilon is 0).
    """

    dominates: float
    dominated: float
    incomparable: float
    equivalent: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The label, the probabilities behind it, and what would settle an undecided one.

    `further_tasks`: about how many more tasks an environment; None when the verdict stands, or when no
    number up to the planner's limit would be enough.
    """

    label: VerdictLabel
    probabilities: Dominance
    further_tasks: int | None


def posterior_differences(
    tables: Sequence[PairedCounts], *, draws: int = 10_000, seed: int = 0
) -> list[np.ndarray]:
    """Draws of the true difference in success rate, one array of shape (draws,) an environment.

    A Dirichlet posterior on (only the candidate, only the baseline, no difference); given that a task is
    discordant, the candidate's share of it is then Beta(.5 + n01, .5 + n10), in line with McNemar's test.
    """
    generator = np.random.default_rng(seed)
    shares = [generator.dirichlet(_posterior(table), size=draws) for table in tables]
    return [share[:, 0] - share[:, 1] for share in shares]


def dominance(
    tables: Sequence[PairedCounts], epsilon: float = 0.0, *, draws: int = 10_000, seed: int = 0
) -> Dominance:
    """Probabilities of each relation, from `draws` seeded posterior draws in every environment."""
    gaps = posterior_differences(tables, draws=draws, seed=seed)
    return _combine(
        [float(np.mean(gap > epsilon)) for gap in gaps], [float(np.mean(gap < -epsilon)) for gap in gaps]
    )


def pareto_verdict(
    tables: Sequence[PairedCounts],
    epsilon: float = 0.0,
    decision_probability: float = 0.9,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> Verdict:
    """The relation that has at least `decision_probability`, else "undecided" with a plan.

    Equivalence within epsilon counts towards "incomparable": either way, neither model dominates.
    """
    probabilities = dominance(tables, epsilon, draws=draws, seed=seed)
    label = _label(probabilities, decision_probability)
    plan = further_tasks(tables, epsilon, decision_probability) if label == "undecided" else None
    return Verdict(label, probabilities, plan)


def further_tasks(
    tables: Sequence[PairedCounts],
    epsilon: float = 0.0,
    decision_probability: float = 0.9,
    limit: int = 1_000_000,
) -> int | None:
    """About how many more tasks in every environment would settle the verdict, were the rates to stay.

    The posterior is grown by tasks in the observed proportions and taken as normal. None above `limit`.
    """

    def settled(extra: int) -> bool:
        grown = _grown_probabilities(tables, epsilon, extra)
        return _label(grown, decision_probability) != "undecided"

    high = 1
    while not settled(high):
        high *= 2
        if high > limit:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high


def _posterior(counts: PairedCounts) -> tuple[float, float, float]:
    concordant = counts.both + counts.neither
    return (
        _PRIOR[0] + counts.only_candidate,
        _PRIOR[1] + counts.only_baseline,
        _PRIOR[2] + concordant,
    )


def _grown_probabilities(tables: Sequence[PairedCounts], epsilon: float, extra: int) -> Dominance:
    better, worse = [], []
    for table in tables:
        growth = 1.0 + extra / max(1, table.num_pairs)
        mine, theirs, same = (
            prior + growth * (cell - prior) for prior, cell in zip(_PRIOR, _posterior(table), strict=True)
        )
        total = mine + theirs + same
        mean = (mine - theirs) / total
        deviation = math.sqrt(((mine + theirs) / total - mean * mean) / (total + 1.0))
        better.append(float(ndtr((mean - epsilon) / deviation)))
        worse.append(float(ndtr((-epsilon - mean) / deviation)))
    return _combine(better, worse)


def _combine(better: Sequence[float], worse: Sequence[float]) -> Dominance:
    """Joint probabilities from each environment's own: no task is shared, so they are independent."""
    if not better:
        raise ValueError("dominance needs at least one environment")
    not_worse = math.prod(1.0 - share for share in worse)
    not_better = math.prod(1.0 - share for share in better)
    equivalent = math.prod(max(0.0, 1.0 - b - w) for b, w in zip(better, worse, strict=True))
    dominates = max(0.0, not_worse - equivalent)
    dominated = max(0.0, not_better - equivalent)
    incomparable = max(0.0, 1.0 - dominates - dominated - equivalent)
    return Dominance(dominates, dominated, incomparable, equivalent)


def _label(probabilities: Dominance, decision_probability: float) -> VerdictLabel:
    if probabilities.dominates >= decision_probability:
        return "dominates"
    if probabilities.dominated >= decision_probability:
        return "dominated"
    if probabilities.incomparable + probabilities.equivalent >= decision_probability:
        return "incomparable"
    return "undecided"
