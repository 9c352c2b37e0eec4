"""What a run is given and what came of it, and the one function that turns a report into a verdict."""

from __future__ import annotations

import errno
import signal
from dataclasses import dataclass
from typing import Literal

from affine_trainer.errors import AffineError
from affine_trainer.sandbox.protocol import STOPPED_FOR_WALL, Report

Verdict = Literal[
    "ok",
    "error",
    "memory",
    "cpu_timeout",
    "wall_timeout",
    "output_limit",
    "violation",
    "sandbox_error",
]
Level = Literal["strong", "standard", "basic", "none"]
LEVELS: tuple[Level, ...] = ("none", "basic", "standard", "strong")  # weakest first
LARGEST_LIMIT = 1_000_000_000
NO_MEMORY = f"OSError: [Errno {errno.ENOMEM}]"  # what mmap raises


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. CPU time decides; the wall limit is for programs that sleep.

    `memory_mib` is what it may map beyond the interpreter; `output_bytes` holds for stdout and for stderr.
    """

    cpu_seconds: float = 10.0
    wall_seconds: float = 30.0
    memory_mib: int = 512
    output_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("cpu_seconds", "wall_seconds", "memory_mib", "output_bytes"):
            value = getattr(self, name)
            if not 0 < value <= LARGEST_LIMIT:  # false for nan too
                raise AffineError(
                    f"the sandbox limit {name} is {value}; give a number above 0 and at most {LARGEST_LIMIT}"
                )


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """What one program did. `exit_code` is minus the number of the signal it died of, as in subprocess.

    Text has replacement characters where the program wrote no UTF-8. `sandbox_error` says that the program
    was not judged at all: `stderr` then holds the reason, and it must never count as a wrong answer.
    """

    verdict: Verdict
    exit_code: int
    stdout: str
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    cpu_seconds: float
    wall_seconds: float
    peak_rss_bytes: int
    isolation: Level


def not_run(reason: str, isolation: Level) -> ProgramRun:
    """The outcome of a run that the sandbox itself failed."""
    return ProgramRun("sandbox_error", -1, "", reason, False, False, 0.0, 0.0, 0, isolation)


def judge(report: Report, limits: Limits, *, output_was_cut: bool, stderr: str) -> Verdict:
    """The verdict on a run, from what the zygote saw and how much was written."""
    if not report.started:
        return "sandbox_error"
    if report.signal == signal.SIGSYS:
        return "violation"
    if output_was_cut or report.signal == signal.SIGXFSZ:
        return "output_limit"
    # By the clock, however it ended: load changes nothing. The signal is by the kernel's own coarse count.
    if report.cpu_seconds >= limits.cpu_seconds or report.signal == signal.SIGXCPU:
        return "cpu_timeout"
    if report.stopped == STOPPED_FOR_WALL:
        return "wall_timeout"
    if report.signal == signal.SIGKILL:
        return "sandbox_error"  # the filter lets no program send it: somebody outside did
    if report.exit_code == 0:
        return "ok"
    return "memory" if _ends_for_want_of_memory(stderr) else "error"


def _ends_for_want_of_memory(stderr: str) -> bool:
    last_line = stderr.rstrip().rsplit("\n", 1)[-1]
    return last_line.startswith(NO_MEMORY) or last_line.split(":")[0] == "MemoryError"
