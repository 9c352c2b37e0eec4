"""One run: the last confinements of a forked child, and the program in an interpreter made to look usual."""

from __future__ import annotations

import _sitebuiltins
import atexit
import builtins
import gc
import io
import math
import os
import resource
import signal
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TextIO

from affine_trainer.sandbox import libc
from affine_trainer.sandbox.lockdown import MAX_OPEN_FILES
from affine_trainer.sandbox.protocol import Request
from affine_trainer.sandbox.seccomp import Filter

PROGRAM_NAME = "prog.py"
MAX_THREADS = 64
SETUP_FAILED = 97
FLUSH_FAILED = 120  # what CPython exits with
STANDARD_DEVICES = {
    "/dev/stdin": 0,
    "/dev/stdout": 1,
    "/dev/stderr": 2,
    "/dev/fd/0": 0,
    "/proc/self/fd/0": 0,
}


class Confinement(NamedTuple):
    """What a zygote prepares once so that each child has little left to do."""

    zygote: int
    filter: Filter | None
    limit_threads: bool
    base_memory_bytes: int
    started: int
    streams: tuple[TextIO, TextIO, TextIO]


class Job(NamedTuple):
    """A run as it reaches the child: its limits, and its source, stdin, stdout and stderr."""

    request: Request
    descriptors: list[int]


def standard_streams() -> tuple[TextIO, TextIO, TextIO]:
    """Text streams over descriptors 0, 1 and 2, made before these point at a run's data."""
    stdin = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, "r", closefd=False)),
        encoding="utf-8",
        errors="surrogateescape",
        newline="\n",
    )
    stdout = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(1, "w", closefd=False)),
        encoding="utf-8",
        errors="surrogateescape",
        newline="\n",
    )
    stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
        encoding="utf-8",
        errors="backslashreplace",
        newline="\n",
        line_buffering=True,
    )
    return stdin, stdout, stderr


def look_usual() -> None:
    """Give programs what the `site` module and the machine's devices would have given them."""
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    builtins.open = _open_with_standard_devices(io.open, os.dup)
    os.fstat = _fstat_by_length(os.fstat, os.lseek)
    sys.argv = [PROGRAM_NAME]
    sys.path[:] = [""]
    os.environ.clear()


def _open_with_standard_devices(
    open_file: Callable[..., Any], duplicate: Callable[[int], int]
) -> Callable[..., Any]:
    def open(file: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(file, str) and file in STANDARD_DEVICES:
            file = duplicate(STANDARD_DEVICES[file])
        return open_file(file, *arguments, **options)

    return open


def _fstat_by_length(
    fstat: Callable[[int], os.stat_result], seek: Callable[[int, int, int], int]
) -> Callable[[int], os.stat_result]:
    """The C library may spell fstat in a way the filter refuses; programs ask it for the length of stdin."""

    def stat_of(fd: int) -> os.stat_result:
        try:
            return fstat(fd)
        except PermissionError:
            position = seek(fd, 0, os.SEEK_CUR)
            length = seek(fd, 0, os.SEEK_END)
            seek(fd, position, os.SEEK_SET)
            return os.stat_result((0o100600, 0, 0, 1, 0, 0, length, 0, 0, 0))

    return stat_of


def confine(job: Job, confinement: Confinement) -> bytes:
    """Put on what is left to put on, and return the program's text. Raises OSError when any of it fails."""
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != confinement.zygote:
        os._exit(SETUP_FAILED)
    source, *standard = job.descriptors
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
    text = os.pread(source, os.lseek(source, 0, os.SEEK_END), 0)
    os.closerange(3, confinement.started)
    os.closerange(confinement.started + 1, MAX_OPEN_FILES)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    _limit_resources(job.request, confinement)
    if confinement.filter is not None:
        confinement.filter.install(os.getpid())
    os.write(confinement.started, b"1")
    os.close(confinement.started)
    return text


def _limit_resources(request: Request, confinement: Confinement) -> None:
    memory = confinement.base_memory_bytes + request.memory_bytes
    cpu = math.ceil(request.cpu_seconds) + 1  # the zygote is exact; this is for when it cannot keep up
    output = request.output_bytes + 1  # the byte too many that tells a full output from a cut one
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    if confinement.limit_threads:
        resource.setrlimit(resource.RLIMIT_NPROC, (MAX_THREADS, MAX_THREADS))


def run(job: Job, confinement: Confinement) -> NoReturn:
    """The whole life of a child."""
    try:
        text = confine(job, confinement)
    except (OSError, ValueError, MemoryError) as error:
        os.write(2, f"the sandbox could not be set up: {error}".encode())
        os._exit(SETUP_FAILED)
    sys.stdin, sys.stdout, sys.stderr = confinement.streams
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = confinement.streams
    gc.enable()
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __file__=PROGRAM_NAME)
    sys.modules["__main__"] = module
    code = _execute(text, module)
    os._exit(_finish(module, code))


def _execute(text: bytes, module: types.ModuleType) -> int:
    """Run the program and return its exit code; whatever it raises is its own affair."""
    try:
        exec(compile(text, PROGRAM_NAME, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        return _exit_code(error.code)
    except BaseException as error:
        _show(error)
        return 1
    return 0


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _show(error: BaseException) -> None:
    """Print the traceback from the program's first frame on, as the interpreter would."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != PROGRAM_NAME:
        frames = frames.tb_next
    if isinstance(error, MemoryError):
        _drop_variables(frames)  # what filled the memory, so that there is some to print with
    try:
        sys.excepthook(type(error), error.with_traceback(frames), frames)
    except BaseException:
        os.write(2, f"\n{type(error).__name__}\n".encode())


def _drop_variables(frames: types.TracebackType | None) -> None:
    while frames is not None:
        frames.tb_frame.clear()
        if frames.tb_frame.f_code.co_name == "<module>":
            frames.tb_frame.f_globals.clear()
        frames = frames.tb_next


def _finish(module: types.ModuleType, code: int) -> int:
    """What the interpreter does at exit: join threads, exit handlers, finalisers of globals, flush."""
    try:
        threading = sys.modules.get("threading")
        if threading is not None:
            threading._shutdown()  # also stops the workers of executors, which no public call does
        atexit._run_exitfuncs()
        if threading is None or threading.active_count() == 1:
            module.__dict__.clear()
    except BaseException as error:
        _show(error)
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BaseException:
            code = FLUSH_FAILED
    return code
