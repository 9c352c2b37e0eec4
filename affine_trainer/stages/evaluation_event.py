"""A finished evaluation as one event for the trackers, in the colour of its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import log_dir
from affine_trainer.colours import model_looks
from affine_trainer.config import Config
from affine_trainer.tracking import EVENTS_FILE, open_tracker, truncate_events


def track(config: Config, label: str, summary: Mapping[str, Any], path: Path) -> None:
    """The evaluation in `path` as one event, in logs/{run}/tracking/ (its own folder holds no times)."""
    folder = log_dir(config, "tracking", f"eval-{label}")
    truncate_events(folder / EVENTS_FILE, -1)
    with open_tracker(config, folder, f"eval-{label}") as tracker:
        tracker.log(event_of(label, summary), step=0)
        tracker.artifact(path / "evaluation.json", "evaluation")


def event_of(label: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Macro and micro success, that of each environment, and `eval/environments`: rows for a chart.

    Each row carries the model's colour, which a chart can draw with as it is.
    """
    colour = model_looks([label])[label].colour
    metrics: dict[str, Any] = {
        f"eval/{name}": summary["success"][name]["rate"] for name in ("macro", "micro")
    }
    rows = []
    for name, found in summary["per_environment"].items():
        metrics[f"eval/success/{name}"] = found["accuracy"]
        rows.append(
            {
                "environment": name,
                "model": label,
                "color": colour,
                "success": found["accuracy"],
                **found["confidence_interval"],
                "tasks": found["num_samples"],
            }
        )
    return {**metrics, "eval/environments": rows}
