"""The sandbox as the rest of the package sees it: a pool of workers that runs programs and gives verdicts."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from affine_trainer.errors import AffineError
from affine_trainer.sandbox import unsandboxed
from affine_trainer.sandbox.host import Worker, WorkerDied
from affine_trainer.sandbox.probes import level, probe
from affine_trainer.sandbox.protocol import Layers
from affine_trainer.sandbox.verdicts import Level, Limits, ProgramRun, not_run

log = logging.getLogger(__name__)

ATTEMPTS = 2  # a run whose worker died is tried once more, on a new worker


class _Slot:
    """A place for one worker, which is started when it is first needed and replaced when it dies."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._worker: Worker | None = None

    def worker(self) -> Worker:
        """The worker of this slot, started and probed. Raises WorkerDied."""
        if self._worker is None:
            worker = Worker(self._layers)
            self._worker = worker
            worker.probes = probe(worker)
            worker.level = level(worker.probes)
        return self._worker

    @property
    def pid(self) -> int | None:
        return None if self._worker is None else self._worker.pid

    def discard(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


class Sandbox:
    """Runs hostile programs. Several threads may call `run` at once; each takes or awaits a free worker.

    Workers start when they are first needed. Close it, or use it as a context manager; when the trainer dies
    its workers end by themselves.
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        allow_unsandboxed: bool = False,
        layers: Layers | None = None,
    ) -> None:
        if workers < 1:
            raise AffineError(f"the sandbox was given {workers} workers; it needs at least 1")
        self.limits = limits or Limits()
        self._slots = [_Slot(layers or Layers()) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Slot] = queue.LifoQueue()
        for slot in self._slots:
            self._idle.put(slot)
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
        """The level found by live probes; starts a worker when none has been started."""
        if self._level is None:
            self.run("", "")
        return self._level or "none"

    @property
    def worker_pids(self) -> list[int]:
        """The processes of the workers that have been started."""
        return [slot.pid for slot in self._slots if slot.pid is not None]

    def run(self, program: str, stdin: str, limits: Limits | None = None) -> ProgramRun:
        """Run a Python program with `stdin` as its input.

        Whatever the program does is in the result. Raises AffineError when this machine cannot isolate.
        """
        self._check_usable()
        source, data = program.encode("utf-8", "surrogatepass"), stdin.encode("utf-8", "surrogatepass")
        slot = self._idle.get()
        try:
            return self._run_in(slot, source, data, limits or self.limits)
        finally:
            self._idle.put(slot)

    def run_many(self, jobs: Sequence[tuple[str, str]], limits: Limits | None = None) -> list[ProgramRun]:
        """Run (program, stdin) pairs on all workers; the results are in the order of the jobs."""
        with ThreadPoolExecutor(len(self._slots)) as threads:
            return list(threads.map(lambda job: self.run(job[0], job[1], limits), jobs))

    def _run_in(self, slot: _Slot, program: bytes, stdin: bytes, limits: Limits) -> ProgramRun:
        reason = ""
        for _ in range(ATTEMPTS):
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
            refused = [attack for attack, contained in worker.probes.items() if not contained]
            self._accept_no_isolation(f"it does not withstand: {', '.join(refused)}")
            raise WorkerDied("this machine cannot isolate programs")
        self._level = worker.level
        return worker

    def _accept_no_isolation(self, reason: str) -> None:
        if not self._allow_unsandboxed:
            raise AffineError(
                f"model-written programs cannot be isolated on this machine ({reason}); use Linux 5.4 or "
                "newer on x86-64 or aarch64 with seccomp, or pass --allow-unsandboxed to run them unprotected"
            )
        log.warning("model-written programs run WITHOUT isolation, with all rights of this user (%s)", reason)
        self._level = "none"

    def _check_usable(self) -> None:
        if self._closed.is_set():
            raise AffineError("the sandbox was closed; make a new one to run more programs")
        if os.getpid() != self._owner:
            raise AffineError("a sandbox cannot be used in a forked process; make a new one there")

    def close(self) -> None:
        """End all workers; runs that are under way in other threads fail."""
        if os.getpid() != self._owner or self._closed.is_set():
            return
        self._closed.set()
        for slot in self._slots:
            slot.discard()


def isolation_level() -> Level:
    """The level that this machine reaches now, by the probes of a worker started for the purpose."""
    try:
        with contextlib.closing(Worker(Layers())) as worker:
            return level(probe(worker))
    except WorkerDied:
        return "none"
