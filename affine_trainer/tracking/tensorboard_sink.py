"""Events to TensorBoard's own file format; the package is an extra, and torch is not needed for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from affine_trainer.errors import ConfigError

TENSORBOARD_FOLDER = "tensorboard"


def check_installed() -> None:
    """ConfigError where the package is missing."""
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "tracking.use_tensorboard needs the package tensorboard, which is not installed: run "
            '`pip install "affine-trainer[tensorboard]"`, or set the key to false'
        )


class TensorBoardSink:
    """Scalars, histograms (of lists of numbers) and texts (of lists of rows) of one stage.

    Steps that a resumed stage takes again are there twice, since TensorBoard's files are only appended to.
    """

    def __init__(self, folder: Path) -> None:
        check_installed()
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder / TENSORBOARD_FOLDER))

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        event = import_module("tensorboard.compat.proto.event_pb2").Event  # made when it is imported

        for name, value in metrics.items():
            summary = _summary(name, value)
            if summary is not None:
                self._writer.add_event(event(step=step, wall_time=time.time(), summary=summary))
        self._writer.flush()

    def artifact(self, path: Path, kind: str) -> None:
        """TensorBoard keeps none."""

    def close(self, failed: bool) -> None:
        self._writer.close()


def _summary(name: str, value: Any) -> Any:
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.plugins.text.summary_v2 import text_pb

    if isinstance(value, (int, float)):
        return scalar_pb(name, float(value))
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(item, (int, float)) for item in value):
        return histogram_pb(name, [float(item) for item in value])
    if all(isinstance(item, dict) for item in value):
        return text_pb(name, _markdown(value))
    return None


def _markdown(rows: list[dict[str, Any]]) -> str:
    """A table in Markdown, which TensorBoard renders."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([row.get(name) for name in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", "<br>")
