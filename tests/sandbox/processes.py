"""Waiting for something to come true, and the processes below one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """Every process below `pid`, whichever of its threads started it."""
    direct: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            direct += map(int, (thread / "children").read_text().split())
    return [descendant for child in direct for descendant in (child, *children(child))]
