"""One run: the last confinements of a forked child, the program, and what the interpreter does at exit."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import math
import os
import resource
import signal
import sys
import types
from typing import NamedTuple, NoReturn, TextIO

from affine_trainer.sandbox import libc
from affine_trainer.sandbox.lockdown import MAX_OPEN_FILES, limit
from affine_trainer.sandbox.protocol import Request
from affine_trainer.sandbox.seccomp import Filter
from affine_trainer.sandbox.surroundings import PROGRAM_NAME, show_source

SETUP_FAILED = 97
FLUSH_FAILED = 120  # what CPython exits with
LEAST_C_LONG = -(1 << 63)


class Confinement(NamedTuple):
    """What a zygote prepares once so that each child has little left to do."""

    zygote: int
    filter: Filter | None
    max_tasks: int
    base_memory_bytes: int
    started: int
    streams: tuple[TextIO, TextIO, TextIO]


class Job(NamedTuple):
    """A run as it reaches the child: its limits, and its source, stdin, stdout and stderr."""

    request: Request
    descriptors: list[int]


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
    # The zygote is exact; this is for when it cannot keep up. Wide, since the kernel counts whole ticks here,
    # and on a busy machine has charged programs for a third more than they used.
    cpu = 2 + math.ceil(3 * request.cpu_seconds)
    output = request.output_bytes + 1  # the byte too many that tells a full output from a cut one
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    limit(resource.RLIMIT_NPROC, confinement.max_tasks)


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
    show_source(text)
    code = _execute(text, module)
    os._exit(_finish(module, code))


def _execute(text: bytes, module: types.ModuleType) -> int:
    """Run the program and return its exit code; whatever it raises is its own affair."""
    try:
        exec(compile(text, PROGRAM_NAME, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        return _exit_code(error)
    except BaseException as error:
        _show(error)
        return 1
    return 0


def _exit_code(error: SystemExit) -> int:
    try:
        code = error.code
        if code is None:
            return 0
        if isinstance(code, int):
            return code & 0xFF if LEAST_C_LONG <= code <= -1 - LEAST_C_LONG else 0xFF
        if sys.stderr is not None:
            print(code, file=sys.stderr)
    except BaseException:  # the interpreter too lets a code that cannot be printed pass in silence
        return 1
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
    """What the interpreter does at exit: join threads, exit handlers, flush, finalisers of globals."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()  # also stops the workers of executors, which no public call does
        atexit._run_exitfuncs()
    except BaseException as error:
        _show(error)
    flushed = _flush()
    with contextlib.suppress(BaseException):
        if threading is None or threading.active_count() == 1:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            module.__dict__.clear()
    _flush()  # what the finalisers printed
    return code if flushed else FLUSH_FAILED


def _flush() -> bool:
    """Flush the standard streams; False where one that is open cannot be."""
    flushed = True
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except BaseException:
            flushed = False
    return flushed
