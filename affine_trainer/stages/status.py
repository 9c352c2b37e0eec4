"""`affine status`: what of a run is done, running or left, its newest numbers, and the time left."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import rich
from rich.table import Table

from affine_trainer.artifacts import LiveBar, log_dir
from affine_trainer.config import Config
from affine_trainer.stages.forecast import Seen, forecast
from affine_trainer.stages.run_state import (
    MADE_OTHERWISE,
    StageState,
    no_such_run,
    recorded_config,
    seconds_silent,
    stage_states,
)
from affine_trainer.stages.workload import Work, measured_costs, workload
from affine_trainer.tracking import EVENTS_FILE, duration

# The numbers of events.jsonl, and of a finished stage's manifest, that say how a stage goes.
NEWEST = {
    "sft": ("sft/train_loss", "sft/eval_loss", "sft/perplexity"),
    "rl": ("rl/reward", "rl/success", "validation/reward", "validation/success", "rl/kl_divergence"),
}
FINAL = {
    "sft": ("eval_loss", "perplexity"),
    "rl": ("first_reward", "best_reward", "best_success"),
}
MAX_WHY = 90  # characters of the first reason in the table
# What the table calls them; it leaves out the others.
SHOWN = {
    "train": "train", "rl": "rl", "evaluation": "evaluation tasks",
    "sft/train_loss": "loss", "sft/eval_loss": "validation loss", "eval_loss": "validation loss",
    "perplexity": "perplexity",
    "rl/reward": "reward", "validation/reward": "validation", "rl/kl_divergence": "KL",
    "first_reward": "validation", "best_reward": "at best",
    "macro_success": "macro success",
}  # fmt: skip


def status(config: Config, run: str | None = None, *, as_json: bool = False) -> dict[str, Any]:
    """Print (and return) the state of a run, of the config's own by default; reads files alone.

    While it works, and for a run that is named, the config recorded in its folders counts; without a name a
    finished stage is stale where this call's config would make another. Raises StageError where the run named
    has left nothing.
    """
    named = config.model_copy(update={"run": run or config.run})
    recorded = recorded_config(named)
    if run is not None and run != config.run and recorded is None:
        raise no_such_run(run)
    found = read_status(named, recorded, compare_config=run is None)
    if as_json:
        print(json.dumps(found, indent=2, default=str))
    else:
        _show(found)
    return found


def read_status(
    config: Config, recorded: Config | None, *, compare_config: bool, redone: Collection[str] = ()
) -> dict[str, Any]:
    """The state of the run as JSON types; times are in seconds."""
    states = stage_states(config, compare_config=False)
    busy = any(state.state == "running" for state in states)
    if compare_config and not busy:
        states = stage_states(config)
    states = [replace(state, state="waiting") if state.stage in redone else state for state in states]
    asked = config if compare_config and not busy else recorded or config
    works = workload(asked)
    left = time_left(works, states)
    stages = [_described(config, state, left.get(state.stage)) for state in states]
    own = [stage for stage in stages if stage["stage"] in left]
    return {
        "run": config.run,
        "stages": stages,
        "stages_done": sum(stage["state"] == "done" for stage in own),
        "stages_total": len(own),
        "running": next((stage["stage"] for stage in stages if stage["state"] == "running"), None),
        "seconds_left": sum(left.values()),
        "rough": is_rough(asked, states),
    }


def run_line(config: Config, redone: Collection[str] = ()) -> str:
    """E.g. "2 of 7 stages done, about 12 min left"; the stages `redone` count as not begun."""
    found = read_status(config, config, compare_config=True, redone=redone)
    line = f"{found['stages_done']} of {found['stages_total']} stages done"
    return line if not found["seconds_left"] else f"{line}, {_about(found)} left"


def time_left(works: Sequence[Work], states: Sequence[StageState]) -> dict[str, float]:
    """Seconds left by stage; one that is silent is taken to have gone on at its pace."""
    seen = {state.stage: found for state in states if (found := seen_of(state))}
    left = forecast(works, seen).left
    for state in states:
        if state.state == "running" and state.live and state.stage in left:
            left[state.stage] = max(0.0, left[state.stage] - seconds_silent(state.live))
    return left


def seen_of(state: StageState) -> Seen | None:
    """What the estimate learns from a stage; nothing from one that has not begun or must be redone."""
    live = state.live
    if state.state == "done":
        assert state.manifest is not None
        if live and live.ended and live.bars:
            return Seen(live.seconds, tuple(live.bars), finished=True)
        return Seen(float(state.manifest.metrics.get("seconds") or 0.0), finished=True)
    if state.state in ("running", "resumable") and live:
        return Seen(live.seconds, tuple(live.bars))
    return None


def is_rough(config: Config, states: Sequence[StageState]) -> bool:
    """Whether nothing has been measured yet that tells how fast this model is on this machine."""
    begun = {state.stage for state in states if state.state in ("done", "running", "resumable")}
    return not begun - {"collect"} if config.model.name != measured_costs()["model"] else not begun


def _described(config: Config, state: StageState, left: float | None) -> dict[str, Any]:
    bar = _main_bar(state)
    return {
        "stage": state.stage,
        "state": state.state,
        "why": state.why,
        "folder": str(state.folder),
        "pid": state.pid,
        "doing": bar.description if bar and state.state == "running" else None,
        "done": bar.done if bar else None,
        "total": bar.total if bar else None,
        "unit": bar.unit if bar else None,
        "note": bar.note if bar else "",
        "seconds": _seconds(state),
        "seconds_left": left,
        "metrics": metrics_of(config, state),
    }


def _main_bar(state: StageState) -> LiveBar | None:
    """The bar of the stage itself where it has begun, else the newest."""
    if state.live is None or not state.live.bars or state.state in ("waiting", "damaged"):
        return None
    own = [bar for bar in state.live.bars if bar.description == state.stage]
    return own[-1] if own else state.live.bars[-1]


def _seconds(state: StageState) -> float | None:
    """What it has taken: of a running or killed stage, of its last process alone."""
    recorded = state.manifest.metrics.get("seconds") if state.manifest else None
    if recorded is not None:
        return float(recorded)
    return state.live.seconds if state.live and state.state != "waiting" else None


def metrics_of(config: Config, state: StageState) -> dict[str, Any]:
    """The stage's newest numbers by name: of its manifest, or of its events while it is not done."""
    name = state.stage.partition(" ")[0]
    if state.manifest is not None:
        return _final_metrics(name, state.manifest.metrics)
    wanted, newest = NEWEST.get(name, ()), dict[str, Any]()
    if state.state != "waiting":
        for event in _events(log_dir(config, name) / EVENTS_FILE) if wanted else ():
            newest.update({key: event[key] for key in wanted if key in event})
    return newest


