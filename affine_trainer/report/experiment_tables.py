"""An experiment's results as console tables and Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from affine_trainer.report.tables import COMPACT, markdown_table

IN_PERCENT = ("success", "accuracy")
MAIN_TABLES = 4  # the rest, one an environment, is for the files


def experiment_tables(summary: Mapping[str, Any]) -> Iterator[Table]:
    """The main tables for the console."""
    for entry in summary["tables"][:MAIN_TABLES]:
        table = Table(title=_title(entry), title_justify="left", **COMPACT)
        first, *others = _headings(summary)
        table.add_column(first)
        for heading in others:
            table.add_column(heading, justify="right", no_wrap=True)
        for cells, difference in _rows(entry, summary["baseline"]):
            *start, gap, interval, p_value = cells
            table.add_row(*start, Text(gap, style=_colour(difference)), interval, p_value)
        yield table


def experiment_markdown(summary: Mapping[str, Any]) -> str:
    """Everything as Markdown: how the figures were made, the tables, the cells."""
    parts = [f"# Experiment {summary['name']}\n", method_note(summary) + "\n"]
    for entry in summary["tables"]:
        rows = [cells for cells, _ in _rows(entry, summary["baseline"])]
        parts.append(f"## {_title(entry)}\n\n{entry['rule']}.\n\n{markdown_table(_headings(summary), rows)}")
    headings = ["cell", "state", "iterations", "tokens", "seconds"]
    parts.append("## Cells\n\n" + markdown_table(headings, [_cell_row(cell) for cell in summary["cells"]]))
    failed = [f"- {cell['run']}: {cell['failure']}\n" for cell in summary["cells"] if cell["failure"]]
    return "\n".join(parts) + ("\n" + "".join(failed) if failed else "")


def method_note(summary: Mapping[str, Any]) -> str:
    """What the figures are, in a paragraph."""
    done = sum("curve" in cell for cell in summary["cells"])
    level = f"{100 * summary['confidence_level']:g} %"
    return (
        f"{done} of {len(summary['cells'])} cells, seeds {', '.join(map(str, summary['seeds']))}. Intervals "
        f"are {level}, {summary['interval']}; differences are to `{summary['baseline']}` at the same seed, "
        "p is the paired t test's, corrected by Holm over the overlays. Tokens are all that were sampled to "
        "learn from, time is that of iterations; validations count in neither."
        + ("" if len(summary["seeds"]) > 1 else " One seed gives no interval: nothing can be told apart.")
    )


def _title(entry: Mapping[str, Any]) -> str:
    return f"{entry['title']} ({entry['metric']})"


def _headings(summary: Mapping[str, Any]) -> list[str]:
    level = f"{100 * summary['confidence_level']:g} %"
    return ["overlay", "seeds", "mean", f"{level} t", "difference", f"{level} paired t", "p (Holm)"]


def _rows(entry: Mapping[str, Any], baseline: str) -> Iterator[tuple[list[str], Mapping[str, Any] | None]]:
    scale = 100.0 if any(word in entry["metric"] for word in IN_PERCENT) else 1.0
    digits = 1 if scale > 1.0 else 3

    def number(value: float | None, sign: str = "") -> str:
        return "–" if value is None else f"{scale * value:{sign}.{digits}f}"

    for name, row in entry["rows"].items():
        if row is None:
            yield [name, "0", *["–"] * 5], None
            continue
        mean = number(row["mean"]) + (" %" if scale > 1.0 else "")
        cells = [name, str(row["num_seeds"]), mean, _range(row, number)]
        difference = row["difference"]
        if difference is None:
            yield [*cells, "baseline" if name == baseline else "–", "", ""], None
            continue
        p_value = difference["p_holm"]
        yield (
            [
                *cells,
                number(difference["mean"], "+"),
                _range(difference, lambda value: number(value, "+")),
                "–" if p_value is None else f"{p_value:.2g}",
            ],
            difference,
        )


def _range(row: Mapping[str, Any], number: Any) -> str:
    return "–" if row["lower"] is None else f"{number(row['lower'])} to {number(row['upper'])}"


def _colour(difference: Mapping[str, Any] | None) -> str:
    """Green or red where the whole interval lies on one side of zero."""
    if difference is None or difference["lower"] is None:
        return ""
    if difference["lower"] > 0.0:
        return "green"
    return "red" if difference["upper"] < 0.0 else ""


def _cell_row(cell: Mapping[str, Any]) -> Sequence[str]:
    if "curve" not in cell:
        return [cell["run"], cell["state"], "–", "–", "–"]
    return [
        cell["run"],
        cell["state"],
        str(cell["iterations"]),
        f"{cell['tokens']:,.0f}",
        f"{cell['seconds']:,.0f}",
    ]
