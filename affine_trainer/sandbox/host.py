"""The trainer's side of one zygote: starts it, hands it jobs, reads what they wrote, ends it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from affine_trainer.sandbox.protocol import MAX_HELLO_BYTES, PACKAGE, Hello, Layers, Report, Request
from affine_trainer.sandbox.verdicts import Level, Limits, ProgramRun, judge

# Our package's folders become importable without running its __init__ files, which import far more than
# a zygote wants; the folder the command was started in is not to be imported from.
BOOTSTRAP = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import types
for name, folder in zip(sys.argv[1].split(":"), sys.argv[2:4]):
    package = types.ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package
del sys.argv[1:4]
from affine_trainer.sandbox.zygote import main
main()
"""
F_ADD_SEALS = 1033  # Linux only, so not in every fcntl module
ALL_SEALS = 0b1111  # no further seal, no shrinking, no growing, no writing
START_SECONDS = 60.0
GRACE_SECONDS = 20.0  # beyond the wall limit, before a silent zygote counts as dead
CLOSE_SECONDS = 2.0
LARGEST_GROWTH_BYTES = 16 << 20
PROGRAMS_BETWEEN_LOOKS = 100  # at the memory of a worker


class WorkerDied(Exception):
    """The zygote is gone or does not answer: says nothing about the program it was running."""


class Worker:
    """One zygote; runs one program at a time. Not thread-safe: the pool hands it to one thread at a time."""

    def __init__(self, layers: Layers) -> None:
        """Start the zygote and wait until it is ready. Raises WorkerDied when it is not."""
        if sys.platform != "linux":
            raise WorkerDied(f"the sandbox needs Linux, and this is {sys.platform}")
        self.level: Level = "none"  # until probed
        self.probes: dict[str, bool] = {}
        self.num_programs = 0
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # A file object, so that it is closed with the worker however that ends.
        self._last_words = os.fdopen(os.memfd_create("zygote-stderr"), "rb", buffering=0)
        try:
            self._process = _spawn(theirs, self._last_words.fileno(), layers)
        finally:
            theirs.close()  # now, so that the other end's death is noticed
        self.hello = self._wait_for_hello()
        self._zygote_pid = self._find_zygote()
        self._rss_bytes_at_start = self.rss_bytes

    def _wait_for_hello(self) -> Hello:
        self._socket.settimeout(START_SECONDS)
        try:
            data = self._socket.recv(MAX_HELLO_BYTES)
        except OSError:
            data = b""
        if not data:
            reason = self._obituary()
            self.close()
            raise WorkerDied(f"the sandbox process did not start: {reason}")
        return Hello.unpacked(data)

    def run(self, program: bytes, stdin: bytes, limits: Limits) -> ProgramRun:
        """Run one program. Raises WorkerDied; the worker is then of no further use."""
        self.num_programs += 1
        with _memfds(4) as descriptors:
            for descriptor, data in zip(descriptors, (program, stdin), strict=False):
                _fill(descriptor, data)
                fcntl.fcntl(descriptor, F_ADD_SEALS, ALL_SEALS)
            report = self._ask(descriptors, limits)
            return _program_run(report, limits, descriptors[2], descriptors[3], self.level)

    def _ask(self, descriptors: list[int], limits: Limits) -> Report:
        request = Request(
            limits.output_bytes, limits.memory_mib << 20, limits.cpu_seconds, limits.wall_seconds
        )
        self._socket.settimeout(limits.wall_seconds + GRACE_SECONDS)
        try:
            socket.send_fds(self._socket, [request.packed()], descriptors)
            data = self._socket.recv(Report.size)
        except OSError as error:
            raise WorkerDied(f"the sandbox process does not answer: {error}; {self._obituary()}") from error
        if len(data) != Report.size:
            raise WorkerDied(f"the sandbox process ended in the middle of a run; {self._obituary()}")
        return Report.unpacked(data)

    def _obituary(self) -> str:
        """How the process ended and the last line it wrote, for people; waits a little for its end."""
        try:
            code = self._process.wait(CLOSE_SECONDS)
            words = os.pread(self._last_words.fileno(), MAX_HELLO_BYTES, 0)
        except subprocess.TimeoutExpired:
            return "it is still there"
        except (OSError, ValueError):  # another thread has closed the worker
            return "it was closed"
        lines = words.decode("utf-8", "replace").splitlines()
        said = [line.strip() for line in lines if line.strip()][-1:]
        return "; ".join([f"it ended with {code}", *said])

    def close(self) -> None:
        """End the zygote and whatever it runs; may be called from another thread, and twice."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for an answer
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._socket.close()
        self._last_words.close()

    @property
    def pid(self) -> int:
        """The zygote's process id; with a process namespace, that of the process outside it."""
        return self._process.pid

    @property
    def rss_bytes(self) -> int:
        """The memory that the zygote occupies now, shared pages included; 0 where it cannot be told."""
        try:
            pages = Path(f"/proc/{self._zygote_pid}/statm").read_text().split()[1]
        except (OSError, IndexError):  # no /proc, or the process is gone
            return 0
        return int(pages) * mmap.PAGESIZE

    def is_worn_out(self, most_programs: int) -> bool:
        """Whether it has run that many programs, or has grown; no program can bring about the latter."""
        if self.num_programs >= most_programs:
            return True
        if self.num_programs % PROGRAMS_BETWEEN_LOOKS:
            return False
        return self.rss_bytes - self._rss_bytes_at_start > LARGEST_GROWTH_BYTES

    def _find_zygote(self) -> int:
        """Its pid as this process sees it: in a process namespace it is a child of the one started."""
        if "processes" not in self.hello.namespaces:
            return self.pid
        try:
            return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])
        except (OSError, IndexError):
            return self.pid


