"""A run's tables as LaTeX (booktabs) and as Markdown, for a paper or a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affine_trainer.artifacts import write_atomic
from affine_trainer.report.page import published_results
from affine_trainer.report.readings import UNSEEN, environment_results, verdicts
from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.traced import Traced, count, p_value, percent, points, probability, short

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
        "–": "--", "→": r"$\rightarrow$", "≤": r"$\leq$",
    }
)  # fmt: skip
PAIRED = ("points", "interval", "p (Holm)", "P(better)")
OVERLAYS = ("overlay", "mean", "interval", "difference", "its interval", "p (Holm)", "seeds")
MARKDOWN = str.maketrans({"|": r"\|", "\n": " ", "<": "&lt;"})


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table of finished cells; the first column holds names, the others figures."""

    name: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_tables(
    runs: Sequence[RunFiles], experiments: Mapping[str, Mapping[str, Traced]], folder: Path
) -> list[Path]:
    """Write NAME.tex and NAME.md of every table into `folder`, in a folder a run where there are several."""
    wanted = [
        (folder / run.name if len(runs) > 1 else folder, table) for run in runs for table in run_tables(run)
    ]
    wanted += [(folder, table) for table in experiment_tables(experiments)]
    wanted.append((folder, published_table()))
    written = []
    for place, table in wanted:
        place.mkdir(parents=True, exist_ok=True)
        for suffix, text in ((".tex", latex(table)), (".md", markdown(table))):
            written.append(place / f"{table.name}{suffix}")
            write_atomic(written[-1], text)
    return written


def run_tables(run: RunFiles) -> Iterator[PlainTable]:
    """Success by environment and model, and each paired comparison."""
    if run.evaluations:
        yield _environments(run)
    for verdict in verdicts(run):
        headings = ("environment", "tasks", verdict.baseline, verdict.candidate, *PAIRED)
        rows = [_paired(name, entry) for name, entry in verdict.rows]
        macro = verdict.result["macro"]
        rows.append(_paired("macro", Traced({**macro.raw, "num_tasks": verdict.result["num_tasks"].raw}, "")))
        name = f"{verdict.candidate}_against_{verdict.baseline}".replace("/", "-")
        yield PlainTable(name, str(verdict.result["sentence"]), headings, tuple(rows))


def experiment_tables(experiments: Mapping[str, Mapping[str, Traced]]) -> Iterator[PlainTable]:
    """The tables of every experiment: each overlay's mean over seeds and its difference to the baseline's."""
    for experiment, files in experiments.items():
        for content in files.values():
            for place, table in enumerate(content.get("tables") or ()):
                rows = tuple(_overlay(name, row) for name, row in table["rows"].entries())
                yield PlainTable(f"{experiment}_{place + 1}", str(table["title"]), OVERLAYS, rows)


def published_table() -> PlainTable:
    """Published results, as on the page."""
    rows = tuple(
        (r["what"], r["value"], r["protocol"], r["n"], r["source"],
         f"{'comparable' if r['comparable'] else 'not comparable'}: {r['why']}")
        for r in published_results()
    )  # fmt: skip
    headings = ("what", "value", "protocol", "n", "source", "comparable")
    return PlainTable("published", "Published results", headings, rows)


def latex(table: PlainTable) -> str:
    """A tabular with booktabs' rules; `% \\usepackage{booktabs}` is said in it."""
    lines = [r"% \usepackage{booktabs}", rf"% {table.caption}".replace("\n", " ")]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(table.headings) - 1)}}}", r"\toprule"]
    lines += [
        _latex_row(table.headings),
        r"\midrule",
        *map(_latex_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def markdown(table: PlainTable) -> str:
    """A pipe table under its caption."""
    rule = ("---", *("---:",) * (len(table.headings) - 1))
    cells = [[cell.translate(MARKDOWN) for cell in row] for row in (table.headings, rule, *table.rows)]
    return f"{table.caption.translate(MARKDOWN)}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _latex_row(cells: Sequence[str]) -> str:
    """One line, with minus signs where a number is negative."""
    text = " & ".join(cell.translate(LATEX) for cell in cells)
    return re.sub(r"(?<![\w.}$-])-(?=\d)", "$-$", text) + r" \\"


def _environments(run: RunFiles) -> PlainTable:
    labels = list(run.evaluations)
    rows = []
    for environment in environment_results(run):
        entries = {model.label: model.entry for model in environment.models}
        name = f"{environment.name} ({UNSEEN})" if environment.unseen else environment.name
        tasks = count(environment.models[0].entry["num_samples"].raw)
        cells = [_share(entries[label]) if label in entries else "–" for label in labels]
        floor = environment.best_floor
        best = f"{floor[0]} {percent(floor[1]['accuracy'].raw)}" if floor else "–"
        rows.append((name, tasks, *cells, best))
    caption = f"Tasks solved in run {run.name}, with intervals"
    headings = ("environment", "tasks", *labels, "best that does not try")
    return PlainTable("environments", caption, headings, tuple(rows))


def _share(entry: Traced) -> str:
    if entry["accuracy"].raw is None:
        return "–"
    ends = entry["confidence_interval"]
    return f"{percent(entry['accuracy'].raw)} ({100 * ends['lower'].raw:.1f} – {100 * ends['upper'].raw:.1f})"


def _paired(name: str, entry: Traced) -> tuple[str, ...]:
    value = entry.raw
    return (
        name,
        count(value["num_tasks"]),
        percent(value["baseline"]),
        percent(value["candidate"]),
        points(value["difference"]),
        f"{points(value['lower'])} to {points(value['upper'])}",
        p_value(value["mcnemar_p_holm"]) if "mcnemar_p_holm" in value else "",
        probability(value["probability_better"]),
    )


def _overlay(name: str, row: Traced) -> tuple[str, ...]:
    difference = row.get("difference")
    gap = [_number(difference, key) for key in ("mean", "lower", "upper")]
    return (
        name,
        _number(row, "mean"),
        f"{_number(row, 'lower')} to {_number(row, 'upper')}",
        gap[0],
        f"{gap[1]} to {gap[2]}" if difference else "–",
        _number(difference, "p_holm"),
        _number(row, "num_seeds"),
    )


def _number(item: Traced | None, key: str) -> str:
    found = item.get(key) if item is not None else None
    return "–" if found is None else short(found.raw)
