"""The event stream of a stage: one line an event in events.jsonl, and the same to console and trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import rich
from rich.console import Console

from affine_trainer.artifacts import append_jsonl, is_main_process, repair_jsonl, resume_jsonl, write_jsonl
from affine_trainer.config import Config
from affine_trainer.tracking.machine import emit, utc_now
from affine_trainer.tracking.tensorboard_sink import TensorBoardSink, check_installed
from affine_trainer.tracking.wandb_sink import WandbSink

EVENTS_FILE = "events.jsonl"
MAX_CONSOLE_METRICS = 8


class Sink(Protocol):
    """One more place that events go to."""

    def log(self, metrics: Mapping[str, Any], step: int) -> None: ...

    def artifact(self, path: Path, kind: str) -> None: ...

    def close(self, failed: bool) -> None: ...


class Tracker:
    """Writes the events of one stage; `metrics` are numbers, or whatever JSON holds.

    Trackers show a list of numbers as a histogram and a list of objects as a table.
    """

    def __init__(self, path: Path, stage: str, console: Console, sinks: Sequence[Sink] = ()) -> None:
        self.path = path
        self.stage = stage
        self._console = console
        self._sinks = sinks

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Append one event; NaN and infinities are written as null. The line is in the file on return.

        Under torchrun rank 0 alone writes.
        """
        if not is_main_process():
            return
        plain = {name: _plain(value) for name, value in metrics.items()}
        append_jsonl(self.path, {"time": utc_now(), "stage": self.stage, "step": step, **plain})
        emit("metrics", stage=self.stage, step=step, **plain)
        if self._console.is_terminal:
            self._console.print(_console_line(self.stage, step, plain), markup=False, highlight=False)
        for sink in self._sinks:
            sink.log(plain, step)

    def artifact(self, path: Path, kind: str) -> None:
        """Hand a finished folder or file of the stage to the trackers that keep such things."""
        for sink in self._sinks:
            sink.artifact(path, kind)


@contextmanager
def open_tracker(config: Config, folder: Path, stage: str) -> Iterator[Tracker]:
    """The tracker of `stage`, which appends to `folder`/events.jsonl; a torn last line is dropped.

    A resumed stage calls `truncate_events` first, so that the steps it takes again are not there twice.
    """
    path = folder / EVENTS_FILE
    console = rich.get_console()
    if not is_main_process():
        yield Tracker(path, stage, console)
        return
    check_tracking(config)
    repair_jsonl(path)
    sinks: list[Sink] = []
    if config.tracking.use_wandb:
        sinks.append(WandbSink(config, folder, stage, console))
    if config.tracking.use_tensorboard:
        sinks.append(TensorBoardSink(folder))
    failed = True
    try:
        yield Tracker(path, stage, console, sinks)
        failed = False
    finally:
        for sink in sinks:
            sink.close(failed)


def check_tracking(config: Config) -> None:
    """ConfigError where a tracker that is asked for is not installed; W&B that is down is no error."""
    if config.tracking.use_tensorboard:
        check_installed()


def truncate_events(path: Path, step: int) -> int:
    """Drop the events after `step`, which a resumed stage takes again; returns how many were dropped."""
    if not is_main_process():
        return 0
    events = resume_jsonl(path, fields=("step",))
    kept = [event for event in events if event["step"] <= step]
    if len(kept) < len(events):
        write_jsonl(path, kept)
    return len(events) - len(kept)


def _plain(value: Any) -> Any:
    """A numpy or torch scalar as a Python number, without importing either."""
    return value.item() if hasattr(value, "item") else value


def _console_line(stage: str, step: int, metrics: Mapping[str, Any]) -> str:
    numbers = [(name, value) for name, value in metrics.items() if isinstance(value, (int, float))]
    parts = [f"{name} {_short(value)}" for name, value in numbers[:MAX_CONSOLE_METRICS]]
    more = f"(+{len(numbers) - MAX_CONSOLE_METRICS})" if len(numbers) > MAX_CONSOLE_METRICS else ""
    return "  ".join([f"{stage} {step:>6}", *parts, more]).rstrip()


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
