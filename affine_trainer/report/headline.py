"""How a candidate stands to its baselines, in the same words on the console, in JSON, status and page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNDECIDED = "undecided"


def macro_word(result: Mapping[str, Any]) -> str:
    """better or worse where the macro interval lies on one side of zero, same tasks or level otherwise."""
    macro = result["macro"]
    entries = result["per_environment"].values()
    if not any(entry["num_discordant"] or entry["difference"] for entry in entries):
        return "same tasks"
    return "better" if macro["lower"] > 0.0 else "worse" if macro["upper"] < 0.0 else "level"


def dominance_excluded(result: Mapping[str, Any], decision_probability: float) -> bool:
    """Whether it is as sure that the candidate does not dominate as a verdict needs to be."""
    return bool(result["probabilities"]["dominates"] < 1.0 - decision_probability)


def standing(result: Mapping[str, Any], decision_probability: float) -> str:
    """The verdict; where it is undecided, what the macro difference says, and whether dominance is open."""
    word = macro_word(result)
    if result["verdict"] != UNDECIDED or word not in ("better", "worse"):
        return str(result["verdict"])
    return f"{word} {_on_the_whole(result, decision_probability)}"


def headline(candidate: str, results: Mapping[str, Mapping[str, Any]], decision_probability: float) -> str:
    """All baselines in one line: `rl dominates base and is not clearly different from sft`."""
    parts = [_relation(label, result, decision_probability) for label, result in results.items()]
    return f"{candidate} {(', and ' if any(',' in part for part in parts) else ' and ').join(parts)}"


def _relation(baseline: str, result: Mapping[str, Any], decision_probability: float) -> str:
    word = macro_word(result)
    decided = {
        "dominates": f"dominates {baseline}",
        "dominated": f"is dominated by {baseline}",
        "incomparable": f"neither dominates nor is dominated by {baseline}",
    }
    if word == "same tasks":
        return f"solves the same tasks as {baseline}"
    if result["verdict"] != UNDECIDED:
        return decided[result["verdict"]]
    if word == "level":
        return f"is not clearly different from {baseline}"
    return f"is {word} than {baseline} {_on_the_whole(result, decision_probability)}"


def _on_the_whole(result: Mapping[str, Any], decision_probability: float) -> str:
    excluded = dominance_excluded(result, decision_probability)
    return f"on the whole (macro), {'unlikely to dominate' if excluded else 'dominance undecided'}"
