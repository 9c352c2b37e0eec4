"""How often each rule and our own verdict is right, and what pairing saves, by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
from scipy.special import bdtr, ndtr
from scipy.stats import hypergeom

from affine_trainer.scoring import SCORINGS, Scoring, Totals, decide, outcomes
from affine_trainer.scoring.planning import chances, evidence
from affine_trainer.scoring.profiles import Jeffreys
from affine_trainer.stats import LABELS, gap_tails, verdict_labels

JEFFREYS = cast(Jeffreys, SCORINGS["jeffreys-2025-10"])
DUEL = SCORINGS["duel-2026-06"]
ALPHA = 0.025  # one-sided, for the samples that a design needs
POWER = 0.80
EPSILON, DECISION = 0.01, 0.9  # of our own verdict, as in the default configuration

Rule = Callable[[np.ndarray, int], np.ndarray]


class World(NamedTuple):
    """True rates in every environment, and how many of the tasks' outcomes go together."""

    candidate: Sequence[float]
    baseline: Sequence[float]
    correlation: float


def cells(candidate: float, baseline: float, correlation: float) -> np.ndarray:
    """P(both, only the candidate, only the baseline, neither); ValueError where no table is so correlated."""
    both = candidate * baseline + correlation * math.sqrt(
        candidate * (1 - candidate) * baseline * (1 - baseline)
    )
    found = np.array([both, candidate - both, baseline - both, 1 - candidate - baseline + both])
    if found.min() < -1e-12:
        raise ValueError(f"rates {candidate} and {baseline} cannot have a correlation of {correlation}")
    return np.maximum(found, 0.0)


def highest_correlation(candidate: float, baseline: float) -> float:
    """That of two models of which the weaker solves nothing that the stronger does not."""
    low, high = sorted((candidate, baseline))
    return math.sqrt(low * (1 - high) / (high * (1 - low)))


# What the validators' rules do


def unpaired(rates: Sequence[float], n: int, runs: int, seed: int) -> Totals:
    """Totals of one model at these true rates, `runs` times."""
    drawn = np.random.default_rng(seed).binomial(n, rates, size=(runs, len(rates))).astype(float)
    return Totals(drawn, np.full(drawn.shape, float(n)), np.full(drawn.shape, float(n)))


def false_wins(rate: float, n: int, level: float, runs: int) -> float:
    """How often a later model of equal strength wins an environment under the Jeffreys rule."""
    rule = replace(JEFFREYS, level=level)
    later, earlier = (unpaired([rate], n, runs, seed) for seed in (1, 2))
    return float(outcomes(rule, later, earlier).later_ahead.mean())


def needed_gap(rate: float, n: int) -> float:
    """The least observed gap with which a later model wins an environment at level .80."""
    sums = np.arange(n + 1.0)[:, None]
    counts = np.full(sums.shape, float(n))
    earlier = np.full(sums.shape, float(round(rate * n)))
    wins = outcomes(JEFFREYS, Totals(sums, counts, counts), Totals(earlier, counts, counts)).later_ahead
    return (float(np.argmax(wins[:, 0])) - round(rate * n)) / n


def wins(scoring: Scoring, rates: Sequence[float], gap: float, n: int, runs: int) -> float:
    """P(a later model wins) that is better by `gap` everywhere, both sampled on tasks of their own."""
    better = np.minimum(1.0, np.asarray(rates) + gap)
    later, earlier = unpaired(list(better), n, runs, 3), unpaired(rates, n, runs, 4)
    return float(np.mean(decide(scoring, later, earlier) > 0))


# What pairing saves


def paired_mcnemar(tables: np.ndarray, n: int) -> np.ndarray:
    """Which paired tables (runs, 4) reject by McNemar's exact test, one-sided."""
    mine, theirs = tables[:, 1], tables[:, 2]
    return bdtr(theirs, np.maximum(1, mine + theirs), 0.5) <= np.where(mine + theirs, ALPHA, -1.0)


def unpaired_fisher(counts: np.ndarray, n: int) -> np.ndarray:
    """Which pairs of counts (runs, 2) reject by Fisher's exact test, one-sided."""
    sums, places = np.unique(counts.sum(axis=1), return_inverse=True)
    return counts[:, 0] > hypergeom.isf(ALPHA, 2 * n, sums, n)[places]


def paired_posterior(tables: np.ndarray, n: int) -> np.ndarray:
    """Which tables put the candidate above with posterior probability 1 - ALPHA: our own paired rule."""
    better, _ = gap_tails(tables[:, 1], tables[:, 2], np.full(len(tables), n))
    return better >= 1.0 - ALPHA


