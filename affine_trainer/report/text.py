"""A run in plain words: summary_report.txt."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich.console import Console

from affine_trainer.report.costs import phases
from affine_trainer.report.readings import lineage, verdicts
from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.tables import comparison_table, evaluation_table
from affine_trainer.report.traced import count, duration

WIDTH = 110


def summary_text(runs: Sequence[RunFiles]) -> str:
    """Verdicts first, then comparisons and evaluations as tables, time by stage, and where it came from."""
    console = Console(width=WIDTH, file=io.StringIO(), record=True, color_system=None)
    for run in runs:
        for part in _parts(run):
            console.print(part, markup=False, highlight=False)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines()) + "\n"


def _parts(run: RunFiles) -> Iterator[object]:
    yield f"Run {run.name}\n{'=' * (4 + len(run.name))}\n"
    found = verdicts(run)
    for verdict in found:
        yield f"{verdict.result['sentence']}\n"
    if not found:
        yield "Not compared yet: run `affine compare`.\n"
    if run.comparison is not None:
        for verdict in found:
            yield comparison_table(run.comparison.raw, verdict.baseline)
            yield ""
    for label, summary in run.evaluations.items():
        yield evaluation_table(summary.raw, f"evaluation of {label}")
        yield ""
    costs = phases(run)
    if costs:
        yield "Time by stage"
    for phase in costs:
        tokens = f", {count(phase.tokens.raw)} tokens {phase.did}" if phase.tokens else ""
        yield f"  {phase.name:<12} {duration(phase.seconds.raw)}{tokens}"
    yield "\nFolders"
    for link in lineage(run):
        made = str(link.manifest["created"])[:16].replace("T", " ")
        yield f"  {link.folder:<36} {made}  {str(link.manifest['fingerprint'])[:10]}"
    yield ""
