"""One program of the corpus put to the test: what a hostile one got away with, how a benign one differs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from affine_trainer.sandbox import Limits, ProgramRun
from affine_trainer.sandbox.host import Worker
from tests.sandbox.corpus import HOSTILE, Program
from tests.sandbox.trap import Trap

LIMITS = Limits(cpu_seconds=0.3, wall_seconds=60.0, memory_mib=256, output_bytes=100_000)
BENIGN_LIMITS = Limits(cpu_seconds=10.0)
INHERITED_BYTES = 40 << 20  # what the interpreter occupies before a program starts
GREEDY_ENDS = {"memory", "cpu_timeout", "wall_timeout"}

# Those that only take time or memory meet the same limits at every level.
NOT_GREEDY = [p for p in HOSTILE if not GREEDY_ENDS & set(p.verdicts) or "ok" in p.verdicts]


def limits_for(program: Program) -> Limits:
    """Little time for those that take it all, enough for those that first fill the memory."""
    if program.verdicts == ("wall_timeout",):
        return replace(LIMITS, wall_seconds=1.0)
    return replace(LIMITS, cpu_seconds=5.0) if "memory" in program.verdicts else LIMITS


def attack(worker: Worker, trap: Trap, program: Program) -> ProgramRun:
    """Let a hostile program loose on the trap."""
    return worker.run(trap.aim(program.text).encode("utf-8", "surrogatepass"), b"", limits_for(program))


def complaint(worker: Worker, trap: Trap, program: Program) -> str | None:
    """What is wrong with how a hostile program ended or what it left behind; None when it was contained."""
    run = attack(worker, trap, program)
    if harm := trap.harm(run):
        return harm
    if run.verdict not in program.verdicts:
        return f"ended in {run}"
    if run.peak_rss_bytes > (LIMITS.memory_mib << 20) + INHERITED_BYTES:
        return f"occupied {run.peak_rss_bytes} bytes"
    after = worker.run(b"print(input())", b"still right", LIMITS)
    return None if after.stdout == "still right\n" else f"the next program ended in {after}"


def difference(worker: Worker, program: Program, folder: Path) -> str | None:
    """How a benign program differs from what it does in a plain interpreter; None when it does not."""
    plain = _plain(program, folder)
    source, stdin = (text.encode("utf-8", "surrogatepass") for text in (program.text, program.stdin))
    run = worker.run(source, stdin, BENIGN_LIMITS)
    expected = (
        "ok" if plain.returncode == 0 else "error",
        plain.returncode,
        plain.stdout.decode(),
        _last_line(plain.stderr.decode()),
    )
    found = run.verdict, run.exit_code, run.stdout, _last_line(run.stderr)
    return None if found == expected else f"{found} and not {expected}: {run.stderr}"


def _plain(program: Program, folder: Path) -> subprocess.CompletedProcess[bytes]:
    (folder / "prog.py").write_text(program.text, encoding="utf-8")
    (folder / "stdin").write_text(program.stdin, encoding="utf-8", newline="")
    command = [sys.executable, "-B", "prog.py"]
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    with open(folder / "stdin", "rb") as stdin:
        return subprocess.run(command, stdin=stdin, capture_output=True, env=environment, cwd=folder)


def _last_line(text: str) -> str:
    return text.strip().split("\n")[-1]
