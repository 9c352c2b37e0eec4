"""The chance to win under a profile, by simulation, and how many more samples would settle the question."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from affine_trainer.scoring.outcomes import decide
from affine_trainer.scoring.profiles import Scoring
from affine_trainer.scoring.totals import Totals

Direction = Literal["win", "lose", "neither"]
DIRECTIONS: tuple[Direction, ...] = ("win", "lose", "neither")

MAX_FURTHER_SAMPLES = 1_000_000
SEARCH_DRAWS = 2000  # simulated replays a step of the search: a standard error of .007 at P = .9
_PRIOR_CORNERS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
_PRIOR_WEIGHT = 0.5  # of each corner: Jeffreys' prior on the two-by-two table of paired outcomes
_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """One environment's paired scores: `kinds` (kinds, 2) of (candidate, baseline), and how often each."""

    kinds: np.ndarray
    counts: np.ndarray

    @property
    def num_tasks(self) -> int:
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class Chances:
    """Shares of simulated replays that end so; `error` is the standard error of the largest of them."""

    win: float
    lose: float
    neither: float
    error: float


def evidence(candidate: Sequence[float], baseline: Sequence[float]) -> Evidence:
    """What paired scores in [0, 1] say; ValueError where they do not pair up or lie outside."""
    scores = np.array([candidate, baseline], dtype=float).T
    if scores.size == 0:
        raise ValueError("evidence needs at least one pair of scores")
    if not ((scores >= 0.0) & (scores <= 1.0)).all():
        raise ValueError("a validator's score lies between 0 and 1")
    kinds, counts = np.unique(scores, axis=0, return_counts=True)
    return Evidence(kinds, counts.astype(float))


def chances(
    scoring: Scoring,
    evidences: Sequence[Evidence],
    samples: Sequence[int],
    *,
    candidate_later: bool,
    draws: int = 10_000,
    seed: int = 0,
) -> Chances:
    """How a validator's verdict would fall, were it to take `samples` an environment of each model now.

    True rates are drawn from the posterior, then the validator's samples at these rates: so both what is not
    known about the models and the validator's luck are in it. The posterior is Dirichlet over the kinds of
    pairs seen, with Jeffreys' prior (.5 each) on the four corners; for scores of 0 and 1 that is the paired
    table's own, for fractions it is the Bayesian bootstrap with the same prior.
    """
    generator = np.random.default_rng(seed)
    weights = [_posterior_weights(found, draws, generator) for found in evidences]
    return _replay(scoring, evidences, weights, samples, candidate_later, draws, generator)


def chances_at_observed_rates(
    scoring: Scoring,
    evidences: Sequence[Evidence],
    samples: Sequence[int],
    *,
    candidate_later: bool,
    draws: int = 10_000,
    seed: int = 0,
) -> Chances:
    """As `chances`, were the rates exactly those that were observed: the validator's luck alone."""
    generator = np.random.default_rng(seed)
    weights = [_observed_weights(found) for found in evidences]
    return _replay(scoring, evidences, weights, samples, candidate_later, draws, generator)


def further_samples(
    scoring: Scoring,
    evidences: Sequence[Evidence],
    direction: Direction,
    *,
    candidate_later: bool,
    probability: float = 0.9,
    seed: int = 0,
    limit: int = MAX_FURTHER_SAMPLES,
) -> int | None:
    """Fewest samples an environment beyond those evaluated that settle the verdict in this direction.

    Settled: at the observed rates a validator with that many samples of each model decides so with at least
    `probability`. 0 where it already would; None where no number up to `limit` is enough. Found by doubling
    and halving over simulated replays, so about as exact as the rates are. More samples need not settle what
    fewer do: a rule's margin may be wide enough only as long as the intervals are.
    """
    with_more = replays_by_size(scoring, evidences, candidate_later=candidate_later, seed=seed)
    return fewest_that_settle(scoring, evidences, direction, with_more, probability, limit)


