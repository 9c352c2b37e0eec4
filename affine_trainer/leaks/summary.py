"""The audit as JSON, as console tables, and as Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from affine_trainer.envs.program_rows import GENERATED_FAMILIES
from affine_trainer.leaks.known import PUBLISHED, public_id
from affine_trainer.leaks.overlaps import EXACT, MAX_EXAMPLES, Match, counted, named
from affine_trainer.leaks.problem import Problem
from affine_trainer.report.environment_cell import add_environment_column
from affine_trainer.report.tables import COMPACT

SCHEMA_VERSION = 1
NUMBERS = {"problems", "leaks", "near", "share", "count"}
NEAR = "near-duplicates (a warning)"
EXAMPLE = "for example"

Entry = Mapping[str, Any]


def summarise_audit(
    problems: Sequence[Problem], matches: Sequence[Match], notes: Sequence[str]
) -> dict[str, Any]:
    """audit.json. A problem with several matches counts once: as a leak if one of them is exact."""
    leaked = {id(match.held) for match in matches if match.kind in EXACT}
    near = {id(match.held) for match in matches} - leaked
    held: defaultdict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        if problem.role != "training":
            held[problem.place, problem.name].append(problem)
    report = {
        "schema_version": SCHEMA_VERSION,
        "leaks": len(leaked),
        "near_duplicates": len(near),
        "places": list(_places(problems)),
        "held": [
            {
                "place": place,
                "tasks": name,
                "environment": group[0].env,
                "problems": len(group),
                "leaks": (leaks := sum(id(problem) in leaked for problem in group)),
                "near_duplicates": (likes := sum(id(problem) in near for problem in group)),
                "leaked_share": leaks / len(group),
                "near_share": likes / len(group),
            }
            for (place, name), group in sorted(held.items())
        ],
        "findings": counted(matches, problems),
        "public_ids": list(_public(problems)),
        "notes": list(notes),
    }
    return {"verdict": _verdict(report), **report}


def _places(problems: Sequence[Problem]) -> Iterator[dict[str, Any]]:
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for problem in problems:
        counts[problem.place, problem.role][problem.env] += 1
    for (place, role), by_env in counts.items():
        yield {"place": place, "role": role, "problems": dict(sorted(by_env.items()))}


def _public(problems: Sequence[Problem]) -> Iterator[dict[str, Any]]:
    """Problems that are a validator's own, by place and environment."""
    sizes = Counter((problem.place, problem.env) for problem in problems)
    found: defaultdict[tuple[str, str], list[tuple[Problem, str]]] = defaultdict(list)
    for problem in problems:
        if public := public_id(problem):
            found[problem.place, problem.env].append((problem, public))
    for (place, env), group in sorted(found.items()):
        yield {
            "place": place,
            "role": group[0][0].role,
            "environment": env,
            "published": PUBLISHED,
            "count": len(group),
            "of": sizes[place, env],
            "share": len(group) / sizes[place, env],
            "examples": [named(problem) | {"public_id": name} for problem, name in group[:MAX_EXAMPLES]],
        }


def _verdict(report: Entry) -> str:
    total = sum(entry["problems"] for entry in report["held"])
    near = report["near_duplicates"]
    shared = ", as generated programs share their families by design and differ in constants"
    generated = any(
        entry["near_duplicates"] and entry["tasks"].endswith(f"@{GENERATED_FAMILIES[0]}")
        for entry in report["held"]
    )
    more = f"; {near:,} more are near-duplicates{shared if generated else ''}"
    warning = more if near else "; no near-duplicates were found"
    if not total:
        return "nothing was held back for validation or evaluation here, so nothing could leak"
    if report["leaks"]:
        return f"LEAK: {report['leaks']:,} of {total:,} held-out problems were seen before{warning}"
    return f"no leak: none of {total:,} held-out problems was seen before{warning}"


def audit_tables(report: Entry) -> list[Table]:
    """What was held out, what was found, and the validators' public tasks; tables with rows only.

    Examples of near-duplicates, and the folders of the run's own files, are left to the Markdown.
    """
    own = tuple(f"{folder}/{report.get('run')}/" for folder in ("data", "logs"))
    return [_table(title, heading, rows, own) for title, heading, rows in _content(report) if rows]


def _table(
    title: str, heading: Sequence[str], rows: Sequence[Sequence[str]], own_folders: Sequence[str]
) -> Table:
    shown = [place for place, name in enumerate(heading) if title != NEAR or name != EXAMPLE]
    table = Table(title=title, title_justify="left", **COMPACT)
    names = add_environment_column(table, [row[0] for row in rows], heading[0])
    for place in shown[1:]:
        name = heading[place]
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for name, row in zip(names, rows, strict=True):
        table.add_row(name, *(_without(row[place], own_folders) for place in shown[1:]))
    return table


def _without(text: str, folders: Sequence[str]) -> str:
    """The text without the folder that it may begin with."""
    return next((text.removeprefix(folder) for folder in folders if text.startswith(folder)), text)


def _content(report: Entry) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    """Title, heading and rows of every table."""
    held = [
        (
            entry["tasks"],
            entry["place"],
            f"{entry['problems']:,}",
            f"{entry['leaks']:,}",
            f"{entry['near_duplicates']:,}",
            _percent(entry["near_share"]),
        )
        for entry in report["held"]
    ]
    title = "held-out problems; seen in training: the same (leaks), nearly (near)"
    yield title, ("tasks", "place", "problems", "leaks", "near", "share"), held
    for exact, title in ((True, "leaks"), (False, NEAR)):
        rows = [
            (
                entry["environment"],
                entry["kind"],
                entry["seen"],
                entry["held"],
                f"{entry['count']:,}",
                _percent(entry["share"]),
                example(entry["examples"][0]),
            )
            for entry in report["findings"]
            if entry["exact"] is exact
        ]
        yield title, ("environment", "kind", "seen in", "held in", "count", "share", EXAMPLE), rows
    public = [
        (
            entry["environment"],
            entry["place"],
            f"{entry['count']:,}",
            _percent(entry["share"]),
            entry["examples"][0]["public_id"],
        )
        for entry in report["public_ids"]
    ]
    heading = ("environment", "place", "count", "share", EXAMPLE)
    yield "tasks that validators played in public", heading, public


def example(entry: Entry) -> str:
    """Both ends of a match: `line 3 is affine:sat@small/17`."""
    seen, held = (
        " ".join(part for part in (end["where"], end["key"]) if part) or "a problem without a key"
        for end in (entry["seen"], entry["held"])
    )
    return f"{seen} is like {held}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def audit_markdown(report: Entry) -> str:
    """audit.md: the verdict, the tables, and the notes."""
    lines = ["# Leak report", "", report["verdict"] + ".", ""]
    for title, heading, rows in _content(report):
        if rows:
            lines += [f"## {title[0].upper()}{title[1:]}", ""]
            lines += [_line(heading), _line(["---"] * len(heading)), *map(_line, rows), ""]
    if report["notes"]:
        lines += ["## Notes", "", *(f"- {note}" for note in report["notes"]), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
