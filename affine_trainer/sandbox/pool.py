"""The sandbox as the rest of the package sees it: a pool of workers that runs programs and gives verdicts."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from affine_trainer.errors import AffineError
from affine_trainer.sandbox import unsandboxed
from affine_trainer.sandbox.host import Worker, WorkerDied
from affine_trainer.sandbox.probes import level, probe, weakness
from affine_trainer.sandbox.protocol import Layers
from affine_trainer.sandbox.verdicts import LEVELS, Level, Limits, ProgramRun, not_run

log = logging.getLogger(__name__)

ATTEMPTS = 2  # a run whose worker died is tried once more, on a new worker
PROGRAMS_A_WORKER = 20_000  # a start costs as much as about a hundred programs


class _Slot:
    """A place for one worker, started when it is first needed, replaced when it dies or is worn out."""

    def __init__(self, layers: Layers, programs_a_worker: int) -> None:
        self._layers = layers
        self._programs_a_worker = programs_a_worker
        self._worker: Worker | None = None

    def worker(self) -> Worker:
        """The worker of this slot, started and probed. Raises WorkerDied."""
        if self._worker is not None and self._worker.is_worn_out(self._programs_a_worker):
            self.discard()
        if self._worker is None:
            worker = Worker(self._layers)
            self._worker = worker
            worker.probes = probe(worker)
            worker.level = level(worker.probes)
            worker.num_programs = 0
        return self._worker

    @property
    def pid(self) -> int | None:
        return None if self._worker is None else self._worker.pid

    @property
    def rss_bytes(self) -> int:
        return 0 if self._worker is None else self._worker.rss_bytes

    def discard(self) -> None:
        """End the worker, if there is one; may be called from two threads at once."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()


class Sandbox:
    """Runs hostile programs. Several threads may call `run` at once; each takes or awaits a free worker.

    Workers start when they are first needed, and are replaced after `programs_a_worker` programs. Close it,
    or use it as a context manager; when the trainer dies its workers end by themselves.
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        allow_unsandboxed: bool = False,
        layers: Layers | None = None,
        programs_a_worker: int = PROGRAMS_A_WORKER,
    ) -> None:
        if workers < 1:
            raise AffineError(f"the sandbox was given {workers} workers; it needs at least 1")
        self.limits = limits or Limits()
        self._slots = [_Slot(layers or Layers(), programs_a_worker) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Slot] = queue.LifoQueue()
        for slot in self._slots:
            self._idle.put(slot)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")
        self._allow_unsandboxed = allow_unsandboxed
        self._owner = os.getpid()
        self._closed = threading.Event()
        self._level: Level | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.close()

    @property
    def isolation(self) -> Level:
        """The weakest level that a worker's live probes found; starts a worker when none has been started."""
        if self._level is None:
            self.run("", "")
        return self._level or "none"

    @property
    def level_reached(self) -> Level | None:
        """As `isolation`, for a manifest: None where no program has been run."""
        return self._level

    @property
    def num_workers(self) -> int:
        """How many programs run at the same time."""
        return len(self._slots)

    @property
    def worker_pids(self) -> list[int]:
        """The processes of the workers that have been started."""
        return [slot.pid for slot in self._slots if slot.pid is not None]

    @property
    def worker_rss_bytes(self) -> list[int]:
        """The memory that each started worker occupies now."""
        return [slot.rss_bytes for slot in self._slots if slot.pid is not None]

    def run(self, program: str, stdin: str, limits: Limits | None = None) -> ProgramRun:
        """Run a Python program with `stdin` as its input.

        Whatever the program does is in the result. Raises AffineError when this machine cannot isolate.
        """
        source, data = program.encode("utf-8", "surrogatepass"), stdin.encode("utf-8", "surrogatepass")
        return self.run_bytes(source, data, limits)

    def run_bytes(self, program: bytes, stdin: bytes, limits: Limits | None = None) -> ProgramRun:
        """As `run`, for a program and an input that need not be text."""
        self._check_usable()
        slot = self._idle.get()
        try:
            return self._run_in(slot, program, stdin, limits or self.limits)
        finally:
            if self._closed.is_set():
                slot.discard()  # it may have been started while the sandbox was being closed
            self._idle.put(slot)

    def submit(self, program: str, stdin: str, limits: Limits | None = None) -> Future[ProgramRun]:
        """`run` without waiting for its end: the future's result is the run, or raises as `run` does."""
        self._check_usable()
        return self._threads.submit(self.run, program, stdin, limits)

    def run_many(self, jobs: Sequence[tuple[str, str]], limits: Limits | None = None) -> list[ProgramRun]:
        """Run (program, stdin) pairs on all workers; the results are in the order of the jobs."""
        futures = [self.submit(program, stdin, limits) for program, stdin in jobs]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _run_in(self, slot: _Slot, program: bytes, stdin: bytes, limits: Limits) -> ProgramRun:
        reason = ""
        for _ in range(ATTEMPTS):
            self._check_usable()
            if self._level == "none":
                return unsandboxed.run(program, stdin, limits)
            try:
                run = self._isolated_worker(slot).run(program, stdin, limits)
            except (WorkerDied, OSError) as error:  # OSError: this process is out of descriptors or memory
                self._check_usable()
                slot.discard()
                reason = str(error)
                continue
            if run.verdict != "sandbox_error":
                return run
            reason = run.stderr
        if self._level is None:
            self._accept_no_isolation(reason)
            return unsandboxed.run(program, stdin, limits)
        return not_run(reason, self._level)

    def _isolated_worker(self, slot: _Slot) -> Worker:
        """The slot's worker, which isolates. Raises WorkerDied, or AffineError when it cannot isolate."""
        worker = slot.worker()
        if worker.level == "none":
            reason = weakness(worker.probes)
            if self._level is None:  # once a worker has isolated, one that does not is broken, not accepted
                self._accept_no_isolation(reason)
            raise WorkerDied(f"a new sandbox process does not isolate: {reason}")
        seen = (worker.level, self._level)
        self._level = next(weakest for weakest in LEVELS if weakest in seen)
        return worker

    def _accept_no_isolation(self, reason: str) -> None:
        if not self._allow_unsandboxed:
            raise AffineError(refusal(reason))
        log.warning("model-written programs run WITHOUT isolation, with all rights of this user (%s)", reason)
        self._level = "none"

    def _check_usable(self) -> None:
        if self._closed.is_set():
            raise AffineError("the sandbox was closed; make a new one to run more programs")
        if os.getpid() != self._owner:
            raise AffineError("a sandbox cannot be used in a forked process; make a new one there")

    def close(self) -> None:
        """End all workers; runs that are under way in other threads fail, those that wait are cancelled."""
        if os.getpid() != self._owner or self._closed.is_set():
            return
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for slot in self._slots:
            slot.discard()


def refusal(reason: str) -> str:
    """What a person is told when programs cannot be isolated here."""
    return (
        f"model-written programs cannot be isolated on this machine ({reason}); use Linux 5.4 or "
        "newer on x86-64 or aarch64 with seccomp, or pass --allow-unsandboxed to run them unprotected"
    )
