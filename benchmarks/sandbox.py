"""Programs a second and CPU time a program, in the sandbox and in a plain `python -I -S` subprocess.

Run it on an idle machine: `python benchmarks/sandbox.py --programs 1000`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from affine_trainer.sandbox import Sandbox

PROGRAM = "a, b = map(int, input().split())\nprint(a + b)\n"
STDIN = "20 22\n"
ANSWER = "42\n"


class Cost(NamedTuple):
    """Elapsed seconds, and CPU seconds of this process and all its children."""

    wall_seconds: float
    cpu_seconds: float


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _cost(work: Callable[[], None]) -> Cost:
    wall, cpu = time.perf_counter(), _cpu_seconds()
    work()
    return Cost(time.perf_counter() - wall, _cpu_seconds() - cpu)


def start_seconds() -> float:
    """From nothing to the first answer: start, lockdown and probes of one worker."""
    begin = time.perf_counter()
    with Sandbox(workers=1) as sandbox:
        sandbox.run(PROGRAM, STDIN)
        return time.perf_counter() - begin


def in_sandbox(num_programs: int, workers: int) -> Cost:
    """The cost of so many programs, without that of starting and ending the workers."""
    answering = 0.0

    def work(count: int) -> None:
        nonlocal answering
        with Sandbox(workers=workers) as sandbox:
            sandbox.run_many([(PROGRAM, STDIN)] * workers * 4)
            begin = time.perf_counter()
            runs = sandbox.run_many([(PROGRAM, STDIN)] * count)
            answering = time.perf_counter() - begin
        wrong = [run for run in runs if run.stdout != ANSWER]
        if wrong:
            sys.exit(f"the sandbox gave a wrong answer: {wrong[0]}")

    idle = _cost(lambda: work(0))
    busy = _cost(lambda: work(num_programs))
    return Cost(answering, busy.cpu_seconds - idle.cpu_seconds)


def in_subprocess(num_programs: int) -> Cost:
    """The cost of so many plain interpreters, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.py"
        file.write_text(PROGRAM)

        def work() -> None:
            for _ in range(num_programs):
                command = [sys.executable, "-I", "-S", str(file)]
                ran = subprocess.run(command, input=STDIN, capture_output=True, text=True)
                if ran.stdout != ANSWER:
                    sys.exit(f"the subprocess gave a wrong answer: {ran}")

        return _cost(work)


def _show(name: str, cost: Cost, num_programs: int) -> None:
    per_second = num_programs / cost.wall_seconds
    print(
        f"{name:28}{per_second:8.0f} programs/s{1000 * cost.cpu_seconds / num_programs:8.2f} CPU ms/program"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with Sandbox(workers=1) as sandbox:
        memory = sandbox.run(PROGRAM, STDIN).peak_rss_bytes
        print(f"isolation level {sandbox.isolation}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"first answer after {start_seconds():.2f} s; a program occupies {memory / 2**20:.0f} MiB")
    num_plain = max(options.programs // 5, 1)
    _show("python -I -S subprocess", in_subprocess(num_plain), num_plain)
    _show("sandbox, 1 worker", in_sandbox(options.programs, 1), options.programs)
    name = f"sandbox, {options.workers} workers"
    _show(name, in_sandbox(options.programs, options.workers), options.programs)


if __name__ == "__main__":
    main()
