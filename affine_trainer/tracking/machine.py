"""`--json`: one JSON object a line on stdout for machines; what people read goes to stderr meanwhile."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from affine_trainer.artifacts import is_main_process, read_manifest, without_nan
from affine_trainer.errors import AffineError

_streams: list[TextIO] = []  # where the lines go; empty without --json


def utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def emit(event: str, **fields: Any) -> None:
    """Write one line, where `--json` was asked for: its time (UTC), the kind of event and the fields."""
    if _streams and is_main_process():
        line = json.dumps(without_nan({"time": utc_now(), "event": event, **fields}), default=str)
        _streams[-1].write(line + "\n")
        _streams[-1].flush()


@contextmanager
def json_lines(command: str, wanted: bool) -> Iterator[Callable[[Path], None]]:
    """With `wanted`, stdout carries events alone; what is yielded reports the folder a command ends with.

    The last line is the "result" with that folder and the metrics of its manifest, or an "error" whose
    message is the sentence that people get.
    """
    if not wanted:
        yield lambda folder: None
        return
    _streams.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield lambda folder: _emit_result(command, folder)
    except AffineError as error:
        emit("error", command=command, message=str(error), exit_code=error.exit_code)
        raise
    except KeyboardInterrupt:
        emit("error", command=command, message="stopped; run the same command to go on", exit_code=130)
        raise
    except OSError as error:
        emit("error", command=command, message=str(error), exit_code=1)
        raise
    finally:
        _streams.pop()


def _emit_result(command: str, folder: Path) -> None:
    manifest = read_manifest(folder)
    emit("result", command=command, folder=folder, metrics=manifest.metrics if manifest else {})
