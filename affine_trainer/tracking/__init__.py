"""One event stream and its sinks (JSON lines, console, W&B), and the progress bar of whatever takes long."""

from affine_trainer.tracking.events import EVENTS_FILE, Tracker, open_tracker, truncate_events
from affine_trainer.tracking.progress import Bar, progress

__all__ = ["EVENTS_FILE", "Bar", "Tracker", "open_tracker", "progress", "truncate_events"]
