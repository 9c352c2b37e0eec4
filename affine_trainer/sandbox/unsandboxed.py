"""The way out for machines that cannot isolate: a plain subprocess, used with --allow-unsandboxed only."""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from affine_trainer.sandbox.protocol import (
    NOT_STOPPED,
    STOPPED_FOR_WALL,
    Report,
)
from affine_trainer.sandbox.verdicts import Limits, ProgramRun, judge

# Limits are set inside the new process: the trainer has threads, so nothing may run between fork and exec.
WRAPPER = """
import resource, sys
path, cpu, output = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
sys.argv = ["prog.py"]
with open(path, "rb") as file:
    code = compile(file.read(), "prog.py", "exec", dont_inherit=True)
exec(code, {"__name__": "__main__", "__builtins__": __builtins__})
"""


def run(program: bytes, stdin: bytes, limits: Limits) -> ProgramRun:
    """Run a program with this user's rights; time and output are limited, memory and harm are not."""
    with tempfile.TemporaryDirectory(prefix="affine-unsandboxed-") as name:
        folder = Path(name)
        (folder / "prog.py").write_bytes(program)
        (folder / "stdin").write_bytes(stdin)
        report = _execute(folder, limits)
        output, output_cut = _read(folder / "stdout", limits.output_bytes)
        errors, errors_cut = _read(folder / "stderr", limits.output_bytes)
    return ProgramRun(
        verdict=judge(report, limits, output_was_cut=output_cut or errors_cut, stderr=errors),
        exit_code=-report.signal if report.signal else report.exit_code,
        stdout=output,
        stderr=errors,
        stdout_truncated=output_cut,
        stderr_truncated=errors_cut,
        cpu_seconds=report.cpu_seconds,
        wall_seconds=report.wall_seconds,
        peak_rss_bytes=report.peak_rss_bytes,
        isolation="none",
    )


def _execute(folder: Path, limits: Limits) -> Report:
    cpu, output = math.ceil(limits.cpu_seconds) + 1, limits.output_bytes + 1
    arguments = [str(folder / "prog.py"), str(cpu), str(output)]
    begin = time.perf_counter()
    with (
        open(folder / "stdin", "rb") as stdin,
        open(folder / "stdout", "wb") as stdout,
        open(folder / "stderr", "wb") as stderr,
    ):
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", WRAPPER, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            start_new_session=True,
        )
    stopped, status, usage = _wait(process, begin + limits.wall_seconds)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Report(
        exit_code=max(process.returncode, -1),
        signal=max(-process.returncode, 0),
        stopped=stopped,
        started=True,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        wall_seconds=time.perf_counter() - begin,
        peak_rss_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, int, resource.struct_rusage]:
    """Wait until the process has ended, or end it at the deadline; why it was stopped, status, usage."""
    while True:
        reaped, status, usage = os.wait4(process.pid, os.WNOHANG)
        if reaped:
            return NOT_STOPPED, status, usage
        if time.perf_counter() > deadline:
            os.killpg(process.pid, signal.SIGKILL)  # it is a group of its own, with what it started
            return STOPPED_FOR_WALL, *os.wait4(process.pid, 0)[1:]
        time.sleep(0.002)


def _read(path: Path, limit: int) -> tuple[str, bool]:
    with open(path, "rb") as file:
        data = file.read(limit + 1)
    return data[:limit].decode("utf-8", "replace"), len(data) > limit
