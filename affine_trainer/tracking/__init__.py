"""One event stream and its sinks (JSON lines, console, W&B, TensorBoard), and the progress of long work."""

from affine_trainer.tracking.console import say
from affine_trainer.tracking.events import (
    EVENTS_FILE,
    Tracker,
    check_tracking,
    open_tracker,
    truncate_events,
)
from affine_trainer.tracking.machine import emit, json_lines
from affine_trainer.tracking.progress import Bar, duration, progress

__all__ = [
    "EVENTS_FILE",
    "Bar",
    "Tracker",
    "check_tracking",
    "duration",
    "emit",
    "json_lines",
    "open_tracker",
    "progress",
    "say",
    "truncate_events",
]
