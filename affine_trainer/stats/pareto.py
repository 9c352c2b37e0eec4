"""Pareto dominance between two models over several environments, judged from paired posteriors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betainc, betaincinv, ndtr

from affine_trainer.stats.paired import PairedCounts

VerdictLabel = Literal["dominates", "dominated", "incomparable", "undecided"]

# Jeffreys' prior on the four cells of the paired table; the two concordant cells only ever enter as a sum.
_PRIOR = (0.5, 0.5, 1.0)
_NODES = 64  # of the integral over the share of discordant tasks; a test bounds its error


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


def gap_tails(
    only_candidate: np.ndarray, only_baseline: np.ndarray, num_pairs: np.ndarray, epsilon: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """P(true difference > epsilon) and P(< -epsilon) of each paired table, from arrays of equal shape.

    Under the posterior of `posterior_differences`, the difference is D (2S - 1), where the discordant share D
    and the candidate's share S of it are independent Betas: a Beta tail of S, averaged over D by a
    quadrature on D's quantiles. Exact at epsilon 0.
    """
    mine, theirs = _PRIOR[0] + only_candidate, _PRIOR[1] + only_baseline
    same = _PRIOR[2] + num_pairs - only_candidate - only_baseline
    levels, weights = _quantile_nodes(_NODES if epsilon > 0.0 else 1)
    discordant = betaincinv((mine + theirs)[..., None], same[..., None], levels)
    edge = np.minimum(1.0, 0.5 + 0.5 * epsilon / np.maximum(discordant, 1e-300))
    better = betainc(theirs[..., None], mine[..., None], 1.0 - edge) @ weights
    worse = betainc(mine[..., None], theirs[..., None], 1.0 - edge) @ weights
    return better, worse


def probabilities_of_gap(table: PairedCounts, epsilon: float = 0.0) -> tuple[float, float]:
    """P(the candidate is truly better by more than epsilon) and P(worse by more), from one paired table."""
    counts = (table.only_candidate, table.only_baseline, table.num_pairs)
    better, worse = gap_tails(*(np.array(count) for count in counts), epsilon)
    return float(better), float(worse)


def _quantile_nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels in (0, 1), closer together towards the ends, and their weights, which sum to 1."""
    step = (np.arange(count) + 0.5) / count
    weights = step * (1.0 - step)
    return step * step * (3.0 - 2.0 * step), weights / weights.sum()


def dominance_of_tails(better: np.ndarray, worse: np.ndarray) -> np.ndarray:
    """The four probabilities of `Dominance`, in its order, shape (4, ...), from tails of shape (..., envs).

    Environments are independent, as no task is shared.
    """
    not_worse, not_better = np.prod(1.0 - worse, axis=-1), np.prod(1.0 - better, axis=-1)
    equivalent = np.prod(np.maximum(0.0, 1.0 - better - worse), axis=-1)
    dominates = np.maximum(0.0, not_worse - equivalent)
    dominated = np.maximum(0.0, not_better - equivalent)
    incomparable = np.maximum(0.0, 1.0 - dominates - dominated - equivalent)
    return np.stack([dominates, dominated, incomparable, equivalent])


def dominance(tables: Sequence[PairedCounts], epsilon: float = 0.0) -> Dominance:
    """Probabilities of each relation between the two models of the paired tables, one an environment."""
    if not tables:
        raise ValueError("dominance needs at least one environment")
    mine, theirs, total = np.array([[t.only_candidate, t.only_baseline, t.num_pairs] for t in tables]).T
    return Dominance(*map(float, dominance_of_tails(*gap_tails(mine, theirs, total, epsilon))))


def pareto_verdict(
    tables: Sequence[PairedCounts],
    epsilon: float = 0.0,
    decision_probability: float = 0.9,
) -> Verdict:
    """The relation that has at least `decision_probability`, else "undecided" with a plan.

    Equivalence within epsilon counts towards "incomparable": either way, neither model dominates.
    """
    probabilities = dominance(tables, epsilon)
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
    return Dominance(*map(float, dominance_of_tails(np.array(better), np.array(worse))))


def _label(probabilities: Dominance, decision_probability: float) -> VerdictLabel:
    if probabilities.dominates >= decision_probability:
        return "dominates"
    if probabilities.dominated >= decision_probability:
        return "dominated"
    if probabilities.incomparable + probabilities.equivalent >= decision_probability:
        return "incomparable"
    return "undecided"
