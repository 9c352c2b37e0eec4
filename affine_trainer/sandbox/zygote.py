"""The process that forks a child for each program: it loads Python once, locks itself up, and serves.

It runs in an interpreter of its own (see host.py), with an empty environment and one descriptor.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import mmap
import os
import select
import signal
import socket
import sys
import time
from importlib.machinery import PathFinder
from typing import NoReturn

from affine_trainer.sandbox import child, lockdown, surroundings
from affine_trainer.sandbox.protocol import (
    NOT_STOPPED,
    PACKAGE,
    STOPPED_FOR_CPU,
    STOPPED_FOR_WALL,
    Hello,
    Layers,
    Report,
    Request,
)
from affine_trainer.sandbox.seccomp import Filter
from affine_trainer.sandbox.stdlib_image import StandardLibrary
from affine_trainer.sandbox.syscalls import architecture

# Modules that many programs use, and every extension module that any may: no library can be loaded later.
# The rest is imported from the image in memory when it is needed, since each module here makes forks dearer.
PRELOADED = """
    abc bisect collections collections.abc contextlib copy dataclasses datetime decimal enum fractions
    functools heapq inspect io itertools json math numbers operator re signal string struct
    time traceback types typing
"""
EXTENSIONS = """
    _bisect _blake2 _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw
    _contextvars _csv _datetime _decimal _elementtree _heapq _json _lsprof _lzma _md5 _multibytecodec
    _multiprocessing _opcode _pickle _posixsubprocess _queue _random _sha1 _sha2 _sha256 _sha3 _sha512
    _socket _sqlite3 _statistics _struct _uuid _zoneinfo array binascii cmath fcntl math mmap pyexpat
    resource select termios unicodedata zlib
"""
MAX_THREADS = 64
MAX_THREADS_BESIDE_OTHERS = 4096  # where the user's other tasks count too, and may become more
LONGEST_NAP = 0.25  # how late the trainer's death is noticed while a program runs
SHORTEST_NAP = 0.001
NUM_CORES = os.cpu_count() or 1


def preload() -> None:
    """Load what programs use most, and what they cannot load themselves."""
    for name in (PRELOADED + EXTENSIONS).split():
        with contextlib.suppress(ImportError):  # some exist in some versions only
            __import__(name)
    if importlib.util.find_spec("_md5") is None:
        __import__("_hashlib")  # a build without hashes of its own has OpenSSL's


def serve_imports_from_memory() -> None:
    """Make the built-in, frozen and in-memory modules the only ones there are."""
    library = StandardLibrary(os.path.dirname(os.__file__))
    builtin_and_frozen = [finder for finder in sys.meta_path if finder is not PathFinder]
    sys.meta_path[:] = [*builtin_and_frozen, library]
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def _virtual_memory_bytes(statm: int) -> int:
    return int(os.pread(statm, 100, 0).split()[0]) * mmap.PAGESIZE


def prepare(layers: Layers, trainer: int, started: int) -> tuple[Hello, child.Confinement]:
    """Load everything, then lock up; the order matters, since no file opens afterwards."""
    process = os.getpid()
    lockdown.volunteer_for_the_out_of_memory_killer()
    namespaces = lockdown.enter_namespaces() if layers.namespaces else ()
    preload()
    serve_imports_from_memory()
    machine = architecture(os.uname().machine)
    system_call_filter = Filter(machine) if machine is not None and layers.seccomp else None
    others = lockdown.tasks_on_the_machine()
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    for number in range(2):  # 2 stays the file in memory from which the trainer reads why this process died
        os.dup2(os.memfd_create("empty"), number)
    in_empty_root, is_spare_user, landlock = lockdown.give_up_privileges(layers, process)
    if "processes" in namespaces:
        lockdown.die_with_parent()
    has_own_user = is_spare_user or "users" in namespaces
    confinement = child.Confinement(
        zygote=os.getpid(),
        filter=system_call_filter,
        max_tasks=MAX_THREADS if has_own_user else others + MAX_THREADS_BESIDE_OTHERS,
        base_memory_bytes=_virtual_memory_bytes(statm),
        started=started,
        streams=surroundings.standard_streams(),
    )
    os.close(statm)
    hello = Hello(
        seccomp=system_call_filter is not None,
        landlock=landlock,
        chroot=in_empty_root,
        uid=os.getuid(),
        namespaces=namespaces,
        files_closed=lockdown.files_are_closed(os.__file__),
        identity_closed=(is_spare_user or "processes" in namespaces)
        and lockdown.trainer_is_out_of_reach(trainer),
        python=sys.version.split()[0],
    )
    surroundings.look_usual()
    return hello, confinement


def forget_own_modules() -> None:
    """Programs are to find a plain interpreter, not this package."""
    for name in [name for name in sys.modules if name.startswith(PACKAGE.split(".")[0])]:
        del sys.modules[name]


def receive(control: socket.socket) -> child.Job | None:
    """The next job, or None when the trainer has gone."""
    trainer = os.getppid()
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    while not waiting.poll(2000):
        if os.getppid() != trainer:
            return None
    data, descriptors, _, _ = socket.recv_fds(control, Request.size, 4)
    if len(data) != Request.size or len(descriptors) != 4:
        return None
    return child.Job(Request.unpacked(data), descriptors)


def serve(control: socket.socket, started: int) -> child.Job:
    """Answer one job after the other, for ever; returns, with the job, only in a forked child."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        job = receive(control)
        if job is None:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            return job
        for descriptor in job.descriptors:
            os.close(descriptor)
        control.send(supervise(pid, job.request, control, started).packed())


