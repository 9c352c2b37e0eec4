"""The comparison of two evaluated models: paired statistics an environment, a verdict, one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from affine_trainer.config import SamplingConfig
from affine_trainer.report.gate import gate_clause, regression_gate
from affine_trainer.report.headline import dominance_excluded, macro_word, standing
from affine_trainer.report.pairing import Evaluation, Pairs, pair_evaluations, setting_differences
from affine_trainer.stats import (
    Difference,
    PairedCounts,
    Verdict,
    count_pairs,
    discordant_interval,
    holm,
    macro_difference,
    mcnemar_p,
    paired_difference,
    pareto_verdict,
    posterior_differences,
    probabilities_of_gap,
    quantile_interval,
)


def compare_evaluations(
    candidate: Evaluation, baseline: Evaluation, sampling: SamplingConfig, *, seed: int = 0
) -> dict[str, Any]:
    """Everything known about candidate against baseline, as JSON values; differences lie in [-1, 1].

    Families kept out of training are compared under `slices` and enter neither macro nor verdict. Where tasks
    have several samples, differences are those of a task's means, and tables, p and verdict take one play a
    task.
    DataError as `pair_evaluations` says.
    """
    pairs = pair_evaluations(candidate, baseline)
    tables = {name: _counts(pair) for name, pair in pairs.items()}
    verdict = pareto_verdict(
        list(tables.values()),
        sampling.epsilon,
        sampling.decision_probability,
    )
    result = {
        "folder": str(baseline.folder),
        "num_tasks": sum(table.num_pairs for table in tables.values()),
        "num_excluded": sum(pair.excluded for pair in pairs.values()),
        "macro": _macro(pairs, sampling, seed),
        **_verdict_values(verdict),
        "per_environment": _environments(pairs, sampling, seed),
        "regression_gate": regression_gate(tables, sampling, seed=seed),
        "slices": {"unseen_families": _unseen(candidate, baseline, sampling, seed)},
        "setting_differences": setting_differences(candidate, baseline),
    }
    result["standing"] = standing(result, sampling.decision_probability)
    result["sentence"] = verdict_sentence(candidate.label, baseline.label, result, sampling)
    return result


def verdict_sentence(
    candidate: str, baseline: str, result: Mapping[str, Any], sampling: SamplingConfig
) -> str:
    """The comparison in one plain sentence."""
    macro = result["macro"]
    opening = {
        "same tasks": f"{candidate} and {baseline} solve the same tasks",
        "better": f"{candidate} is better than {baseline}",
        "worse": f"{candidate} is worse than {baseline}",
        "level": f"{candidate} is not clearly different from {baseline}",
    }[macro_word(result)]
    gate = "" if result["verdict"] == "dominated" else gate_clause(result["regression_gate"], baseline)
    left_out = f", {result['num_excluded']:,} left out as not graded" if result["num_excluded"] else ""
    return (
        f"{opening}: macro success {points(macro['difference'])} points "
        f"({100 * sampling.confidence_level:g} % interval "
        f"{points(macro['lower'])} to {points(macro['upper'])}, n={result['num_tasks']:,} shared tasks"
        f"{left_out}); {_verdict_clause(result, sampling)}{gate}{_settings_clause(result)}."
    )


def points(share: float) -> str:
    """A difference of shares in percentage points, always with its sign; a rounded zero is +0.0."""
    return f"{round(100.0 * share, 1) + 0.0:+.1f}"


def _verdict_clause(result: Mapping[str, Any], sampling: SamplingConfig) -> str:
    better, worse = clearly_different(result["per_environment"], sampling.decision_probability)
    count = len(result["per_environment"])
    if result["verdict"] == "dominates":
        return f"it dominates {_everywhere(len(better), count, 'better', sampling)}"
    if result["verdict"] == "dominated":
        return f"it is dominated {_everywhere(len(worse), count, 'worse', sampling)}"
    if result["verdict"] == "incomparable":
        if result["probabilities"]["equivalent"] > result["probabilities"]["incomparable"]:
            most = f"{100 * sampling.epsilon:g} points"
            return f"neither dominates, as no environment differs by more than {most}"
        if better and worse:
            return f"neither dominates, as it is better in {listed(better)} and worse in {listed(worse)}"
        return "neither dominates"
    return _undecided_clause(result, sampling)


def clearly_different(
    environments: Mapping[str, Mapping[str, Any]], decision_probability: float
) -> tuple[list[str], list[str]]:
    """The environments in which the candidate is better, and worse, with at least that probability."""
    better, worse = (
        [name for name, entry in environments.items() if entry[key] >= decision_probability]
        for key in ("probability_better", "probability_worse")
    )
    return better, worse


def _everywhere(clear: int, count: int, word: str, sampling: SamplingConfig) -> str:
    """Where; on the other side none can be clear, as the verdict needs the same probability over all."""
    if clear < count:
        other = "worse" if word == "better" else "better"
        asked = f"P({word}) at least {sampling.decision_probability:g}"
        where = f"{clear} of {count} environments" if clear else "no environment by itself"
        return f"(clearly {word}, that is {asked}, in {where}; clearly {other} in none)"
    return "in the one environment" if count == 1 else f"in all {count} environments"


def _undecided_clause(result: Mapping[str, Any], sampling: SamplingConfig) -> str:
    dominates = result["probabilities"]["dominates"]
    if dominance_excluded(result, sampling.decision_probability):
        return f"it is unlikely to dominate (probability {dominates:.2f})"
    chance = f"it dominates with probability {dominates:.2f}"
    plan = result["further_tasks_per_environment"]
    if plan is None:
        return f"dominance is undecided ({chance}), and more tasks would not settle it at these rates"
    return f"dominance is undecided ({chance}; needs about {two_digits(plan):,} more tasks an environment)"


def _settings_clause(result: Mapping[str, Any]) -> str:
    names = list(result["setting_differences"])
    return f"; the two were evaluated with different {listed(names)}" if names else ""


def listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def two_digits(count: int) -> int:
    """Two significant digits: the plan is an estimate."""
    scale = 10 ** max(0, len(str(count)) - 2)
    return -(-count // scale) * scale


def _verdict_values(verdict: Verdict) -> dict[str, Any]:
    found = verdict.probabilities
    return {
        "verdict": verdict.label,
        "probabilities": {
            "dominates": found.dominates,
            "dominated": found.dominated,
            "incomparable": found.incomparable,
            "equivalent": found.equivalent,
        },
        "further_tasks_per_environment": verdict.further_tasks,
    }


def _macro(pairs: Mapping[str, Pairs], sampling: SamplingConfig, seed: int) -> dict[str, Any]:
    difference = macro_difference(
        [(pair.candidate_success, pair.baseline_success) for pair in pairs.values()],
        sampling.confidence_level,
        samples=sampling.bootstrap_samples,
        seed=seed,
    )
    tables = [_counts(pair) for pair in pairs.values()]
    draws = posterior_differences(tables, draws=sampling.bootstrap_samples, seed=seed)
    return {
        "candidate": float(np.mean([np.mean(pair.candidate_success) for pair in pairs.values()])),
        "baseline": float(np.mean([np.mean(pair.baseline_success) for pair in pairs.values()])),
        **_difference_values(difference),
        "probability_better": float(np.mean(np.mean(draws, axis=0) > 0.0)),
    }


def _unseen(
    candidate: Evaluation, baseline: Evaluation, sampling: SamplingConfig, seed: int
) -> dict[str, dict[str, Any]]:
    return _environments(pair_evaluations(candidate, baseline, unseen=True), sampling, seed)


def _environments(
    pairs: Mapping[str, Pairs], sampling: SamplingConfig, seed: int
) -> dict[str, dict[str, Any]]:
    tables = {name: _counts(pair) for name, pair in pairs.items()}
    adjusted = holm([mcnemar_p(table) for table in tables.values()])
    draws = posterior_differences(list(tables.values()), draws=sampling.bootstrap_samples, seed=seed)
    return {
        name: {
            **_environment(pairs[name], table, sampling, seed),
            "mcnemar_p_holm": corrected,
            **_posterior_values(table, gaps, sampling),
        }
        for (name, table), corrected, gaps in zip(tables.items(), adjusted, draws, strict=True)
    }


def _environment(pair: Pairs, table: PairedCounts, sampling: SamplingConfig, seed: int) -> dict[str, Any]:
    level, samples = sampling.confidence_level, sampling.bootstrap_samples
    success = paired_difference(
        pair.candidate_success, pair.baseline_success, level, samples=samples, seed=seed
    )
    score = paired_difference(pair.candidate_score, pair.baseline_score, level, samples=samples, seed=seed)
    share = discordant_interval(table, level)
    return {
        "num_tasks": table.num_pairs,
        "num_excluded": pair.excluded,
        "candidate": float(np.mean(pair.candidate_success)),
        "baseline": float(np.mean(pair.baseline_success)),
        **_difference_values(success),
        "both": table.both,
        "only_candidate": table.only_candidate,
        "only_baseline": table.only_baseline,
        "neither": table.neither,
        "num_discordant": table.num_discordant,
        "discordant_share": {"lower": share.lower, "upper": share.upper},
        "mean_score": _difference_values(score),
        "mcnemar_p": mcnemar_p(table),
    }


def _posterior_values(table: PairedCounts, gaps: np.ndarray, sampling: SamplingConfig) -> dict[str, Any]:
    interval = quantile_interval(gaps, sampling.confidence_level)
    better, worse = probabilities_of_gap(table, sampling.epsilon)
    return {
        "posterior_interval": {"lower": interval.lower, "upper": interval.upper},
        "probability_better": better,
        "probability_worse": worse,
    }


def _difference_values(difference: Difference) -> dict[str, float]:
    return {
        "difference": difference.estimate,
        "lower": difference.interval.lower,
        "upper": difference.interval.upper,
    }


def _counts(pair: Pairs) -> PairedCounts:
    """The paired table, of one play a task."""
    return count_pairs(pair.candidate_first, pair.baseline_first)
