"""Who wins what between two models: every profile's rule as a pure function over arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from itertools import combinations

import numpy as np
from scipy.special import betaincinv

from affine_trainer.scoring.profiles import Duel, EpsilonPareto, Jeffreys, Scoring, Threshold
from affine_trainer.scoring.totals import Totals

MAX_SAMPLES_SEEN = 5000  # of the most-sampled model, for the 10 % that make a model eligible


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Between a later and an earlier model, flags of shape (..., environments).

    A model dominates on a set of environments when it is `blocked` in none of them and `ahead` in one.
    """

    later_ahead: np.ndarray
    later_blocked: np.ndarray
    earlier_ahead: np.ndarray
    earlier_blocked: np.ndarray


@singledispatch
def outcomes(scoring: Scoring, later: Totals, earlier: Totals) -> Outcomes:
    """The flags of one profile; `later` and `earlier` are in the order of commitment."""
    raise TypeError(f"no rule for {type(scoring).__name__}")


@outcomes.register
def _(scoring: EpsilonPareto, later: Totals, earlier: Totals) -> Outcomes:
    """nw = max(.005, 1.28 SE), win = min(max(.008, .5 SE), nw), n = min(n, 1000).

    The facts give "SE from both": here that of the difference of two independent shares, sqrt(p(1-p)/n +
    q(1-q)/m), with n = 1 where there is no sample. A model that committed earlier also dominates where no
    difference exceeds nw; as a larger difference in its favour is a win (win <= nw), the earlier one
    dominates exactly where nowhere the later is ahead by more than nw. Both may dominate each other.
    """
    p, q = later.means, earlier.means
    n, m = (np.clip(each.counts, 1, scoring.max_samples) for each in (later, earlier))
    error = np.sqrt(np.maximum(0.0, p * (1 - p)) / n + np.maximum(0.0, q * (1 - q)) / m)
    not_worse = np.maximum(scoring.min_not_worse, scoring.z_not_worse * error)
    win = np.minimum(np.maximum(scoring.min_win, scoring.z_win * error), not_worse)
    gap = p - q
    return Outcomes(gap >= win, gap < -not_worse, gap <= not_worse, gap > not_worse)


@outcomes.register
def _(scoring: Jeffreys, later: Totals, earlier: Totals) -> Outcomes:
    """The later model wins an environment iff its lower end lies above the earlier one's upper end.

    Otherwise the earlier wins. Too few samples lose against enough; both too few is a tie. Commitments of
    the same block (where only intervals that do not overlap decide) cannot occur here: one is always earlier.
    """
    low, _ = raw_interval(later, scoring.level)
    _, high = raw_interval(earlier, scoring.level)
    enough, theirs = (each.counts >= scoring.min_samples for each in (later, earlier))
    wins = enough & (~theirs | (low > high))
    loses = theirs & ~wins
    return Outcomes(wins, loses, loses, wins)


@outcomes.register
def _(scoring: Threshold, later: Totals, earlier: Totals) -> Outcomes:
    """The later wins iff its score > min(1, prior + clamp(.2 (1 - prior), .02, .10)), else the earlier.

    Domination = winning every environment of the set. Where a model's result is not valid (fewer graded than
    90 % of what was asked for), neither is ahead and both are blocked: validators leave a model out of every
    set that holds such an environment.
    """
    prior = earlier.means
    gain = np.clip(scoring.error_share * (1.0 - prior), scoring.min_gain, scoring.max_gain)
    valid = takes_part(scoring, later) & takes_part(scoring, earlier)
    wins = valid & (later.means > np.minimum(1.0, prior + gain))
    return Outcomes(wins, ~wins, valid & ~wins, wins | ~valid)


@outcomes.register
def _(scoring: Duel, later: Totals, earlier: Totals) -> Outcomes:
    """Dominant: above the champion's score + .03. Worse: below .98 of it, or fewer samples than asked for.

    "The sampling count" is taken as the number of samples that the champion has. A challenger that does not
    win leaves the champion in place, which `decide` reads as a win of the earlier model.
    """
    mean, champion = later.means, earlier.means
    worse = (mean < scoring.not_worse * champion) | (later.counts < earlier.counts)
    ahead = mean > champion + scoring.margin
    return Outcomes(ahead, worse, worse, ahead)