def _final_metrics(stage: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    if stage == "collect":
        return {split: sum(counts.values()) for split, counts in metrics.get("counts", {}).items()}
    if stage == "eval":
        return {"macro_success": metrics["macro"]["rate"]} if "macro" in metrics else {}
    if stage == "compare":
        found = {label: entry for label, entry in metrics.items() if isinstance(entry, dict)}
        return {label: entry.get("standing", entry["verdict"]) for label, entry in found.items()}
    return {key: metrics[key] for key in FINAL.get(stage, ()) if key in metrics}


def _events(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that another process may be writing."""
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        found += [event] if isinstance(event, dict) else []
    return found


def _show(found: Mapping[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "state", "how far"):
        table.add_column(heading, no_wrap=heading != "how far")
    for heading in ("took", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in found["stages"]:
        took, left = stage["seconds"], stage["seconds_left"]
        table.add_row(
            stage["stage"],
            f"running (pid {stage['pid']})" if stage["state"] == "running" else stage["state"],
            _how_far(stage),
            "" if took is None else duration(took),
            duration(left) if left else "",
        )
    console = rich.get_console()
    console.print(f"run {found['run']}", style="bold", highlight=False)
    console.print(table)
    line = f"{found['stages_done']} of {found['stages_total']} stages done"
    if found["seconds_left"]:
        doing = f"{found['running']} is running" if found["running"] else "nothing is running"
        line += f"; {doing}; {_about(found)} left in all"
    console.print(line, highlight=False, soft_wrap=True)
    if any(MADE_OTHERWISE in stage["why"] for stage in found["stages"] if stage["why"]):
        console.print(
            f"stale is meant for the config of this call; `affine status {found['run']}` shows the run as it "
            "was made",
            highlight=False,
            soft_wrap=True,
        )


def _how_far(stage: Mapping[str, Any]) -> str:
    """The count, the newest numbers, or what is wrong."""
    if stage["why"]:
        return _shortened(stage["why"])
    parts = []
    if stage["state"] in ("running", "resumable") and stage["done"] is not None:
        share = f" ({stage['done'] / stage['total']:.0%})" if stage["total"] else ""
        of = f"/{stage['total']}" if stage["total"] else ""
        doing = f"{stage['doing']}: " if stage["doing"] not in (None, stage["stage"]) else ""
        parts.append(f"{doing}{stage['done']}{of} {stage['unit']}{share}")
    numbers = stage["metrics"].items()
    parts += [_shown(name, value) for name, value in numbers if name in SHOWN or not _is_number(value)]
    if not stage["metrics"] and stage["note"] and stage["state"] != "done":
        parts.append(stage["note"])
    return ", ".join(parts)


def _shortened(why: str) -> str:
    """The first of the keys that differ, and how many more there are."""
    first, *others = why.split("; ")
    first = first if len(first) <= MAX_WHY else f"{first[:MAX_WHY]}…"
    return first if not others else f"{first}; {len(others)} more"


def _shown(name: str, value: Any) -> str:
    """A number under the name that the table has for it; a verdict as `base: better`."""
    if not _is_number(value):
        return f"{name}: {value}"
    if name == "macro_success":
        return f"{SHOWN[name]} {100 * value:.1f} %"
    return f"{SHOWN[name]} {value:,}" if isinstance(value, int) else f"{SHOWN[name]} {value:.3g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _about(found: Mapping[str, Any]) -> str:
    seconds = found["seconds_left"]
    amount = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    amount = amount if seconds < 5400 else f"{seconds / 3600:.1f} h"
    return f"very roughly {amount}" if found["rough"] else f"about {amount}"