def supervise(pid: int, request: Request, control: socket.socket, started: int) -> Report:
    """Wait for a child and stop it at its limits. Leaves with it when the trainer goes."""
    begin = time.perf_counter()
    deadline = begin + request.wall_seconds
    gone = select.poll()
    gone.register(control, select.POLLIN)
    stopped = NOT_STOPPED
    while True:
        reaped, status, usage = os.wait4(pid, os.WNOHANG)
        if reaped:
            break
        cpu_left = request.cpu_seconds - _cpu_seconds(pid)
        wall_left = deadline - time.perf_counter()
        if gone.poll(0):
            _kill_and_leave(pid)
        if cpu_left <= 0 or wall_left <= 0:
            stopped = STOPPED_FOR_CPU if cpu_left <= 0 else STOPPED_FOR_WALL
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            break
        # Threads may burn CPU time on every core at once.
        nap = min(cpu_left / NUM_CORES, wall_left, LONGEST_NAP)
        signal.sigtimedwait({signal.SIGCHLD}, max(nap, SHORTEST_NAP))
    return Report(
        exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        stopped=stopped if status == signal.SIGKILL else NOT_STOPPED,  # it may have ended just before
        started=_take(started),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        wall_seconds=time.perf_counter() - begin,
        peak_rss_bytes=usage.ru_maxrss * 1024,
    )


def _take(started: int) -> bool:
    """Whether the child, now dead, wrote its byte; takes it out of the pipe."""
    try:
        return os.read(started, 2) == b"1"
    except BlockingIOError:
        return False


def _cpu_seconds(pid: int) -> float:
    """CPU time a process has used: its clock's number is made from its pid (see clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _kill_and_leave(pid: int) -> NoReturn:
    os.kill(pid, signal.SIGKILL)
    os.wait4(pid, 0)
    os._exit(0)


def main() -> NoReturn:
    """The zygote's life. Descriptor 0 is the socket; arguments: the trainer's pid, and the layers as JSON."""
    control = socket.socket(fileno=os.dup(0))
    started, child_started = os.pipe()
    os.set_blocking(started, False)
    hello, confinement = prepare(Layers(**json.loads(sys.argv[2])), int(sys.argv[1]), child_started)
    forget_own_modules()
    gc.collect()
    gc.freeze()
    gc.disable()
    control.send(hello.packed())
    child.run(serve(control, started), confinement)
