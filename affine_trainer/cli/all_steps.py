"""`affine run`: the five steps in order, each skipping what is already done, and the verdict at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affine_trainer.stages.collect import collect
from affine_trainer.stages.compare import compare
from affine_trainer.stages.evaluate import evaluate
from affine_trainer.stages.rl import rl
from affine_trainer.stages.sft import sft
from affine_trainer.stages.status import run_line
from affine_trainer.stages.workload import EVALUATED
from affine_trainer.tracking import check_tracking, emit

if TYPE_CHECKING:
    from affine_trainer.config import Config


def run_all(config: Config, *, force: bool = False) -> Path:
    """Run every step; returns the folder of the comparison. Steps with an equal fingerprint are skipped."""
    begun = time.monotonic()
    check_tracking(config)
    emit("run", run=config.run, config=config.model_dump(mode="json"))
    steps: list[tuple[str, Callable[[], Path]]] = [
        ("1 collect", partial(collect, config, force=force)),
        ("2 sft", partial(sft, config, force=force)),
        ("3 rl", partial(rl, config, force=force)),
        *((f"4 eval {name}", partial(evaluate, config, name, force=force)) for name in EVALUATED),
        ("5 compare", partial(compare, config, force=force)),
    ]
    written: list[tuple[str, Path]] = []
    names = [title.partition(" ")[2] for title, _ in steps]
    for place, (title, step) in enumerate(steps):
        name = names[place]
        typer.secho(f"\naffine run · {title}", bold=True)
        typer.echo(f"affine run: {run_line(config, names[place:] if force else ())}")
        emit("stage", stage=name, state="started")
        written.append((title, step()))
        emit("stage", stage=name, state="finished", folder=written[-1][1])
    typer.secho(f"\naffine run · done in {time.monotonic() - begun:.0f} s", bold=True)
    for title, path in written:
        typer.echo(f"  {title:<12} {path}")
    return written[-1][1]
