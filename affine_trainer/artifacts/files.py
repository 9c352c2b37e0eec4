"""Files that survive a kill and a full disk: atomic writes, JSON lines, hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from affine_trainer.errors import DataError, StageError

HASH_CHUNK = 1 << 20
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
# Native writers (safetensors, torch) lose the errno and keep only words; the last is what torch says when it
# closes an archive that did not fit.
DISK_FULL_WORDS = ("No space left on device", "PytorchStreamWriter failed writing file", "unexpected pos")


class disk_full_is_a_sentence(AbstractContextManager):
    """Turns a write that failed for want of space into a StageError that names `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, StageError) and _is_disk_full(error):
            raise StageError(
                f"The disk is full: could not write {self.path}. "
                "Free some space and run the same command again; what was finished is kept."
            ) from error


def _is_disk_full(error: BaseException | None) -> bool:
    """Looks down the chain as well: torch raises something else while it closes the file that did not fit."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
            return True
        if any(words in str(error) for words in DISK_FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write the whole file or leave the old one: a temporary file beside it, fsync, rename."""
    _write_chunks(path, [content.encode() if isinstance(content, str) else content])


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinity become null, as JSON has neither."""
    write_atomic(path, json.dumps(without_nan(value), indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write all rows atomically, one JSON object a line, and return how many there were."""
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for row in rows:
            count += 1
            yield _line(row)

    _write_chunks(path, lines())
    return count


def append_jsonl(path: Path, row: dict[str, Any]) -> None:
    """Add one line in one write; a line that did not fit on the disk is taken back."""
    line = _line(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_full_is_a_sentence(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            os.close(descriptor)


def read_jsonl(path: Path, fields: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file; blank lines are skipped.

    DataError names the file and line of anything that is not a JSON object or lacks one of `fields`;
    a missing or empty file is refused as well.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist." if not path.exists() else f"{path} is not a file.")
    return _rows(path, fields)


def _rows(path: Path, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    empty = True
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                empty = False
                yield _row(line, f"{path}, line {number}", fields)
    if empty:
        raise DataError(f"{path} is empty: it should hold one JSON object a line.")


def _row(line: bytes, where: str, fields: Sequence[str]) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text (byte {error.start + 1}).") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON ({error.msg}, column {error.colno}).") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(row).__name__}.")
    if missing := [name for name in fields if name not in row]:
        raise DataError(f"{where}: the row lacks {', '.join(missing)}.")
    return row


def resume_jsonl(path: Path, fields: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows that an earlier process appended, after `repair_jsonl`; none where it wrote none."""
    repair_jsonl(path)
    return list(read_jsonl(path, fields)) if path.is_file() and path.stat().st_size else []


def repair_jsonl(path: Path) -> int:
    """Drop a last line that a kill or a full disk tore; returns the number of bytes dropped.

    A complete object that only lacks its newline is kept, and given one.
    """
    if not path.is_file():
        return 0
    with path.open("r+b") as file:
        start = _start_of_last_line(file.seek(0, os.SEEK_END), file)
        file.seek(start)
        line = file.read()
        if not line:
            return 0
        if _is_object(line):
            file.write(b"" if line.endswith(b"\n") else b"\n")
            return 0
        file.truncate(start)
        return len(line)


def _start_of_last_line(end: int, file: Any) -> int:
    """Offset behind the last newline that is not the file's final byte; searched backwards in chunks."""
    position = max(end - 1, 0)
    while position > 0:
        begin = max(position - HASH_CHUNK, 0)
        file.seek(begin)
        found = file.read(position - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        position = begin
    return 0


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def without_nan(value: Any) -> Any:
    """The same value with NaN and infinities as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return value


def _line(row: dict[str, Any]) -> bytes:
    row = without_nan(row)
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, as data sets and models produce them
        return json.dumps(row).encode() + b"\n"


def _write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with disk_full_is_a_sentence(path), temporary.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
