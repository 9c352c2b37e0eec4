"""How often each interval that we offer holds the truth, by simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from affine_trainer.stats import (
    Interval,
    PairedCounts,
    bootstrap_interval,
    discordant_interval,
    jeffreys_interval,
    macro_difference,
    macro_interval,
    paired_difference,
    posterior_differences,
    quantile_interval,
    regression,
)

LEVEL = 0.80
RESAMPLES = 1000  # of one bootstrap or posterior interval
SAMPLE_SIZES = (20, 50, 100, 200, 500, 1000)
# (both, only the candidate, only the baseline, neither): 45 % against 40 %, correlation .5
TABLE = (0.3015, 0.1485, 0.0985, 0.4515)
GAP = TABLE[1] - TABLE[2]
RATIO = (TABLE[0] + TABLE[1]) / (TABLE[0] + TABLE[2])
MACRO_RATES = (0.2, 0.4, 0.6, 0.9)
RARE_RATES = (0.2, 0.4, 0.6, *[0.01] * 5)

Maker = Callable[[np.random.Generator], Interval]


class Case(NamedTuple):
    """How to simulate one interval, and the true value that it should hold."""

    make: Maker
    truth: float


def jeffreys_coverage(runs: int, level: float = LEVEL) -> dict[int, tuple[float, float]]:
    """By n: mean coverage over p uniform in (0, 1), and the least over p = .02, .04, ... .98."""
    found = {}
    for n in SAMPLE_SIZES:
        generator = np.random.default_rng(n)
        lower, upper = np.array([jeffreys_interval(s, n, level) for s in range(n + 1)]).T

        rates = np.arange(1, 50) / 50
        least = min(_covered(lower, upper, np.full(runs // 4, p), generator) for p in rates)
        found[n] = (_covered(lower, upper, generator.random(runs), generator), least)
    return found


def _covered(
    lower: np.ndarray, upper: np.ndarray, rates: np.ndarray, generator: np.random.Generator
) -> float:
    drawn = generator.binomial(len(lower) - 1, rates)
    return float(np.mean((lower[drawn] <= rates) & (rates <= upper[drawn])))


def coverage(case: Case, runs: int, seed: int = 0) -> float:
    """Share of simulated intervals that hold the truth."""
    generator = np.random.default_rng(seed)
    intervals = np.array([case.make(generator) for _ in range(runs)])
    return float(np.mean((intervals[:, 0] <= case.truth) & (case.truth <= intervals[:, 1])))


def cases() -> dict[str, Case]:
    """Every other interval at .80, each at settings that are usual and at some that are hard."""
    share = TABLE[1] / (TABLE[1] + TABLE[2])
    return {
        "bootstrap of fractions, n=50": Case(lambda g: _bootstrap(g.beta(2, 3, 50), g), 0.4),
        "bootstrap of fractions, n=200": Case(lambda g: _bootstrap(g.beta(2, 3, 200), g), 0.4),
        "bootstrap, 2 % score 1, n=50": Case(lambda g: _bootstrap(1.0 * (g.random(50) < 0.02), g), 0.02),
        "bootstrap by task, 4 plays each, n=200": Case(_clustered, 0.4),
        "macro of 4 environments, n=200": _macro(MACRO_RATES, 200),
        "macro of 4 environments, n=20": _macro(MACRO_RATES, 20),
        "macro of 8, five of them at 1 %, n=200": _macro(RARE_RATES, 200),
        "macro of 8, five of them at 1 %, n=20": _macro(RARE_RATES, 20),
        "paired difference, n=50": Case(lambda g: _paired(50, g), GAP),
        "paired difference, n=200": Case(lambda g: _paired(200, g), GAP),
        "paired difference, n=1000": Case(lambda g: _paired(1000, g), GAP),
        "macro difference of 4, n=200": Case(_macro_difference, GAP),
        "share of discordant tasks, n=200": Case(lambda g: discordant_interval(_table(200, g), LEVEL), share),
        "posterior of the difference, n=50": Case(lambda g: _posterior(50, g), GAP),
        "posterior of the difference, n=200": Case(lambda g: _posterior(200, g), GAP),
        "ratio of the regression gate, n=200": Case(_ratio, RATIO),
    }


def _seed(generator: np.random.Generator) -> int:
    return int(generator.integers(2**31))


def _bootstrap(values: np.ndarray, generator: np.random.Generator) -> Interval:
    return bootstrap_interval(values, LEVEL, samples=RESAMPLES, seed=_seed(generator))


def _clustered(generator: np.random.Generator) -> Interval:
    """Plays of one task share a rate of their own, drawn from Beta(2, 3)."""
    rates = np.repeat(generator.beta(2, 3, 200), 4)
    values = 1.0 * (generator.random(800) < rates)
    names = list(np.repeat(np.arange(200), 4))
    return bootstrap_interval(values, LEVEL, tasks=names, samples=RESAMPLES, seed=_seed(generator))


def _macro(rates: Sequence[float], n: int) -> Case:
    """The mean of environments of which each has its own rate and `n` tasks."""

    def make(generator: np.random.Generator) -> Interval:
        return macro_interval([(int(generator.binomial(n, p)), n) for p in rates], LEVEL)

    return Case(make, float(np.mean(rates)))


def _outcomes(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    cell = generator.choice(4, size=n, p=TABLE)
    return 1.0 * (cell < 2), 1.0 * (cell % 2 == 0)


def _paired(n: int, generator: np.random.Generator) -> Interval:
    mine, theirs = _outcomes(n, generator)
    return paired_difference(mine, theirs, LEVEL, samples=RESAMPLES, seed=_seed(generator)).interval


def _macro_difference(generator: np.random.Generator) -> Interval:
    pairs = [_outcomes(200, generator) for _ in range(4)]
    return macro_difference(pairs, LEVEL, samples=RESAMPLES, seed=_seed(generator)).interval


def _table(n: int, generator: np.random.Generator) -> PairedCounts:
    return PairedCounts(*map(int, generator.multinomial(n, TABLE)))


def _posterior(n: int, generator: np.random.Generator) -> Interval:
    [draws] = posterior_differences([_table(n, generator)], draws=RESAMPLES, seed=_seed(generator))
    return quantile_interval(draws, LEVEL)


def _ratio(generator: np.random.Generator) -> Interval:
    return regression(_table(200, generator), level=LEVEL, draws=RESAMPLES, seed=_seed(generator)).interval
