"""Where a data set's rows come from: a hub id, a local JSON-lines or Parquet file, or a folder of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import read_jsonl
from affine_trainer.config import AffineDataConfig
from affine_trainer.errors import DataError
from affine_trainer.hub import hub_http_error

SUFFIXES = (".jsonl", ".parquet")

RawRow = Mapping[str, Any]


def short_name(source: str) -> str:
    """The family name of a source: `rl-python` for satpalsr/rl-python, `rows` for data/rows.jsonl."""
    name = Path(source.rstrip("/")).name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "rows"


def read_batches(settings: AffineDataConfig) -> Iterator[list[RawRow]]:
    """The rows of `settings.programs`, `settings.max_batch` at a time; DataError says what is wrong."""
    path = Path(settings.programs).expanduser()
    if path.exists():
        rows = itertools.chain.from_iterable(map(_read_file, _data_files(path)))
    elif path.suffix in SUFFIXES or settings.programs.startswith((".", "/", "~")):
        raise DataError(
            f"data.affine.programs: there is no file or folder {path}; give one that exists, or a hub id"
        )
    else:
        rows = _stream(settings.programs, None, settings.programs_split)
    while batch := list(itertools.islice(rows, settings.max_batch)):
        yield batch


def _data_files(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise DataError(
                f"data.affine.programs: {path} ends in none of {', '.join(SUFFIXES)}; convert it to one"
            )
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
    if not files:
        raise DataError(
            f"data.affine.programs: the folder {path} holds no {', '.join(SUFFIXES)} file; put one there"
        )
    return files


def _read_file(path: Path) -> Iterator[RawRow]:
    # JSON lines are read here: `datasets` infers one type a column, and does not say which line is broken.
    if path.suffix == ".jsonl":
        return read_jsonl(path)
    return _stream("parquet", path, "train")


def _stream(name: str, path: Path | None, split: str) -> Iterator[RawRow]:
    """Rows through the `datasets` library, streaming; its errors become a DataError that says what to do."""
    import datasets  # slow to import, and only a real data set needs it
    from datasets.exceptions import DatasetsError

    data_files = None if path is None else str(path)
    try:
        rows: Iterable[RawRow] = datasets.load_dataset(
            name, data_files=data_files, split=split, streaming=True
        )
        yield from rows
    except (OSError, ValueError, hub_http_error(), DatasetsError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        source, advice = f"the file {path}", "write it anew"
        if path is None:
            source, advice = (
                f"{name} (split {split}) from the hub",
                "check name, split and network, or name a file",
            )
        raise DataError(f"data.affine.programs: could not read {source}: {reason}; {advice}") from error
