"""What the sandbox costs, side by side with a plain interpreter, a fork server and bubblewrap.

Prints the sandbox's own figures beside what was asked for, programs a second and CPU time a program of each
way to run one, and how many programs a second are graded in ABD and DED, in a plain subprocess and in the
sandbox. Run it on an idle machine: `python benchmarks/sandbox.py`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import psutil

from affine_trainer.config import Config
from affine_trainer.envs import grade_reply, task_set
from affine_trainer.sandbox import Layers, Limits, ProgramRun, Sandbox, layers_for, libc
from affine_trainer.sandbox.host import Worker

PROGRAM = "a, b = map(int, input().split())\nprint(a + b)\n"
STDIN = "20 22\n"
ANSWER = "42\n"
WARM_UP = 20  # programs that are not counted, for a pool to have started its workers
KILLS = 5
STARTS = 5
SECONDS_TO_LIVE = 0.5

PR_SET_CHILD_SUBREAPER = 36

# What a grader that trusts its programs does in a forked process.
FORKED = """
import contextlib, io, sys
sys.stdin = io.StringIO(stdin)
with contextlib.redirect_stdout(io.StringIO()) as output:
    exec(program, {"__name__": "__main__"})
answer.send(output.getvalue())
"""

RunOne = Callable[[], str]


class Cost(NamedTuple):
    """Elapsed seconds; CPU seconds of this process and all its descendants; of these, its own."""

    wall_seconds: float
    cpu_seconds: float
    own_cpu_seconds: float


def cpu_seconds() -> float:
    """Used so far by this process, those it has waited for, and those that live (to 10 ms each)."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    used = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        used += times.user + times.system + times.children_user + times.children_system
    return used


def cost(work: Callable[[], object]) -> Cost:
    wall, cpu, own = time.perf_counter(), cpu_seconds(), time.process_time()
    work()
    own_spent = time.process_time() - own
    return Cost(time.perf_counter() - wall, cpu_seconds() - cpu, own_spent)


@contextmanager
def program_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.py"
        file.write_text(PROGRAM)
        yield str(file)


def output_of(command: list[str]) -> str:
    ran = subprocess.run(command, input=STDIN, capture_output=True, text=True)
    return ran.stdout if ran.returncode == 0 else f"it failed: {ran.stderr.strip()}"


def in_fork_server(context: ForkServerContext) -> str:
    ours, theirs = context.Pipe(duplex=False)
    given = {"program": PROGRAM, "stdin": STDIN, "answer": theirs}
    process = context.Process(target=exec, args=(FORKED, given))
    process.start()
    answer = ours.recv()
    process.join()
    return answer


