"""What a stage is doing right now, in a hidden file beside its folder: `affine status` reads it meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from affine_trainer.artifacts.aside import hidden

SECONDS_BETWEEN_WRITES = 1.0


@dataclass(slots=True)
class LiveBar:
    """One piece of work with a count; `before` of `done` were done by an earlier process."""

    description: str
    unit: str
    total: int | None
    before: int
    done: int
    seconds: float = 0.0
    note: str = ""
    closed: bool = False


@dataclass(slots=True)
class LiveState:
    """`began`, `updated` and `ended` are seconds since the epoch; `bars` come in the order they began."""

    pid: int
    began: float
    updated: float
    ended: float | None = None
    bars: list[LiveBar] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the start of the process's work to its last sign of life."""
        return max(0.0, (self.ended or self.updated) - self.began)


@dataclass(slots=True)
class _Working:
    path: Path
    state: LiveState
    written: float = 0.0


_working: list[_Working] = []  # the folders this process holds, the innermost last


@contextmanager
def working_in(path: Path) -> Iterator[None]:
    """Everything shown inside belongs to the work in `path`; nothing is written before the first bar."""
    now = time.time()
    entry = _Working(path, LiveState(os.getpid(), now, now))
    _working.append(entry)
    try:
        yield
    finally:
        _working.remove(entry)
        if entry.state.bars:
            entry.state.ended = time.time()
            _write(entry)


def show_bar(bar: LiveBar) -> None:
    """Note how far the work in the innermost folder is, at most once a second, and when a bar begins or ends.

    A file that cannot be written is left out: it is for looking at alone.
    """
    if not _working:
        return
    entry = _working[-1]
    fresh = not any(bar is known for known in entry.state.bars)
    if fresh:  # one that begins again, such as the plays of each iteration, takes the place of the last
        again = (bar.description, True)
        entry.state.bars = [b for b in entry.state.bars if (b.description, b.closed) != again]
        entry.state.bars.append(bar)
    now = time.time()
    entry.state.updated = now
    if fresh or bar.closed or now - entry.written >= SECONDS_BETWEEN_WRITES:
        entry.written = now
        _write(entry)


def read_live(path: Path) -> LiveState | None:
    """What the newest worker in `path` noted; None where none did."""
    try:
        content = json.loads(hidden(path, "progress").read_bytes())
        bars = [LiveBar(**bar) for bar in content.pop("bars")]
        return LiveState(**content, bars=bars)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(entry: _Working) -> None:
    """By rename, so that a reader finds a whole file; not synced, as it is worthless after a crash."""
    path = hidden(entry.path, "progress")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        temporary.write_text(json.dumps(asdict(entry.state)))
        os.replace(temporary, path)
