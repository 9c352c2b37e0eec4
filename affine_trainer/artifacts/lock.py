"""One worker a folder: the lock, and how the other processes of a torchrun launch learn what it found."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from affine_trainer.artifacts.aside import hidden
from affine_trainer.artifacts.live import working_in
from affine_trainer.errors import StageError

ANNOUNCEMENT_TIMEOUT_SECONDS = 600.0
WAITS_SECONDS = (0.02, 0.1)


def is_main_process() -> bool:
    """Whether this process writes: the only one, or rank 0 of a launch by torchrun or accelerate."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def locked(path: Path) -> Iterator[TextIO]:
    """Hold the lock beside `path`; StageError when another process (or this one) holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = hidden(path, "lock").open("a+")
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise StageError(f"{path} cannot be created: {error.strerror} ({error.filename}).") from error
    with lock:
        try:
            _take(lock)
        except BlockingIOError as error:
            holder = _announced(path).get("pid", "unknown")
            raise StageError(
                f"Another process (pid {holder}) is working in {path}: "
                "wait until it ends, or choose another `run`."
            ) from error
        announce(lock, None)
        with working_in(path):
            yield lock


def _take(lock: TextIO) -> None:
    """Take the lock; `holder_of` may have it for an instant, so another try or two follow."""
    for wait in (*WAITS_SECONDS, None):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if wait is None:
                raise
            time.sleep(wait)


def holder_of(path: Path) -> int | None:
    """The pid of the process that works in `path`, or None; one that died holds nothing any more."""
    try:
        lock = hidden(path, "lock").open("r")
    except OSError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(_announced(path).get("pid", 0))
    return None


def announce(lock: TextIO, state: str | None) -> None:
    """Write who holds the lock and, for the other processes of the launch, what it found."""
    lock.truncate(0)
    lock.write(json.dumps({"pid": os.getpid(), "launch": os.getppid(), "state": state}))
    lock.flush()


def await_announcement(path: Path) -> str:
    """What rank 0 of this launch found in `path`; the launcher's pid tells its lock from an older one."""
    deadline = time.monotonic() + ANNOUNCEMENT_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        found = _announced(path)
        if found.get("launch") == os.getppid() and found.get("state"):
            return found["state"]
        time.sleep(0.05)
    raise StageError(f"The first process of this launch did not open {path} in time: see its own message.")


def _announced(path: Path) -> dict[str, Any]:
    try:
        return json.loads(hidden(path, "lock").read_text())
    except (FileNotFoundError, ValueError):
        return {}  # not there yet, or being written
