"""The stages of a run as their folders show them: done, running, resumable, stale, and how far."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from affine_trainer import __version__
from affine_trainer.artifacts import (
    LiveBar,
    LiveState,
    Manifest,
    Start,
    data_dir,
    holder_of,
    input_digest,
    log_dir,
    model_dir,
    read_live,
    read_manifest,
    read_start,
)
from affine_trainer.artifacts.manifest import SCHEMA_VERSION
from affine_trainer.config import Config, config_from_record, flatten
from affine_trainer.errors import StageError
from affine_trainer.stages.evaluated_model import RESERVED
from affine_trainer.stages.workload import EVALUATED

State = Literal["done", "running", "resumable", "stale", "damaged", "waiting"]
MAX_CHANGES_SHOWN = 3
TRAINS = ("sft", "rl")  # what goes on from checkpoints
MADE_OTHERWISE = "made with another config"


@dataclass(frozen=True, slots=True)
class StageState:
    """`why` says what is stale or damaged, `pid` who works in the folder, `live` what the last one noted."""

    stage: str
    folder: Path
    state: State
    why: str | None = None
    pid: int | None = None
    manifest: Manifest | None = None
    live: LiveState | None = None


def stage_folders(config: Config) -> dict[str, Path]:
    """Where each stage of `affine run` ends, in their order."""
    return {
        "collect": data_dir(config),
        "sft": model_dir(config, "sft_final"),
        "rl": model_dir(config, "rl_best"),
        **{f"eval {label}": log_dir(config, "eval", label) for label in EVALUATED},
        "compare": log_dir(config, "compare"),
    }


def other_evaluations(config: Config) -> dict[str, Path]:
    """Evaluations of models beyond the run's own three."""
    found = sorted(path for path in log_dir(config, "eval").glob("*") if path.is_dir())
    return {f"eval {path.name}": path for path in found if path.name not in RESERVED and _is_begun(path)}


def stage_states(config: Config, *, compare_config: bool = True) -> list[StageState]:
    """The state of every stage; with `compare_config` one that `config` would not make any more is stale."""
    folders = stage_folders(config) | other_evaluations(config)
    values = flatten(config) if compare_config else None
    return [state_of(stage, path, values) for stage, path in folders.items()]


def state_of(stage: str, path: Path, values: Mapping[str, Any] | None = None) -> StageState:
    """The state of one folder; `values` are the config's by their dotted keys."""
    live, pid = read_live(path), holder_of(path)
    try:
        manifest = read_manifest(path)
        start = None if manifest else read_start(path)
    except StageError as error:
        return StageState(stage, path, "damaged", str(error), pid, live=live)
    if manifest is None and pid is not None:
        return StageState(stage, path, "running", pid=pid, live=live)
    owner = manifest or start
    if owner is None:
        return StageState(stage, path, "waiting", pid=pid)
    why = next(_reasons(owner, values), None)
    state: State = "stale" if why else "done" if manifest else "resumable"
    if state == "resumable" and live and stage in TRAINS:
        live = _at_its_checkpoint(stage, path.with_name(f"{stage}_checkpoints"), live)
    return StageState(stage, path, state, why, pid, manifest, live)


def _at_its_checkpoint(stage: str, checkpoints: Path, live: LiveState) -> LiveState:
    """What was noted, with the stage's own bar where it will go on; what it did in its seconds stays."""
    share = _share_kept(checkpoints)

    def rewound(bar: LiveBar) -> LiveBar:
        kept = int(share * (bar.total or 0))
        return replace(bar, done=kept, before=kept - (bar.done - bar.before))

    bars = [rewound(bar) if bar.description == stage else bar for bar in live.bars]
    return replace(live, bars=bars)


def _share_kept(checkpoints: Path) -> Fraction:
    """How much of the training its newest whole checkpoint holds; a torn one is left alone."""
    shares = [Fraction(0)]
    for path in checkpoints.glob("checkpoint-*/trainer_state.json"):
        with suppress(OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            state = json.loads(path.read_bytes())
            shares.append(Fraction(state["global_step"], state["max_steps"]))
    return max(shares)


def _reasons(owner: Manifest | Start, values: Mapping[str, Any] | None) -> Iterator[str]:
    """Why the stage would not be taken as it is."""
    for name, entry in owner.inputs.items() if isinstance(owner, Manifest) else ():
        try:
            changed = input_digest(Path(entry["path"])) != entry["digest"]
        except StageError as error:
            yield str(error)
        else:
            if changed:
                yield f"its input `{name}` has changed since"
    if values is None:
        return
    if owner.schema_version != SCHEMA_VERSION:
        yield f"the version of its manifest was {owner.schema_version}, now {SCHEMA_VERSION}"
    if owner.depends_on["version"] != __version__:
        yield f"affine-trainer was {owner.depends_on['version']}, now {__version__}"
    made_with = owner.depends_on["config"]
    changes = [
        f"{key} was {json.dumps(was)}, now {json.dumps(values.get(key))}"
        for key, was in made_with.items()
        if json.dumps(was) != json.dumps(values.get(key))
    ]
    if changes:
        more = f"; and {len(changes) - MAX_CHANGES_SHOWN} more" if len(changes) > MAX_CHANGES_SHOWN else ""
        yield f"{MADE_OTHERWISE}: {'; '.join(changes[:MAX_CHANGES_SHOWN])}{more}"


def recorded_config(config: Config, folders: Mapping[str, Path] | None = None) -> Config | None:
    """The config that a run's newest stage was begun with; None where there is none, or another version's."""
    found: list[tuple[float, dict[str, Any]]] = []
    for path in (folders or stage_folders(config) | other_evaluations(config)).values():
        try:
            owner = read_manifest(path) or read_start(path)
        except StageError:
            continue
        if owner is not None and owner.config:
            found.append((_begun_at(path), owner.config))
    for _, content in sorted(found, key=lambda pair: -pair[0]):
        if (known := config_from_record(content)) is not None:
            return known
    return None


def no_such_run(run: str) -> StageError:
    """What is said of a run that has left nothing here."""
    return StageError(
        f"there is no run {run!r} here: data/, models/ and logs/ hold none of its stages; "
        "go to the folder it was started in"
    )


def config_of_run(run: str, stage: str | None = None) -> Config:
    """The config that a run here was made with, of the stage that is asked about or of its newest.

    StageError where there is no such run, or another version made it.
    """
    named = Config(run=run)
    folders = stage_folders(named) | other_evaluations(named)
    begun = {name: path for name, path in folders.items() if stage in (None, name) and _is_begun(path)}
    if not begun and stage and any(map(_is_begun, folders.values())):
        raise StageError(f"{folders[stage]} is not there: run `affine {stage}` first.")
    if not begun:
        raise no_such_run(run)
    found = recorded_config(named, begun)
    if found is None:
        raise StageError(
            f"{next(iter(begun.values()))} holds the config of another version, which this one cannot read: "
            "give one with --config"
        )
    return found.model_copy(update={"run": run})


def _begun_at(path: Path) -> float:
    live = read_live(path)
    return live.began if live else path.stat().st_mtime


def _is_begun(path: Path) -> bool:
    try:
        return (read_manifest(path) or read_start(path)) is not None
    except StageError:
        return True


def seconds_silent(live: LiveState) -> float:
    """Since the last sign of life."""
    return max(0.0, time.time() - live.updated)
