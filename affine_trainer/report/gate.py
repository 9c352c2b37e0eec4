"""The regression gate over all environments, and what it says in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affine_trainer.config import SamplingConfig
from affine_trainer.stats import PairedCounts, regression

LEAST_SHARE = 0.98  # of the baseline's success rate; the champion duel asks for the same


def regression_gate(
    tables: Mapping[str, PairedCounts], sampling: SamplingConfig, *, seed: int = 0
) -> dict[str, Any]:
    """Per environment the candidate's rate over the baseline's, and whether any lies below 98 %.

    `passed` is about the rates as observed; `probability_passed` is the posterior probability that no
    environment's true rate is below (environments share no task, so theirs multiply); those in which the
    baseline solved nothing are left out, as only the prior speaks there.
    """
    entries, holds = {}, 1.0
    for name, table in tables.items():
        found = regression(
            table, LEAST_SHARE, sampling.confidence_level, draws=sampling.bootstrap_samples, seed=seed
        )
        holds *= 1.0 if found.ratio is None else 1.0 - found.probability
        entries[name] = {
            "ratio": found.ratio,
            "lower": found.interval.lower,
            "upper": found.interval.upper,
            "probability_below": found.probability,
            "below": found.failed,
        }
    failed = [name for name, entry in entries.items() if entry["below"]]
    return {
        "least_share": LEAST_SHARE,
        "passed": not failed,
        "failed": failed,
        "probability_passed": holds,
        "per_environment": entries,
    }


def gate_sentence(gate: Mapping[str, Any], baseline: str, level: float) -> str:
    """Whether the gate holds and how sure that is; names the environments below, else the least sure one."""
    entries = gate["per_environment"]
    chance = f"P(none is below) = {gate['probability_passed']:.2f}"
    asked = f"{100 * gate['least_share']:g} % of {baseline}"
    if gate["failed"]:
        shown = "; ".join(_entry(name, entries[name], level) for name in gate["failed"])
        return (
            f"Regression gate: below {asked} in {len(gate['failed'])} of {len(entries)}: {shown}. {chance}."
        )
    solved = [name for name, entry in entries.items() if entry["ratio"] is not None]
    if not solved:
        return f"Regression gate: {baseline} solved nothing, so nothing can be lost."
    least = max(solved, key=lambda name: entries[name]["probability_below"])
    return (
        f"Regression gate: no environment is below {asked}; {chance}, least sure "
        f"{_entry(least, entries[least], level)}."
    )


def gate_clause(gate: Mapping[str, Any], baseline: str) -> str:
    """What the verdict sentence adds: nothing while the gate holds."""
    entries = gate["per_environment"]
    parts = [
        f"{name} ({100 * entries[name]['ratio']:.1f} %, P(below) = {entries[name]['probability_below']:.2f})"
        for name in gate["failed"]
    ]
    asked = f"{100 * gate['least_share']:g} % of {baseline}"
    return f"; it falls below {asked} in {', '.join(parts)}" if parts else ""


def _entry(name: str, entry: Mapping[str, Any], level: float) -> str:
    below = f"P(below) = {entry['probability_below']:.2f}"
    interval = f"{100 * level:g} % interval {100 * entry['lower']:.1f} to {100 * entry['upper']:.1f}"
    return f"{name} ({100 * entry['ratio']:.1f} %, {interval}; {below})"
