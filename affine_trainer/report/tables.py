"""Summaries and comparisons as console tables and Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from affine_trainer.report.comparison import points
from affine_trainer.report.environment_cell import add_environment_column
from affine_trainer.report.front import front_sentence
from affine_trainer.report.gate import gate_sentence
from affine_trainer.report.replay_table import replay_caption, replay_headings, replay_notes, replay_rows

UNSEEN_MARK = "unseen families"
POLICY_WIDTH = 22  # a trivial policy with its rate; 80 columns have room for no more
MAX_HEADING = 12
COMPACT: Any = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}


def evaluation_table(summary: Mapping[str, Any], title: str) -> Table:
    """One row an environment of evaluation.json, trivial policies beside the model, and the macro mean."""
    level = f"{100 * summary['statistics']['confidence_level']:g} %"
    table = Table(title=title, title_justify="left", show_footer=True, **COMPACT)
    macro = summary["success"]["macro"]
    names = add_environment_column(table, [name for name, _ in _rows(summary)], footer="macro")
    heading = "samples" if summary["settings"].get("samples_per_task", 1) > 1 else "tasks"
    table.add_column(heading, justify="right", footer=f"{summary['total_samples']:,}", no_wrap=True)
    table.add_column("success", justify="right", footer=percent(macro["rate"]), no_wrap=True)
    table.add_column(f"{level} interval", justify="right", footer=_range(macro), no_wrap=True)
    repeated = next((r["pass_at_k"][-1]["k"] for _, r in _rows(summary) if r.get("pass_at_k")), None)
    if repeated:
        table.add_column(f"pass@{repeated}", justify="right", no_wrap=True)
    policies = [_trivial(result["trivial_policies"]) for _, result in _rows(summary)]
    roomy = not repeated and max(map(len, "\n".join(policies).splitlines()), default=0) <= POLICY_WIDTH
    table.add_column("trivial policies", no_wrap=roomy, overflow="fold")
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("errors", justify="right", footer=f"{summary['errors']:,}", no_wrap=True)
    for name, floors, (_, result) in zip(names, policies, _rows(summary), strict=True):
        table.add_row(
            name,
            f"{result['num_samples']:,}",
            percent(result["accuracy"]),
            _range(result["confidence_interval"]),
            *([_pass_rate(result, repeated)] if repeated else []),
            floors,
            _number(result["tokens_per_task"]["completion"]),
            f"{result['errors']:,}",
        )
    return table


def comparison_table(comparison: Mapping[str, Any], baseline: str) -> Table:
    """Candidate against one baseline, a row an environment; differences in percentage points."""
    result = comparison["baselines"][baseline]
    candidate = comparison["candidate"]["label"]
    title = f"{candidate} against {baseline}"
    table = Table(title=title, title_justify="left", **COMPACT)
    first, *others = _headings(comparison, baseline)
    entries = list(_comparison_entries(result))
    names = add_environment_column(table, [name for name, _ in entries], first)
    narrow = {
        "baseline": "base-\nline",
        "candidate": "candi-\ndate",
    }  # where labels are too long for a column
    for heading in others:
        table.add_column(narrow.get(heading, heading), justify="right", no_wrap=True)
    for name, (plain, entry) in zip(names, entries, strict=True):
        cells = _comparison_row(plain, entry)
        difference = Text(cells[4], style=_colour(entry))
        table.add_row(name, *cells[1:4], difference, *cells[5:])
    return table


def comparison_markdown(comparison: Mapping[str, Any]) -> str:
    """The whole comparison as Markdown: per baseline the sentence, then the table."""
    parts = [f"# {comparison['candidate']['label']} compared\n"]
    if len(comparison["baselines"]) > 1:
        parts.append(_escaped(comparison["sentence"]) + "\n")
    level = comparison["statistics"]["confidence_level"]
    for baseline, result in comparison["baselines"].items():
        rows = [_comparison_row(name, entry) for name, entry in _comparison_entries(result)]
        parts.append(f"## Against {baseline}\n\n{_escaped(result['sentence'])}\n")
        parts.append(markdown_table(_headings(comparison, baseline), rows))
        parts.append(f"Verdict: **{result['standing']}**. {_probabilities(result)}\n")
        parts.append(_escaped(gate_sentence(result["regression_gate"], baseline, level)) + "\n")
    parts.append(f"## All together\n\n{_escaped(front_sentence(comparison['front']))}\n")
    parts.append("## Under the validators' rules\n")
    parts.append(markdown_table(replay_headings(comparison), replay_rows(comparison)))
    parts.append(f"{_escaped(replay_caption(comparison))}\n")
    parts += [f"{_escaped(note)}\n" for note in replay_notes(comparison)]
    parts.append(_method_note(comparison["statistics"]))
    return "\n".join(parts)


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal; a dash where nothing was graded."""
    return "–" if share is None else f"{100 * share:.1f} %"


