"""How a profile divides the emission between several models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from affine_trainer.scoring.outcomes import (
    decide,
    dominations,
    enough_samples,
    environment_sets,
    takes_part,
)
from affine_trainer.scoring.profiles import Scoring, Subsets, Threshold
from affine_trainer.scoring.totals import Totals


def shares(scoring: Scoring, models: Sequence[Totals]) -> np.ndarray:
    """Each model's share of the emission, shape (models,); `models` stand in the order of commitment.

    They sum to 1, as weights are normalised over the points given out; sets that nobody can claim (no model
    takes part, or every geometric mean is 0) drop out. Less than 1: what models below 1 % would have got goes
    to uid 0 in the profile that says so. All 0: nobody is eligible, or nobody has a point.
    Each model's totals have shape (environments,). A model that is not eligible takes part in no set.
    """
    if scoring.division == "champion":
        return _champion(scoring, models)
    counts = np.stack([model.counts for model in models])
    eligible = enough_samples(scoring, counts)
    sets = environment_sets(counts.shape[1], scoring.subsets.layers)
    part = np.stack([(~takes_part(scoring, model)) @ sets.T == 0 for model in models]) & eligible[:, None]
    beaten = _beaten(scoring, models, sets) & part[:, None, :] & part[None, :, :]
    if scoring.division == "most_dominations":
        divided = _most_dominations(models, beaten, part, sets)
    else:
        divided = _frontier(scoring.subsets, models, part & ~beaten.any(axis=0), sets)
    points = divided @ set_weights(scoring.subsets, sets)
    found = points / points.sum() if points.any() else points
    if isinstance(scoring, Threshold):
        found = np.where(found < scoring.min_share, 0.0, found)
    return found


def set_weights(subsets: Subsets, sets: np.ndarray) -> np.ndarray:
    """What each set is worth: 2^k, or 2^k divided evenly over all sets of its size."""
    sizes = sets.sum(axis=1).astype(int)
    worth = 2.0**sizes
    if subsets.layer_shared:
        worth = worth / np.bincount(sizes)[sizes]
    return worth


def geometric_means(models: Sequence[Totals], sets: np.ndarray) -> np.ndarray:
    """Geometric mean of each model's mean scores over each set, shape (models, sets); 0 if any is 0."""
    means = np.stack([np.clip(model.means, 0.0, 1.0) for model in models])
    zero = (means == 0.0) @ sets.T > 0
    logs = np.log(np.where(means == 0.0, 1.0, means)) @ sets.T / sets.sum(axis=1)
    return np.where(zero, 0.0, np.exp(logs))


def _beaten(scoring: Scoring, models: Sequence[Totals], sets: np.ndarray) -> np.ndarray:
    """[i, j, set]: whether model i dominates model j there."""
    found = np.zeros((len(models), len(models), len(sets)), dtype=bool)
    for later in range(len(models)):
        for earlier in range(later):
            forward, backward = dominations(scoring, models[later], models[earlier], sets)
            found[later, earlier], found[earlier, later] = forward, backward
    return found


def _most_dominations(
    models: Sequence[Totals], beaten: np.ndarray, part: np.ndarray, sets: np.ndarray
) -> np.ndarray:
    """A set goes whole to the model that dominates most others there, shape (models, sets).

    The facts do not say what breaks ties. Here: the higher mean score over the set, then the earlier.
    """
    wins = beaten.sum(axis=1)
    means = np.stack([model.means for model in models]) @ sets.T / sets.sum(axis=1)
    divided = np.zeros(part.shape)
    for place in range(len(sets)):
        ranked = [(wins[i, place], means[i, place], -i) for i in range(len(models)) if part[i, place]]
        if ranked:
            divided[-max(ranked)[2], place] = 1.0
    return divided


def _frontier(
    subsets: Subsets, models: Sequence[Totals], members: np.ndarray, sets: np.ndarray
) -> np.ndarray:
    """Members of each set's frontier share it, shape (models, sets).

    Where every member's geometric mean is 0 nobody gets anything ("0 if any p is 0", said of 2025-10 and
    taken to hold for 2025-11 as well), except that the validator of 2025-12-26 then divided evenly.
    """
    scores = geometric_means(models, sets)
    claims = np.zeros(members.shape)
    for place in range(len(sets)):
        inside = np.flatnonzero(members[:, place])
        order = inside[np.argsort(-scores[inside, place], kind="stable")]
        claims[order, place] = scores[order, place] ** subsets.power * subsets.decay ** np.arange(len(order))
        if subsets.zero_is_shared and not scores[inside, place].any():
            claims[inside, place] = 1.0
    total = claims.sum(axis=0)
    return np.divide(claims, total, out=np.zeros(claims.shape), where=total > 0)


def _champion(scoring: Scoring, models: Sequence[Totals]) -> np.ndarray:
    """The first is champion; each later one challenges whoever is champion then, and the last takes all."""
    champion = 0
    for challenger in range(1, len(models)):
        if decide(scoring, models[challenger], models[champion]) > 0:
            champion = challenger
    found = np.zeros(len(models))
    found[champion] = 1.0
    return found
