"""A pool over time: workers are replaced, callers need not wait, thousands of runs leave nothing behind."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from affine_trainer.errors import AffineError
from affine_trainer.sandbox import Layers, Limits, Sandbox
from affine_trainer.sandbox.host import START_SECONDS, Worker, WorkerDied
from tests.sandbox.processes import children, until


def test_a_worn_out_worker_is_replaced_between_two_programs() -> None:
    with Sandbox(workers=1, programs_a_worker=3) as sandbox:
        pids = []
        for i in range(7):
            assert sandbox.run("print(input())", f"{i}").stdout == f"{i}\n"
            pids += sandbox.worker_pids
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]
        assert not Path(f"/proc/{pids[0]}").exists()


def test_a_worker_that_has_grown_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(workers=1) as sandbox:
        sandbox.run("", "")
        before = sandbox.worker_pids
        assert sandbox.worker_rss_bytes[0] > 1 << 20
        monkeypatch.setattr("affine_trainer.sandbox.host.LARGEST_GROWTH_BYTES", -(1 << 30))
        monkeypatch.setattr("affine_trainer.sandbox.host.PROGRAMS_BETWEEN_LOOKS", 1)
        assert sandbox.run("print(1)", "").stdout == "1\n"
        assert sandbox.worker_pids != before


def test_submitted_programs_run_while_the_caller_goes_on() -> None:
    with Sandbox(workers=2) as sandbox:
        waiting = sandbox.submit("import time\ntime.sleep(0.5)\nprint(input())", "first")
        assert not waiting.done()
        assert sandbox.submit("print(input())", "second").result().stdout == "second\n"
        assert waiting.result().stdout == "first\n"


def test_closing_cancels_what_waits_and_starts_nothing_anew() -> None:
    processes = set(children(os.getpid()))
    sandbox = Sandbox(workers=1)
    sandbox.run("", "")
    running = [sandbox.submit("import time\ntime.sleep(1000)", "", Limits(wall_seconds=2000))]
    running += [sandbox.submit("print(1)", "") for _ in range(3)]
    with ThreadPoolExecutor(1) as threads:
        direct = threads.submit(sandbox.run, "print(1)", "")
        time.sleep(0.3)
        sandbox.close()
        for run in (running[0], direct):
            with pytest.raises(AffineError, match="closed"):
                run.result(timeout=60)
    assert all(run.cancelled() for run in running[1:])
    until(lambda: set(children(os.getpid())) == processes)


@pytest.mark.parametrize("num_jobs", [150, pytest.param(3000, marks=pytest.mark.matrix)])
def test_mixed_jobs_are_all_right_and_leave_nothing_behind(tmp_path: Path, num_jobs: int) -> None:
    """Descriptors, processes and files stay the same in number, memory grows by less than 1 MB."""
    kinds = [
        ("print(sum(map(int, input().split())))", lambda i: (f"{i} {i}", "ok", f"{2 * i}\n")),
        ("import sys\nsys.exit(int(input()) % 3 + 1)", lambda i: (f"{i}", "error", "")),
        ("print(len(input()))", lambda i: ("x" * (i * 37 % 50_000), "ok", f"{i * 37 % 50_000}\n")),
        ("x = bytearray(10**12)", lambda i: ("", "memory", "")),
        (f"open('{tmp_path}/left', 'w')", lambda i: ("", "error", "")),
        ("import os\nos.kill(os.getpid(), 11)", lambda i: ("", "error", "")),
        ("import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)", lambda i: ("", "violation", "")),
        ("print(input())\nprint('x' * 2000, end='')", lambda i: (f"{i}", "output_limit", f"{i}\n")),
    ]
    jobs = [(text, *expected(i)) for i in range(num_jobs) for text, expected in [kinds[i % len(kinds)]]]
    with Sandbox(workers=2, limits=Limits(output_bytes=1000)) as sandbox:
        sandbox.run_many([job[:2] for job in jobs[:80]])

        def state() -> tuple[int, ...]:
            return (
                len(children(os.getpid())),
                len(os.listdir("/proc/self/fd")),
                len(os.listdir(tmp_path)),
            )

        before, memory = state(), sandbox.worker_rss_bytes
        runs = sandbox.run_many([job[:2] for job in jobs])
        wrong = [
            (job, run)
            for job, run in zip(jobs, runs, strict=True)
            if run.verdict != job[2] or not run.stdout.startswith(job[3])
        ]
        assert wrong == []
        assert state() == before
        growth = [after - at for after, at in zip(sandbox.worker_rss_bytes, memory, strict=True)]
        assert max(growth) < 1_000_000


@pytest.mark.parametrize("layers", [Layers(), Layers(namespaces=False)], ids=["namespaces", "none"])
def test_a_worker_that_dies_tells_how(layers: Layers) -> None:
    worker = Worker(layers)
    assert worker.run(b"print(1)", b"", Limits()).stdout == "1\n"
    zygote = children(worker.pid) or [worker.pid]
    os.kill(zygote[0], signal.SIGKILL)
    with pytest.raises(WorkerDied, match=r"it ended with (-9|137)"):
        worker.run(b"print(2)", b"", Limits())
    worker.close()


def test_what_a_worker_complains_of_reaches_the_trainer() -> None:
    began = time.monotonic()
    with pytest.raises(WorkerDied, match="unexpected keyword argument 'sorcery'"):
        Worker(Sorcery())
    assert time.monotonic() - began < START_SECONDS / 2, "its death must be noticed, not only its silence"


@dataclass(frozen=True, slots=True)
class Sorcery(Layers):
    """A layer that no zygote knows."""

    sorcery: bool = True
