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
LABELS: tuple[VerdictLabel, ...] = ("dominates", "dominated", "incomparable", "undecided")

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

    `further_tasks`: about how many more tasks an environment; None when the verdict stands, when
    dominance is practically excluded, or when no number up to the planner's limit would be enough.
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
    better, worse = _tails([table], epsilon)
    return float(better[0]), float(worse[0])


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
    return Dominance(*map(float, dominance_of_tails(*_tails(tables, epsilon))))


def pareto_verdict(
    tables: Sequence[PairedCounts],
    epsilon: float = 0.0,
    decision_probability: float = 0.9,
) -> Verdict:
    """The verdict on the paired tables, one an environment, with a plan where it is undecided
    and dominance is not practically excluded.

    As `verdict_labels` says; equivalence within epsilon is "incomparable" too: neither model dominates.
    """
    better, worse = _tails(tables, epsilon)
    label = LABELS[int(verdict_labels(better, worse, decision_probability))]
    found = Dominance(*map(float, dominance_of_tails(better, worse)))
    is_open = label == "undecided" and found.dominates >= 1.0 - decision_probability
    return Verdict(label, found, further_tasks(tables, epsilon, decision_probability) if is_open else None)


def verdict_labels(better: np.ndarray, worse: np.ndarray, decision_probability: float) -> np.ndarray:
    """Places in LABELS, shape (...), from tails of shape (..., environments).

    "dominates", "dominated" and equivalence need `decision_probability` as a whole. "incomparable" needs one
    environment that is clearly better and one clearly worse, each by itself with the error shared out over
    the environments (Bonferroni): the joint probability of being better somewhere and worse elsewhere would
    be high for any two models that are hardly known, as there are many environments and one prior for each.
    """
    dominates, dominated, _, equivalent = dominance_of_tails(better, worse)
    clearly = 1.0 - (1.0 - decision_probability) / better.shape[-1]
    trade = (better.max(axis=-1) >= clearly) & (worse.max(axis=-1) >= clearly)
    chosen = [dominates >= decision_probability, dominated >= decision_probability]
    return np.select([*chosen, trade | (equivalent >= decision_probability)], [0, 1, 2], default=3)


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
        found = verdict_labels(*_grown_tails(tables, epsilon, extra), decision_probability)
        return LABELS[int(found)] != "undecided"

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


def _tails(tables: Sequence[PairedCounts], epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    if not tables:
        raise ValueError("dominance needs at least one environment")
    mine, theirs, total = np.array([[t.only_candidate, t.only_baseline, t.num_pairs] for t in tables]).T
    return gap_tails(mine, theirs, total, epsilon)


def _posterior(counts: PairedCounts) -> tuple[float, float, float]:
    concordant = counts.both + counts.neither
    return (
        _PRIOR[0] + counts.only_candidate,
        _PRIOR[1] + counts.only_baseline,
        _PRIOR[2] + concordant,
    )


def _grown_tails(tables: Sequence[PairedCounts], epsilon: float, extra: int) -> tuple[np.ndarray, np.ndarray]:
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
    return np.array(better), np.array(worse)
