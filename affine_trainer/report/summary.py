"""The evaluation summary: what evaluation.json says about a set of graded episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affine_trainer.config import SamplingConfig
from affine_trainer.errors import DataError
from affine_trainer.records import Episode, Grade
from affine_trainer.report.episodes import family_of, is_unseen
from affine_trainer.stats import (
    Interval,
    bootstrap_interval,
    clustered_interval,
    clustered_macro_interval,
    jeffreys_interval,
    macro_interval,
    pass_rates,
)

SCHEMA_VERSION = 1
MAX_DIFFICULTY_BINS = 4

Group = Mapping[str, Sequence[Episode]]


def summarise(
    episodes: Group,
    sampling: SamplingConfig,
    trivial: Mapping[str, Group] | None = None,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of evaluation.json, from episodes by environment.

    `trivial` holds the episodes of each trivial policy by its name. Families kept out of training stand
    under `slices` and enter no total. `accuracy` is the share of successes (the environment's predicate),
    `success_rate` the share of scores that are not 0, as older files have it; `weighted_*` and `micro`
    weigh by samples, `macro` by environments. Shares lie in [0, 1]; None where nothing could be graded.
    Where tasks have several samples (`num_samples` counts them, `num_tasks` the tasks), intervals take the
    task as the unit, and `pass_at_k` gives pass@k for every k.
    `settings` (rules, decoding, task seed) is kept as it is, so that a comparison can check it.
    DataError when there is no episode at all.
    """
    if not any(episodes.values()):
        raise DataError("There is no episode to summarise: ask for at least one evaluation task.")
    known = _part(episodes, trivial or {}, sampling, seed, unseen=False)
    return {
        "schema_version": SCHEMA_VERSION,
        **_totals(known),
        "errors": sum(result["errors"] for result in known.values()),
        "tokens_per_task": _mean_tokens(
            [play for plays in episodes.values() for play in plays if not is_unseen(play.task_key)]
        ),
        "success": _macro_and_micro(known, episodes, sampling, seed),
        "statistics": {
            "confidence_level": sampling.confidence_level,
            "beta_prior_alpha": sampling.beta_prior_alpha,
            "beta_prior_beta": sampling.beta_prior_beta,
            "bootstrap_samples": sampling.bootstrap_samples,
            "seed": seed,
        },
        "settings": dict(settings or {}),
        "per_environment": known,
        "slices": {"unseen_families": _part(episodes, trivial or {}, sampling, seed, unseen=True)},
    }


def is_repeated(episodes: Sequence[Episode]) -> bool:
    """Whether any task has more than one sample."""
    return any(episode.sample for episode in episodes)


def grades_of(episodes: Sequence[Episode]) -> list[Grade]:
    """The grades of those that could be graded."""
    return [episode.grade for episode in episodes if episode.grade is not None]


def _part(
    episodes: Group, trivial: Mapping[str, Group], sampling: SamplingConfig, seed: int, *, unseen: bool
) -> dict[str, dict[str, Any]]:
    results = {}
    for environment, plays in episodes.items():
        chosen = [play for play in plays if is_unseen(play.task_key) == unseen]
        if not chosen:
            continue
        results[environment] = _environment(chosen, sampling, seed)
        results[environment]["trivial_policies"] = {
            name: _scores(mine, sampling, seed)
            for name, group in trivial.items()
            if (mine := [e for e in group.get(environment, ()) if is_unseen(e.task_key) == unseen])
        }
    return results


def _environment(episodes: Sequence[Episode], sampling: SamplingConfig, seed: int) -> dict[str, Any]:
    return {
        **_scores(episodes, sampling, seed),
        **(_pass_rates(episodes, sampling, seed) if is_repeated(episodes) else {}),
        "families": sorted({family_of(episode.task_key) for episode in episodes}),
        "tokens_per_task": _mean_tokens(episodes),
        "seconds_per_task": _mean([episode.seconds for episode in episodes if episode.grade]),
        "stop_reasons": dict(Counter(episode.stop_reason for episode in episodes).most_common()),
        "by_difficulty": _by_difficulty(episodes, sampling, seed),
    }