def _spawn(theirs: socket.socket, complaints: int, layers: Layers) -> subprocess.Popen[bytes]:
    folder = Path(__file__).resolve().parent
    parent = PACKAGE.split(".")[0]
    command = [sys.executable, "-s", "-S", "-B", "-X", "utf8", "-c", BOOTSTRAP]
    command += [f"{parent}:{PACKAGE}", str(folder.parent), str(folder)]
    command += [str(os.getpid()), json.dumps(asdict(layers))]
    return subprocess.Popen(
        command,
        stdin=theirs.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        cwd="/",
        env=_environment(),
        start_new_session=True,  # the terminal's Ctrl-C is for the trainer, which then ends its zygotes
    )


def _environment() -> dict[str, str]:
    """Nothing of the trainer's but where the interpreter's own library lies; the zygote clears it too.

    The fixed hash seed makes the order of sets the same in every run of a program. With a safe path Python
    3.13 does not ask for the working folder, which is refused, on each missing attribute of a module.
    """
    environment = {"PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1", "MALLOC_ARENA_MAX": "1"}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


@contextlib.contextmanager
def _memfds(count: int) -> Iterator[list[int]]:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    descriptors: list[int] = []
    try:
        for _ in range(count):
            descriptors.append(os.memfd_create("run", flags))
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _fill(descriptor: int, data: bytes) -> None:
    """Write everything without moving the file's position, which the program will read from."""
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written : written + (1 << 30)], written)


def _read(descriptor: int, limit: int) -> tuple[str, bool]:
    """What a program wrote, at most `limit` bytes of it, and whether there was more."""
    data = os.pread(descriptor, min(os.fstat(descriptor).st_size, limit + 1), 0)
    return data[:limit].decode("utf-8", "replace"), len(data) > limit


def _program_run(report: Report, limits: Limits, stdout: int, stderr: int, level: Level) -> ProgramRun:
    output, output_cut = _read(stdout, limits.output_bytes)
    errors, errors_cut = _read(stderr, limits.output_bytes)
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
        isolation=level,
    )
