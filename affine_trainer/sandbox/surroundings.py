"""What a program finds around itself: streams, builtins and devices as in a plain interpreter, no files."""

from __future__ import annotations

import _sitebuiltins
import builtins
import errno
import io
import linecache
import mmap
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

PROGRAM_NAME = "prog.py"
WORKING_FOLDER = "/"
STANDARD_DEVICES = {
    "/dev/stdin": 0,
    "/dev/stdout": 1,
    "/dev/stderr": 2,
    "/dev/fd/0": 0,
    "/proc/self/fd/0": 0,
}


def standard_streams() -> tuple[TextIO, TextIO, TextIO]:
    """Text streams over descriptors 0, 1 and 2, made before these point at a run's data."""
    return (
        _stream(0, "r", "<stdin>", "surrogateescape"),
        _stream(1, "w", "<stdout>", "surrogateescape"),
        _stream(2, "w", "<stderr>", "backslashreplace"),
    )


def _stream(number: int, mode: str, name: str, errors: str) -> TextIO:
    raw = io.FileIO(number, mode, closefd=False)
    raw.name = name
    buffered = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(
        buffered, encoding="utf-8", errors=errors, newline="\n", line_buffering=number == 2
    )
    vars(stream)["mode"] = mode  # as the interpreter does; programs ask for it
    return stream


def look_usual() -> None:
    """Give programs what the `site` module, the machine's devices and a folder would have given them."""
    _add_site_builtins()
    # Static methods, since classes that keep these functions as attributes (pathlib's) must not bind them.
    builtins.open = io.open = staticmethod(_open_with_devices(io.open, os.dup))
    os.fstat = staticmethod(_fstat_by_length(os.fstat, os.lseek))
    os.stat = staticmethod(_missing_where_refused(os.stat))
    os.lstat = staticmethod(_missing_where_refused(os.lstat))
    os.getcwd = staticmethod(lambda: WORKING_FOLDER)
    mmap.mmap = _mapping_of_whole_files(mmap.mmap)
    sys.argv = [PROGRAM_NAME]
    sys.path[:] = [WORKING_FOLDER]
    os.environ.clear()


def _add_site_builtins() -> None:
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    for name in ("copyright", "credits", "license"):
        setattr(builtins, name, _sitebuiltins._Printer(name, sys.copyright))
    builtins.help = _sitebuiltins._Helper()


class _NullDevice(io.RawIOBase):
    """/dev/null without a descriptor."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return 0

    def write(self, data: Any) -> int:
        return memoryview(data).nbytes


def _open_null_device(mode: str) -> io.IOBase:
    null = _NullDevice()
    if "b" in mode:
        return null
    return io.TextIOWrapper(io.BufferedReader(null) if "r" in mode else io.BufferedWriter(null))


def _missing(path: object) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _open_with_devices(open_file: Callable[..., Any], duplicate: Callable[[int], int]) -> Callable[..., Any]:
    """`open` with the standard streams and the null device; what the filter refuses to read is not there."""

    def open(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if isinstance(file, str):
            if file == os.devnull:
                return _open_null_device(mode)
            if file in STANDARD_DEVICES:
                file = duplicate(STANDARD_DEVICES[file])
        try:
            return open_file(file, mode, *arguments, **options)
        except PermissionError:
            if "r" in mode:
                raise _missing(file) from None
            raise

    return open


def _missing_where_refused(look_up: Callable[..., Any]) -> Callable[..., Any]:
    """Programs that ask for a file they can do without expect to be told that there is none."""

    def stat(path: Any, **options: Any) -> Any:
        try:
            return look_up(path, **options)
        except PermissionError:
            raise _missing(path) from None

    return stat


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


def _mapping_of_whole_files(plain: type[mmap.mmap]) -> type[mmap.mmap]:
    """`mmap(0, 0)` maps all of stdin, for which the C library too asks for the length."""

    class Mapping(plain):
        def __new__(cls, fileno: int, length: int, *arguments: Any, **options: Any) -> Any:
            if length == 0 and fileno != -1:
                length = os.fstat(fileno).st_size - options.get("offset", 0)
            return super().__new__(cls, fileno, length, *arguments, **options)

    Mapping.__name__ = Mapping.__qualname__ = plain.__name__
    return Mapping


def show_source(text: bytes) -> None:
    """Let tracebacks, warnings and `inspect` find the lines of the program, should they look for them."""
    cache = cast("dict[str, Any]", linecache.cache)
    cache[PROGRAM_NAME] = (lambda: text.decode("utf-8", "replace"),)  # a lone function is called when needed