def _pass_rates(episodes: Sequence[Episode], sampling: SamplingConfig, seed: int) -> dict[str, Any]:
    outcomes: dict[str, list[bool]] = {}
    for episode in episodes:
        if episode.grade is not None:
            outcomes.setdefault(episode.task_key, []).append(episode.grade.success)
    rates = pass_rates(outcomes, sampling.confidence_level, samples=sampling.bootstrap_samples, seed=seed)
    return {
        "num_tasks": len(outcomes),
        "pass_at_k": [
            {"k": found.k, "rate": found.rate, **_ends(found.interval), "num_tasks": found.num_tasks}
            for found in rates
        ],
    }


def _scores(episodes: Sequence[Episode], sampling: SamplingConfig, seed: int) -> dict[str, Any]:
    grades = grades_of(episodes)
    rewards = np.array([grade.reward for grade in grades])
    successes = sum(grade.success for grade in grades)
    return {
        "num_samples": len(grades),
        "accuracy": successes / len(grades) if grades else None,
        "mean_score": float(rewards.mean()) if grades else None,
        "std_score": float(rewards.std()) if grades else None,
        "median_score": float(np.median(rewards)) if grades else None,
        "confidence_interval": _ends(_success_interval(episodes, sampling, seed)),
        "success_rate": float(np.mean(rewards != 0.0)) if grades else None,
        "num_successes": successes,
        "errors": len(episodes) - len(grades),
        "mean_score_interval": _score_interval(episodes, rewards, sampling, seed),
    }


def _success_interval(episodes: Sequence[Episode], sampling: SamplingConfig, seed: int) -> Interval:
    """The Beta posterior of the count; where tasks have several samples, the bootstrap over tasks."""
    successes, tasks = _outcomes(episodes)
    if not is_repeated(episodes) or not tasks:
        return _beta_interval(sum(successes), len(successes), sampling)
    return clustered_interval(
        successes, tasks, sampling.confidence_level, samples=sampling.bootstrap_samples, seed=seed
    )


def _outcomes(episodes: Sequence[Episode]) -> tuple[list[bool], list[str]]:
    """Whether each graded play succeeded, and the tasks they are of."""
    graded = [(episode.grade.success, episode.task_key) for episode in episodes if episode.grade]
    return [success for success, _ in graded], [task for _, task in graded]


def _score_interval(
    episodes: Sequence[Episode], rewards: np.ndarray, sampling: SamplingConfig, seed: int
) -> dict[str, Any] | None:
    """Of the mean score: the Beta posterior where every score is 0 or 1, else the bootstrap over tasks."""
    if rewards.size == 0:
        return None
    if np.isin(rewards, (0.0, 1.0)).all() and not is_repeated(episodes):
        interval = _beta_interval(int(rewards.sum()), rewards.size, sampling)
        return {**_ends(interval), "method": "beta"}
    interval = bootstrap_interval(
        rewards,
        sampling.confidence_level,
        tasks=_outcomes(episodes)[1],
        samples=sampling.bootstrap_samples,
        seed=seed,
    )
    return {**_ends(interval), "method": "bootstrap"}