def unpaired_posterior(counts: np.ndarray, n: int) -> np.ndarray:
    """The same from two independent Jeffreys posteriors, their difference taken as normal."""
    means = (counts + 0.5) / (n + 1.0)
    variance = (means * (1.0 - means) / (n + 2.0)).sum(axis=1)
    return ndtr((means[:, 0] - means[:, 1]) / np.sqrt(variance)) >= 1.0 - ALPHA


def needed_samples(rule: Rule, probabilities: np.ndarray, runs: int) -> int:
    """Fewest tasks with which `rule` has POWER; 4 probabilities are a paired table, 2 are two rates.

    By bisection on simulated power, smoothed by a probit fit through the sizes around the crossing.
    """

    def power(n: int) -> float:
        generator = np.random.default_rng(n)
        if len(probabilities) == 4:
            drawn = generator.multinomial(n, probabilities, size=runs)
        else:
            drawn = generator.binomial(n, probabilities, size=(runs, 2))
        return float(np.mean(rule(drawn, n)))

    low, high = 8, 16
    while power(high) < POWER:
        low, high = high, 2 * high
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    sizes = np.unique(np.linspace(0.8 * high, 1.2 * high, 9).astype(int))
    slope, offset = np.polyfit([power(int(n)) for n in sizes], np.sqrt(sizes), 1)
    return round((slope * POWER + offset) ** 2)


# How good our own verdict is


def verdict_shares(world: World, n: int, runs: int, seed: int = 0) -> dict[str, float]:
    """How often our verdict is each label, with n shared tasks in every environment."""
    drawn = simulated_tables(world, n, runs, seed)
    better, worse = gap_tails(drawn[..., 1], drawn[..., 2], np.full(drawn.shape[:-1], n), EPSILON)
    found = verdict_labels(better, worse, DECISION)
    return {label: float(np.mean(found == place)) for place, label in enumerate(LABELS)}


def observed_domination(world: World, n: int, runs: int, seed: int = 0) -> float:
    """How often the candidate's observed rates are nowhere lower and somewhere higher."""
    drawn = simulated_tables(world, n, runs, seed)
    gaps = drawn[..., 1] - drawn[..., 2]
    return float(np.mean((gaps >= 0).all(axis=1) & (gaps > 0).any(axis=1)))


def simulated_tables(world: World, n: int, runs: int, seed: int) -> np.ndarray:
    """Paired tables, shape (runs, environments, 4)."""
    generator = np.random.default_rng(seed)
    return np.stack(
        [
            generator.multinomial(n, cells(mine, theirs, world.correlation), size=runs)
            for mine, theirs in zip(world.candidate, world.baseline, strict=True)
        ],
        axis=1,
    )


# Is P(win) what it says?


def calibration(scoring: Scoring, n: int, worlds: int, seed: int = 0) -> list[tuple[float, float, int]]:
    """Predicted and actual share of wins in three bins of the prediction, and how many worlds each holds.

    In each world two models have true rates in three environments (baseline uniform in .2 to .8, the gap
    normal around +3 points with a deviation of 4, correlation .5), n tasks are evaluated, P(win) is computed,
    and then a validator takes n shared tasks of its own.
    """
    generator = np.random.default_rng(seed)
    predicted, actual = [], []
    for number in range(worlds):
        baseline = generator.uniform(0.2, 0.8, 3)
        candidate = np.clip(baseline + generator.normal(0.03, 0.04, 3), 0.1, 0.9)
        world = World(list(candidate), list(baseline), 0.5)
        ours, theirs = (simulated_tables(world, n, 1, seed=2 * number + k)[0] for k in (0, 1))
        found = [evidence(*_scores(table)) for table in ours]
        chance = chances(scoring, found, [n] * 3, candidate_later=True, draws=2000, seed=number)
        counts = np.full(3, float(n))
        later, earlier = (
            Totals((theirs[:, 0] + theirs[:, column]).astype(float), counts, counts) for column in (1, 2)
        )
        predicted.append(chance.win)
        actual.append(float(decide(scoring, later, earlier) > 0))
    bins = np.digitize(predicted, (1 / 3, 2 / 3))
    masks = [bins == each for each in range(3)]
    said, came = np.array(predicted), np.array(actual)
    return [(float(said[m].mean()), float(came[m].mean()), int(m.sum())) for m in masks if m.any()]


def _scores(table: np.ndarray) -> tuple[list[float], list[float]]:
    both, mine, theirs, neither = map(int, table)
    return (
        [1.0] * (both + mine) + [0.0] * (theirs + neither),
        [1.0] * both + [0.0] * mine + [1.0] * theirs + [0.0] * neither,
    )
