"""Before a model is handed over: the leak report, the whole model, and the rules of miners' repositories."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from affine_trainer.cli.options import MORE, ConfigFile, Lines, Overrides, RunHere, read_config_of

ModelToLookAt = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="rl, sft, rl_best, sft_final, base, or a model or adapter folder."),
]


class ExportDtype(str, Enum):
    """What exported weights are stored in."""

    bfloat16 = "bfloat16"
    float32 = "float32"


app = typer.Typer()


@app.command(rich_help_panel=MORE)
def audit(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Runs, data folders, evaluation folders, or training files (JSON lines, AgentTraj); "
            "by default the configured run.",
        ),
    ] = None,
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: Lines = False,
) -> None:
    """Report what training and evaluation share; fails on a leak.

    One run that is named is audited with the config it was made with, unless --config or --set gives another.
    """
    from affine_trainer.stages.audit import audit as stage
    from affine_trainer.stages.audit import is_collected
    from affine_trainer.tracking import json_lines

    only = what[0] if what and len(what) == 1 and not overrides and is_collected(what[0]) else None
    named = only if run is None else run
    with json_lines("audit", as_json) as told:
        chosen = read_config_of(named, config, overrides, stage="collect")
        folder, leaks = stage(chosen, tuple(what or ()))
        told(folder)
    if leaks:
        raise typer.Exit(1)


@app.command(rich_help_panel=MORE)
def export(
    model: ModelToLookAt,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="A new folder; by default models/{run}/exported-..."
        ),
    ] = None,
    dtype: Annotated[
        ExportDtype | None, typer.Option("--dtype", help="By default what the base model is stored in.")
    ] = None,
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Write a whole model: adapter merged, tokenizer, facts."""
    from affine_trainer.stages.export import export as stage

    stage(read_config_of(run, config, overrides), model, output, dtype.value if dtype else None)


@app.command(rich_help_panel=MORE)
def preflight(
    model: ModelToLookAt,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="The dated rules of miners' repositories; by default the last."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="REPO", help="What the repository will be called.")
    ] = None,
    hotkey: Annotated[
        str | None, typer.Option("--hotkey", metavar="KEY", help="The key it must end with.")
    ] = None,
    champion: Annotated[
        Path | None, typer.Option("--champion", metavar="DIR", help="The champion's model, downloaded.")
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            "--earlier", metavar="DIR", help="A model that others committed before; may be repeated."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Keep the exported model here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Check a model by the rules of miners' repositories."""
    from affine_trainer.stages.preflight import Candidate
    from affine_trainer.stages.preflight import preflight as stage

    candidate = Candidate(model, name, hotkey, champion, tuple(earlier or ()), output)
    report = stage(read_config_of(run, config, overrides), candidate, profile, as_json=as_json)
    if report["failed"]:
        raise typer.Exit(1)