def _totals(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    graded = {name: result for name, result in results.items() if result["num_samples"]}
    total = sum(result["num_samples"] for result in graded.values())

    def weighted(field: str) -> float | None:
        return sum(r[field] * r["num_samples"] for r in graded.values()) / total if total else None

    ranked = sorted(graded, key=lambda name: (-graded[name]["accuracy"], name))
    return {
        "total_samples": total,
        "num_environments": len(results),
        "weighted_accuracy": weighted("accuracy"),
        "weighted_mean_score": weighted("mean_score"),
        "overall_success_rate": weighted("success_rate"),
        "best_environment": ranked[0] if ranked else None,
        "worst_environment": ranked[-1] if ranked else None,
    }


def _macro_and_micro(
    results: Mapping[str, Mapping[str, Any]], episodes: Group, sampling: SamplingConfig, seed: int
) -> dict[str, Any]:
    counts = [(result["num_successes"], result["num_samples"]) for result in results.values()]
    successes, total = sum(s for s, _ in counts), sum(n for _, n in counts)
    complete = bool(counts) and all(n for _, n in counts)
    if complete and any(map(is_repeated, episodes.values())):
        return _by_task(results, episodes, sampling, seed)
    macro = macro_interval(
        counts or [(0, 0)],
        sampling.confidence_level,
        sampling.beta_prior_alpha,
        sampling.beta_prior_beta,
    )
    return {
        "macro": {
            "rate": float(np.mean([s / n for s, n in counts])) if complete else None,
            **_ends(macro),
            "method": "beta intervals, combined",
        },
        "micro": {
            "rate": successes / total if total else None,
            **_ends(_beta_interval(successes, total, sampling)),
            "method": "beta",
        },
    }


def _by_task(
    results: Mapping[str, Mapping[str, Any]], episodes: Group, sampling: SamplingConfig, seed: int
) -> dict[str, Any]:
    """Macro and micro means where tasks have several samples."""
    known = [_outcomes([play for play in episodes[name] if not is_unseen(play.task_key)]) for name in results]
    level, draws = sampling.confidence_level, sampling.bootstrap_samples
    successes = [success for values, _ in known for success in values]
    tasks = [task for _, names in known for task in names]
    macro = clustered_macro_interval(known, level, samples=draws, seed=seed)
    micro = clustered_interval(successes, tasks, level, samples=draws, seed=seed)
    return {
        "macro": {
            "rate": float(np.mean([np.mean(values) for values, _ in known])),
            **_ends(macro),
            "method": "bootstrap over tasks, combined",
        },
        "micro": {"rate": float(np.mean(successes)), **_ends(micro), "method": "bootstrap over tasks"},
    }


def _by_difficulty(episodes: Sequence[Episode], sampling: SamplingConfig, seed: int) -> list[dict[str, Any]]:
    """Success in up to four bins of about equal size; the edges depend on the tasks alone, not on results."""
    rated = [(e.difficulty, e) for e in episodes if e.difficulty is not None]
    if not rated:
        return []
    edges = np.quantile([difficulty for difficulty, _ in rated], np.linspace(0, 1, MAX_DIFFICULTY_BINS + 1))
    bins: dict[int, list[tuple[float, Episode]]] = {}
    for difficulty, episode in rated:
        position = int(np.searchsorted(edges[1:-1], difficulty, side="left"))
        bins.setdefault(position, []).append((difficulty, episode))
    return [_difficulty_bin(bins[position], sampling, seed) for position in sorted(bins)]


def _difficulty_bin(
    rated: Sequence[tuple[float, Episode]], sampling: SamplingConfig, seed: int
) -> dict[str, Any]:
    grades = grades_of([episode for _, episode in rated])
    successes = sum(grade.success for grade in grades)
    return {
        "from": min(difficulty for difficulty, _ in rated),
        "to": max(difficulty for difficulty, _ in rated),
        "num_samples": len(grades),
        "accuracy": successes / len(grades) if grades else None,
        "confidence_interval": _ends(_success_interval([episode for _, episode in rated], sampling, seed)),
    }


def _mean_tokens(episodes: Sequence[Episode]) -> dict[str, float | None]:
    graded = [episode for episode in episodes if episode.grade]
    return {
        "prompt": _mean([episode.num_prompt_tokens for episode in graded]),
        "completion": _mean([episode.num_completion_tokens for episode in graded]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _beta_interval(successes: int, trials: int, sampling: SamplingConfig) -> Interval:
    return jeffreys_interval(
        successes,
        trials,
        sampling.confidence_level,
        sampling.beta_prior_alpha,
        sampling.beta_prior_beta,
    )


def _ends(interval: Interval) -> dict[str, float]:
    return {"lower": interval.lower, "upper": interval.upper}
