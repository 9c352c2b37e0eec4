"""The replay under the scoring profiles as rows and a console table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rich import box
from rich.table import Table


def replay_headings(comparison: Mapping[str, Any]) -> list[str]:
    """Of the columns of `replay_rows`."""
    share = f"share of {_num_models(comparison)}"
    return ["rules", "committed", "against", "verdict", "envs won", "envs lost", share]


def replay_rows(comparison: Mapping[str, Any], names: Collection[str] | None = None) -> list[list[str]]:
    """One row a profile, order of commitment and baseline; `names` picks profiles, None all.

    The share is one of all models together: it stands in the first row of its order alone.
    """
    candidate = comparison["candidate"]["label"]
    return [
        [
            name,
            order,
            label,
            against["verdict"],
            str(against["environments_ahead"]),
            str(against["environments_behind"]),
            "" if place else f"{100 * found['shares'][candidate]:.1f} %",
        ]
        for name, profile in _chosen(comparison, names)
        for order, found in profile["orders"].items()
        for place, (label, against) in enumerate(found["against"].items())
    ]


def replay_table(comparison: Mapping[str, Any], names: Collection[str] | None = None) -> Table:
    """The rows for the console."""
    title = "the same results under the validators' rules"
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
    for place, heading in enumerate(replay_headings(comparison)):
        table.add_column(heading, justify="right" if place >= 4 else "left", no_wrap=place != 2)
    for row in replay_rows(comparison, names):
        table.add_row(*row)
    return table


def replay_caption(comparison: Mapping[str, Any]) -> str:
    """How to read the rows."""
    candidate = comparison["candidate"]["label"]
    count = _num_models(comparison)
    return (
        f"verdict: {candidate} against that one model by the rule over all environments together, were it "
        "committed after (last) or before (first) the others. envs won, envs lost: environments in which the "
        "rule, taken there alone, puts it ahead of that model, and behind it; in some neither, and "
        "pareto-2025-09 may count one on both sides. "
        f"share of {count}: what {candidate} would get of the emission, were these {count} models alone."
    )


def replay_notes(comparison: Mapping[str, Any], names: Collection[str] | None = None) -> list[str]:
    """What the rows cannot say: profiles that ask for more samples than there are."""
    notes = []
    for name, profile in _chosen(comparison, names):
        short = profile["orders"]["last"]["too_few_samples"]
        lacking = {environment: lack for each in short.values() for environment, lack in each.items()}
        if lacking:
            notes.append(
                f"{name}: too few samples for a share in {', '.join(sorted(lacking))}; "
                f"up to {max(lacking.values()):,} more an environment are needed."
            )
    return notes


def _chosen(
    comparison: Mapping[str, Any], names: Collection[str] | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, profile in comparison["scoring"].items():
        if names is None or name in names:
            yield name, profile


def _num_models(comparison: Mapping[str, Any]) -> int:
    return 1 + len(comparison["baselines"])