def _rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from summary["per_environment"].items()
    for name, result in summary["slices"]["unseen_families"].items():
        yield f"{name} ({UNSEEN_MARK})", result


def _pass_rate(result: Mapping[str, Any], k: int) -> str:
    """The pass@k of an environment; a dash where none of its tasks has as many graded samples."""
    rates = {entry["k"]: entry["rate"] for entry in result.get("pass_at_k", ())}
    return percent(rates.get(k))


def _trivial(policies: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(f"{name} {percent(result['accuracy'])}" for name, result in policies.items()) or "–"


def _headings(comparison: Mapping[str, Any], baseline: str) -> list[str]:
    level = f"{100 * comparison['statistics']['confidence_level']:g} %"
    labels = [baseline, comparison["candidate"]["label"]]
    if max(map(len, labels)) > MAX_HEADING:  # a folder's path would squeeze the figures; the title names both
        labels = ["baseline", "candidate"]
    return [
        "environment",
        "tasks",
        *labels,
        "points",
        f"{level} interval",
        "p (Holm)",
        "P(better)",
    ]


def _comparison_entries(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from result["per_environment"].items()
    yield "macro", {**result["macro"], "num_tasks": result["num_tasks"]}
    for name, entry in result["slices"]["unseen_families"].items():
        yield f"{name} ({UNSEEN_MARK})", entry


def _comparison_row(name: str, entry: Mapping[str, Any]) -> list[str]:
    p_value = entry.get("mcnemar_p_holm")  # the macro mean has none
    return [
        name,
        f"{entry['num_tasks']:,}",
        percent(entry["baseline"]),
        percent(entry["candidate"]),
        points(entry["difference"]),
        f"{points(entry['lower'])} to {points(entry['upper'])}",
        "" if p_value is None else f"{p_value:.2g}",
        f"{entry['probability_better']:.3f}",
    ]


def _colour(entry: Mapping[str, Any]) -> str:
    """Green or red where the whole interval lies on one side of zero."""
    if entry["lower"] > 0.0:
        return "green"
    return "red" if entry["upper"] < 0.0 else ""


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    lines = [" | ".join(map(_escaped, cells)) for cells in (headings, rule, *rows)]
    return "".join(f"| {line} |\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _probabilities(result: Mapping[str, Any]) -> str:
    return ", ".join(f"P({name}) = {share:.3f}" for name, share in result["probabilities"].items()) + "."


def _method_note(statistics: Mapping[str, Any]) -> str:
    return (
        "Differences are in percentage points of success on shared tasks; intervals resample tasks "
        f"({statistics['bootstrap_samples']:,} times, seed {statistics['seed']}), within each environment "
        "for the macro mean. p is McNemar's exact test, corrected by Holm over the environments. Dominance: "
        f"better by more than {100 * statistics['epsilon']:g} points somewhere and worse by more nowhere, "
        f"with probability {statistics['decision_probability']:g} or more from the paired posteriors.\n"
    )


def _range(interval: Mapping[str, Any]) -> str:
    return f"{100 * interval['lower']:.1f} – {100 * interval['upper']:.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"