def reap_orphans() -> None:
    """bubblewrap leaves its inner process to its parent's parent; waiting for it makes its CPU time count."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def one_by_one(name: str, run_one: RunOne, num_programs: int) -> None:
    """A line for a way that runs one program after the other, or why it cannot."""
    first = run_one()
    if first != ANSWER:
        print(f"{name:28}does not work here: {first.strip()[:120]}")
        return

    def work() -> None:
        for _ in range(num_programs):
            run_one()

    show(name, cost(work), num_programs)


def in_bubblewrap(command: list[str], num_programs: int) -> None:
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        print(f"{'bubblewrap':28}is not installed (apt-get install bubblewrap)")
        return
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    options = [
        "--unshare-all",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]

    def run_one() -> str:
        answer = output_of([bubblewrap, *options, *command])
        reap_orphans()
        return answer

    one_by_one("bubblewrap", run_one, num_programs)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


def in_sandbox(num_programs: int, workers: int) -> None:
    jobs = [(PROGRAM, STDIN)] * num_programs
    runs: list[ProgramRun] = []
    with Sandbox(workers=workers) as sandbox:
        sandbox.run_many([(PROGRAM, STDIN)] * workers * WARM_UP)
        spent = cost(lambda: runs.extend(sandbox.run_many(jobs)))
    wrong = [run for run in runs if run.stdout != ANSWER]
    if wrong:
        sys.exit(f"the sandbox gave a wrong answer: {wrong[0]}")
    show(f"sandbox, {workers} worker{'s' * (workers > 1)}", spent, num_programs)


def show(name: str, spent: Cost, num_programs: int) -> None:
    per_second = num_programs / spent.wall_seconds
    total, own = (1000 * seconds / num_programs for seconds in (spent.cpu_seconds, spent.own_cpu_seconds))
    print(
        f"{name:28}{per_second:6.0f} programs/s{total:7.2f} CPU ms/program, {own:.2f} of them the trainer's"
    )


def start_seconds() -> float:
    """Until a zygote is ready, its probes not included."""
    begin = time.perf_counter()
    with closing(Worker(Layers())):
        return time.perf_counter() - begin


def show_own_figures() -> None:
    """Level, start, memory, and how far beyond its limits a program gets."""
    starts = sorted(start_seconds() for _ in range(STARTS))
    begin = time.perf_counter()
    with Sandbox(workers=1) as sandbox:
        program = sandbox.run(PROGRAM, STDIN)
        first = time.perf_counter() - begin
        print(f"isolation level {sandbox.isolation}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        worker = sandbox.worker_rss_bytes[0]
        busy = Limits(cpu_seconds=SECONDS_TO_LIVE, wall_seconds=60.0)
        asleep = Limits(wall_seconds=SECONDS_TO_LIVE)
        cpu = [sandbox.run("while True: pass", "", busy).cpu_seconds for _ in range(KILLS)]
        wall = [sandbox.run("import time; time.sleep(60)", "", asleep).wall_seconds for _ in range(KILLS)]
    figure("a worker is ready, probes not included", f"{starts[STARTS // 2]:.2f} s", "at most .5 s")
    figure("the first answer, probes included", f"{first:.2f} s")
    figure("a worker occupies", f"{worker / 2**20:.0f} MiB", "at most 32 MiB")
    figure("a program occupies", f"{program.peak_rss_bytes / 2**20:.0f} MiB")
    figure("stopped after its CPU limit, worst", f"{max(cpu) - SECONDS_TO_LIVE:.3f} s", "at most .05 s")
    figure("stopped after its wall limit, worst", f"{max(wall) - SECONDS_TO_LIVE:.3f} s", "at most .3 s")
    print("asked for below: at least 250 programs/s a core, at most 3.5 CPU ms a program")


def figure(name: str, measured: str, asked: str = "") -> None:
    print(f"{name:42}{measured:>10}   {asked}".rstrip())


def show_ways(num_programs: int, workers: int) -> None:
    num_slow = max(num_programs // 5, 1)
    with program_file() as file:
        command = [sys.executable, "-I", "-S", file]
        one_by_one("python -I -S subprocess", lambda: output_of(command), num_slow)
        in_bubblewrap(command, num_slow)
    # Without this each process that the fork server makes would import this file again.
    vars(sys.modules["__main__"]).pop("__file__", None)
    context = multiprocessing.get_context("forkserver")
    one_by_one("multiprocessing forkserver", lambda: in_fork_server(context), num_slow)
    for count in sorted({1, workers}):
        in_sandbox(num_programs, count)


class CountingSandbox(Sandbox):
    """Counts what the graders run: a DED task is several programs."""

    num_programs = 0

    def run(self, program: str, stdin: str, limits: Limits | None = None) -> ProgramRun:
        self.num_programs += 1
        return super().run(program, stdin, limits)


def show_grading(env: str, num_tasks: int, workers: int, *, sandboxed: bool) -> None:
    """Grade the own answers of so many tasks; ends the program where one is not accepted."""
    layers = layers_for("strong" if sandboxed else "none")
    sandbox = CountingSandbox(workers, layers=layers, allow_unsandboxed=not sandboxed)
    with sandbox:
        tasks = task_set(env, "generated-v1", config=Config(), sandbox=sandbox)
        asked = tasks.tasks(tasks.indices("evaluation", num_tasks, 0))
        replies = [tasks.expert_reply(task) or "" for task in asked]
        sandbox.run_many([(PROGRAM, STDIN)] * workers * 2)
        sandbox.num_programs = 0
        with ThreadPoolExecutor(workers) as threads:
            work = threads.map(lambda task, reply: grade_reply(tasks, task, reply), asked, replies)
            grades = []
            spent = cost(lambda: grades.extend(work))
    if not all(grade is not None and grade.success for grade in grades):
        sys.exit(f"{env}: a reference answer was not accepted")
    name = f"{env} {'in the sandbox' if sandboxed else 'in a subprocess'}"
    show(name, spent, sandbox.num_programs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=1000, help="in the sandbox; others run a fifth")
    parser.add_argument("--tasks", type=int, default=200, help="graded in each of ABD and DED")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    show_own_figures()
    show_ways(options.programs, options.workers)
    for env in ("affine:abd", "affine:ded"):
        show_grading(env, max(options.tasks // 5, 1), options.workers, sandboxed=False)
        show_grading(env, options.tasks, options.workers, sandboxed=True)


if __name__ == "__main__":
    main()
