"""The Pareto front of several models on the same tasks, with the probability that each is on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_PRIOR_MASS = 2.0  # of all patterns together: for two models .5 a cell, Jeffreys' prior on the paired table


@dataclass(frozen=True, slots=True)
class Front:
    """One model's place: `observed` by its rates as they are, `probability` from the joint posterior."""

    observed: bool
    probability: float


def pareto_front(
    successes: Sequence[np.ndarray], epsilon: float = 0.0, *, draws: int = 10_000, seed: int = 0
) -> list[Front]:
    """Which models no other dominates; one array of shape (models, tasks) an environment.

    A dominates B when it is better by more than epsilon somewhere and worse by more than epsilon nowhere.
    Which of the models solve a task is one of 2^models patterns, whose shares get a Dirichlet posterior, so
    that what the models have in common is kept. ValueError without an environment.
    """
    if not successes:
        raise ValueError("a Pareto front needs at least one environment")
    generator = np.random.default_rng(seed)
    observed = np.stack([solved.mean(axis=1) for solved in successes])[None]
    drawn = np.stack([_posterior_rates(solved, draws, generator) for solved in successes], axis=1)
    places = zip(_undominated(observed, epsilon)[0], _undominated(drawn, epsilon).mean(axis=0), strict=True)
    return [Front(bool(is_on), float(share)) for is_on, share in places]


def _posterior_rates(solved: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Draws of all models' success rates in one environment, shape (draws, models)."""
    models = len(solved)
    patterns = (np.arange(2**models)[:, None] >> np.arange(models)) & 1
    seen = (solved.astype(int).T << np.arange(models)).sum(axis=1)
    counts = np.bincount(seen, minlength=2**models) + _PRIOR_MASS / 2**models
    return generator.dirichlet(counts, size=draws) @ patterns


def _undominated(rates: np.ndarray, epsilon: float) -> np.ndarray:
    """For rates of shape (draws, environments, models), who is dominated by none: (draws, models)."""
    models = rates.shape[-1]
    free = np.ones((len(rates), models), dtype=bool)
    for mine in range(models):
        for other in range(models):
            if other != mine:
                gap = rates[:, :, other] - rates[:, :, mine]
                free[:, mine] &= ~((gap > epsilon).any(axis=1) & (gap >= -epsilon).all(axis=1))
    return free
