"""Putting folders aside and back by renames, so that a kill at any moment loses nothing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path


def hidden(path: Path, kind: str) -> Path:
    """A hidden name beside `path`: "previous" (kept until the new one is finished), "discarded", "lock"."""
    return path.with_name(f".{path.name}.{kind}")


def has_work(path: Path) -> bool:
    """Whether a file or folder holds anything visible."""
    if not path.is_dir():
        return path.exists()
    return any(not entry.name.startswith(".") for entry in path.iterdir())


def set_aside(paths: Sequence[Path]) -> None:
    """Move what is there to its "previous" name; a newer attempt gives way to what is already kept there."""
    for path in paths:
        if hidden(path, "previous").exists():
            discard(path)
        elif path.exists():
            path.rename(hidden(path, "previous"))


def put_back(paths: Sequence[Path]) -> None:
    """Undo `set_aside`; the first path comes last, so that its presence means that all are back."""
    for path in reversed(paths):
        previous = hidden(path, "previous")
        if previous.exists():
            discard(path)
            previous.rename(path)


def forget(paths: Sequence[Path], kind: str) -> None:
    """Delete what is kept under the hidden names of one kind."""
    for path in paths:
        remove(hidden(path, kind))


def discard(path: Path) -> None:
    """Rename, then delete: a half-deleted folder never stands under its own name."""
    if path.exists():
        remove(hidden(path, "discarded"))
        path.rename(hidden(path, "discarded"))
        remove(hidden(path, "discarded"))


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
