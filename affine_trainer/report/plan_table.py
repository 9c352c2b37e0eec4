"""The plan as a console table and the words around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from affine_trainer.report.comparison import two_digits


def plan_table(plan: Mapping[str, Any]) -> Table:
    """One row a profile and order of commitment; chances in per cent."""
    title = f"{plan['candidate']} against {plan['baseline']}: would it win?"
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
    for heading in ("scoring", "order", "now"):
        table.add_column(heading, no_wrap=True)
    for heading in ("P(win)", "P(lose)", "to win", "to lose", "neither"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in plan["plans"]:
        table.add_row(
            row["scoring"],
            row["committed"],
            row["on_these_results"],
            f"{100 * row['win']:.1f} %",
            f"{100 * row['lose']:.1f} %",
            *(_further(row["further_samples"][outcome]) for outcome in ("win", "lose", "neither")),
        )
    return table


def plan_notes(plan: Mapping[str, Any]) -> list[str]:
    """How to read the table, and our own verdict beside the validators'."""
    asked, own = 100 * plan["decision_probability"], plan["own_verdict"]
    counts = plan["samples_evaluated"].values()
    evaluated = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    needs = own["further_samples"]
    error = max(200 * row["standard_error"] for row in plan["plans"])
    more = f", about {two_digits(needs):,} more tasks an environment would settle it" if needs else ""
    return [
        f"order: whether {plan['candidate']} is committed last or first. now: the rule on these results "
        f"({evaluated} samples an environment). P: over what is not known of the models and the validator's "
        f"draw ({plan['draws']:,} simulations, seed {plan['seed']}; two standard errors are at most "
        f"{error:.1f} points); the rest is neither: both share. to win, to lose, neither: how many more "
        f"samples an environment give that outcome {asked:g} % at the rates observed (now: these do; –: no "
        "number does).",
        f"Our own verdict: {own['verdict']} (P(dominates) = {own['probability_dominates']:.2f}, epsilon "
        f"{100 * own['epsilon']:g} points{more}).",
    ]


def _further(number: int | None) -> str:
    """`now`, `+12,000`, or a dash where no number settles it."""
    if number is None:
        return "–"
    return f"+{two_digits(number):,}" if number else "now"