def further_by_direction(
    scoring: Scoring,
    evidences: Sequence[Evidence],
    *,
    candidate_later: bool,
    probability: float = 0.9,
    seed: int = 0,
) -> dict[Direction, int | None]:
    """`further_samples` in every direction; each size is simulated once for all of them."""
    with_more = replays_by_size(scoring, evidences, candidate_later=candidate_later, seed=seed)
    return {
        direction: fewest_that_settle(
            scoring, evidences, direction, with_more, probability, MAX_FURTHER_SAMPLES
        )
        for direction in DIRECTIONS
    }


def replays_by_size(
    scoring: Scoring, evidences: Sequence[Evidence], *, candidate_later: bool, seed: int
) -> Callable[[int], Chances]:
    """The chances at the observed rates with some more samples than were evaluated, each simulated once."""

    @cache
    def with_more(extra: int) -> Chances:
        samples = [found.num_tasks + extra for found in evidences]
        return chances_at_observed_rates(
            scoring, evidences, samples, candidate_later=candidate_later, draws=SEARCH_DRAWS, seed=seed
        )

    return with_more


def fewest_that_settle(
    scoring: Scoring,
    evidences: Sequence[Evidence],
    direction: Direction,
    with_more: Callable[[int], Chances],
    probability: float,
    limit: int,
) -> int | None:
    """The search of `further_samples`."""
    fewest = min(found.num_tasks for found in evidences)

    def settled(extra: int) -> bool:
        if direction == "neither" and fewest + extra < scoring.min_samples:
            return False  # no verdict yet is none that settles anything
        found = with_more(extra)
        return {"win": found.win, "lose": found.lose, "neither": found.neither}[direction] >= probability

    steps = [0, *(2**power for power in range(limit.bit_length()) if 2**power < limit), limit]
    high = next((step for step in steps if settled(step)), None)
    if not high:
        return high
    low = steps[steps.index(high) - 1]
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high


def _posterior_weights(found: Evidence, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Shares of each kind and of the four corners, shape (draws, kinds + 4)."""
    return generator.dirichlet(np.concatenate([found.counts, np.full(4, _PRIOR_WEIGHT)]), size=draws)


def _observed_weights(found: Evidence) -> np.ndarray:
    return np.concatenate([found.counts / found.counts.sum(), np.zeros(4)])[None]


def _replay(
    scoring: Scoring,
    evidences: Sequence[Evidence],
    weights: Sequence[np.ndarray],
    samples: Sequence[int],
    candidate_later: bool,
    draws: int,
    generator: np.random.Generator,
) -> Chances:
    sums = np.stack(
        [
            _score_sums(found, share, count, draws, scoring.shared_tasks, generator)
            for found, share, count in zip(evidences, weights, samples, strict=True)
        ],
        axis=-1,
    )
    counts = np.broadcast_to(np.asarray(samples, float), sums.shape[1:])
    candidate, baseline = (Totals(each, counts, counts) for each in sums)
    later, earlier = (candidate, baseline) if candidate_later else (baseline, candidate)
    decided = decide(scoring, later, earlier) * (1 if candidate_later else -1)
    shares = [float(np.mean(decided == outcome)) for outcome in (1, -1, 0)]
    largest = max(shares)
    # One pseudo-count: an outcome that never or always came is not known without error.
    smoothed = (largest * draws + 1) / (draws + 2)
    return Chances(*shares, error=math.sqrt(smoothed * (1 - smoothed) / draws))


def _score_sums(
    found: Evidence,
    weights: np.ndarray,
    samples: int,
    draws: int,
    shared_tasks: bool,
    generator: np.random.Generator,
) -> np.ndarray:
    """Simulated sums of scores of (candidate, baseline), shape (2, draws)."""
    kinds = np.concatenate([found.kinds, _PRIOR_CORNERS])
    parts = []
    rows = max(1, _CELLS_AT_ONCE // len(kinds))
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        share = weights if len(weights) == 1 else weights[start : start + size]
        share = np.broadcast_to(share, (size, len(kinds)))
        drawn = generator.multinomial(samples, share)
        others = drawn if shared_tasks else generator.multinomial(samples, share)
        parts.append(np.stack([drawn @ kinds[:, 0], others @ kinds[:, 1]]))
    return np.concatenate(parts, axis=1)