def decide(scoring: Scoring, later: Totals, earlier: Totals) -> np.ndarray:
    """+1 where the later model beats the earlier one on all environments, -1 the reverse, 0 neither.

    Neither: both are on the frontier and share, or neither is eligible. With "most dominations" one always
    takes the set. A model that is not eligible loses to one that is.
    """
    every = np.ones((1, later.num_environments))
    forward, backward = (found[..., 0] for found in dominations(scoring, later, earlier, every))
    if scoring.division == "champion":
        return np.where(forward, 1, -1)
    if scoring.division == "most_dominations":
        tie = forward == backward
        higher = later.means.mean(axis=-1) > earlier.means.mean(axis=-1)
        return np.where(np.where(tie, higher, forward), 1, -1)
    mine, theirs = enough_samples(scoring, np.stack([later.counts, earlier.counts]))
    decided = np.where(mine & theirs, forward.astype(int) - backward.astype(int), 0)
    return np.where(mine != theirs, np.where(mine, 1, -1), decided)


def dominations(
    scoring: Scoring, later: Totals, earlier: Totals, sets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whether later dominates earlier, and the reverse, on each of `sets` (rows of 0 and 1): (..., sets)."""
    found = outcomes(scoring, later, earlier)
    return (
        _dominates(found.later_ahead, found.later_blocked, sets),
        _dominates(found.earlier_ahead, found.earlier_blocked, sets),
    )


def environment_sets(num_environments: int, layers: int | None = None) -> np.ndarray:
    """Every non-empty set of environments as a row of 0 and 1; with `layers`, only the largest sizes."""
    smallest = 1 if layers is None else max(1, num_environments - layers + 1)
    rows = [
        [float(position in chosen) for position in range(num_environments)]
        for size in range(smallest, num_environments + 1)
        for chosen in combinations(range(num_environments), size)
    ]
    return np.array(rows)


def takes_part(scoring: Scoring, model: Totals) -> np.ndarray:
    """In which environments a model's result is valid."""
    if isinstance(scoring, Threshold):
        return (model.counts > 0) & (model.counts >= scoring.completeness * model.wanted)
    return model.counts >= 0


def raw_interval(model: Totals, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of Beta(.5 + s, .5 + n - s) without Brown's exceptions; (0, 0) where n is 0."""
    tail = (1.0 - level) / 2.0
    sums = np.clip(model.sums, 0.0, model.counts)
    pairs, places = np.unique(
        np.stack([np.round(sums, 9).ravel(), model.counts.ravel()]), axis=1, return_inverse=True
    )
    ends = []
    for quantile in (tail, 1.0 - tail):
        values = betaincinv(0.5 + pairs[0], 0.5 + pairs[1] - pairs[0], quantile)
        ends.append(np.where(pairs[1] > 0, values, 0.0)[places.ravel()].reshape(sums.shape))
    return ends[0], ends[1]


def enough_samples(scoring: Scoring, counts: np.ndarray) -> np.ndarray:
    """Which models have enough samples everywhere: (models, ..., environments) -> (models, ...)."""
    return np.asarray((counts >= required_samples(scoring, counts)).all(axis=-1))


def required_samples(scoring: Scoring, counts: np.ndarray) -> np.ndarray:
    """Least samples an environment that make a model eligible, given all models' counts.

    From shape (models, ..., environments) to (..., environments).

    Jeffreys: max(200, 10 + 10 % of the most samples that any model has, counted up to 5,000).
    """
    if not isinstance(scoring, Jeffreys):
        return np.zeros(counts.shape[1:])
    most = np.minimum(counts.max(axis=0), MAX_SAMPLES_SEEN)
    return np.maximum(scoring.min_samples, 10 + 0.1 * most)


def _dominates(ahead: np.ndarray, blocked: np.ndarray, sets: np.ndarray) -> np.ndarray:
    return (blocked @ sets.T == 0) & (ahead @ sets.T > 0)
