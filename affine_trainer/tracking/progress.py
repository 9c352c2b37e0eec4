"""A progress bar with rate and time left: a bar on a terminal, elsewhere a plain line now and then.

The same numbers go to `affine status` (through the folder that is worked in) and, with --json, to stdout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Protocol

import rich
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from affine_trainer.artifacts import LiveBar, is_main_process, show_bar
from affine_trainer.tracking.machine import emit

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_EVENTS = 1.0


class Bar(Protocol):
    """What the code inside `progress` holds."""

    def advance(self, count: int = 1) -> None: ...

    def note(self, text: str) -> None:
        """Show a short text behind the bar, e.g. the current loss."""
        ...


@contextmanager
def progress(
    description: str,
    total: int | None,
    *,
    unit: str = "",
    completed: int = 0,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Bar]:
    """Show how far `total` steps are; `completed` were done before (a resume) and do not count in the rate.

    Bars nest: an inner one is shown below the outer one. Under torchrun rank 0 alone shows any.
    """
    console = rich.get_console() if console is None else console
    if not is_main_process():
        yield _PlainBar(description, total, unit, completed, Console(quiet=True), clock)
        return
    with _shown(description, total, unit, completed, console, clock) as shown:
        bar = _Watched(shown, LiveBar(description, unit, total, completed, completed), clock)
        try:
            yield bar
        finally:
            bar.close()


@contextmanager
def _shown(
    description: str,
    total: int | None,
    unit: str,
    completed: int,
    console: Console,
    clock: Callable[[], float],
) -> Iterator[Bar]:
    """What people see of it."""
    if not console.is_terminal:
        plain = _PlainBar(description, total, unit, completed, console, clock)
        yield plain
        plain.close()
        return
    with _display(console) as display:
        task = display.add_task(description, total=total, completed=completed, unit=unit, note="")
        try:
            yield _RichBar(display, task)
        finally:
            if len(display.tasks) > 1:  # an inner bar goes when it is done; the outer one stays on screen
                display.remove_task(task)


@dataclass
class _Watched:
    """Passes everything on to the bar that is shown, and notes it for other processes."""

    shown: Bar
    state: LiveBar
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self._began = self._told = self.clock()
        self._tell()

    def advance(self, count: int = 1) -> None:
        self.state.done += count
        self.shown.advance(count)
        self._tell(now_and_then=True)

    def note(self, text: str) -> None:
        self.state.note = text
        self.shown.note(text)

    def close(self) -> None:
        self.state.closed = True
        self._tell()

    def _tell(self, now_and_then: bool = False) -> None:
        now, state = self.clock(), self.state
        state.seconds = now - self._began
        show_bar(state)
        if now_and_then and now - self._told < SECONDS_BETWEEN_EVENTS:
            return
        self._told = now
        rate = (state.done - state.before) / state.seconds if state.seconds > 0 else 0.0
        left = (state.total - state.done) / rate if state.total is not None and rate > 0 else None
        emit("progress", **asdict(state), rate=rate, seconds_left=left)


@dataclass(slots=True)
class _RichBar:
    display: Progress
    task: TaskID

    def advance(self, count: int = 1) -> None:
        self.display.advance(self.task, count)

    def note(self, text: str) -> None:
        self.display.update(self.task, note=text)


@dataclass
class _PlainBar:
    """Prints a line at most every ten seconds, and where it ended if it printed any before that."""

    description: str
    total: int | None
    unit: str
    done: int
    console: Console
    clock: Callable[[], float]
    text: str = ""
    printed: int | None = None

    def __post_init__(self) -> None:
        self.began = self.last = self.clock()
        self.done_before = self.done

    def advance(self, count: int = 1) -> None:
        self.done += count
        if self.clock() - self.last >= SECONDS_BETWEEN_LINES:
            self._print()

    def note(self, text: str) -> None:
        self.text = text

    def close(self) -> None:
        if self.printed not in (None, self.done):
            self._print()

    def _print(self) -> None:
        self.last, self.printed = self.clock(), self.done
        rate = (self.done - self.done_before) / max(self.last - self.began, 1e-9)
        parts = [f"{self.description}: {self.done}"]
        if self.total:
            parts[0] += f"/{self.total} ({self.done / self.total:.0%})"
        parts.append(_rate(rate, self.unit))
        if self.total and rate > 0:
            parts.append(f"{duration((self.total - self.done) / rate)} left")
        self.console.print(
            ", ".join([*parts, *([self.text] if self.text else [])]), markup=False, highlight=False
        )


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _rate(speed, task.fields["unit"]), style="progress.data.speed")


_displays: list[Progress] = []  # the display that is on screen: inner bars join it


@contextmanager
def _display(console: Console) -> Iterator[Progress]:
    if _displays and _displays[-1].console is console:
        yield _displays[-1]
        return
    display = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
    with display:
        _displays.append(display)
        try:
            yield display
        finally:
            _displays.remove(display)


def _rate(rate: float, unit: str) -> str:
    digits = 0 if rate >= 100 else 1 if rate >= 1 else 3
    return f"{rate:,.{digits}f} {unit}/s".replace(" /", "/")


def duration(seconds: float) -> str:
    """As on a clock: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
