"""What a run has come to, what it would take, and what can be learned from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affine_trainer.cli.options import (
    MORE,
    ConfigFile,
    Force,
    FreshRollouts,
    Lines,
    Overrides,
    RunHere,
    Scoring,
    States,
    Unsandboxed,
    WithVine,
    all_changes,
    check_run,
    name_once,
    read_config,
    read_config_of,
)

app = typer.Typer()


@app.command(rich_help_panel=MORE)
def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run started here; by default the config's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """What of a run is done, how far it is, the time left."""
    from affine_trainer.stages.status import status as stage

    stage(read_config(config, overrides), name_once(name, run, overrides), as_json=as_json)


@app.command(rich_help_panel=MORE)
def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Runs to show; by default the config's."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="By default logs/RUN/report/report.html."),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Every plot as .svg and .png, too.")
    ] = None,
    tables: Annotated[
        Path | None, typer.Option("--tables", metavar="DIR", help="Every table as .tex and .md, too.")
    ] = None,
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: Lines = False,
) -> None:
    """One page of a run: the verdict, its evidence, and every episode."""
    from affine_trainer.stages.report import report as stage
    from affine_trainer.tracking import json_lines

    names = (*(runs or ()), *([] if run is None else [run]))
    for name in names:
        check_run(name, overrides or ())
    with json_lines("report", as_json) as told:
        page = stage(read_config(config, overrides), names, output=output, figures=figures, tables=tables)
        told(page.parent)


@app.command(rich_help_panel=MORE)
def plan(
    candidate: Annotated[str, typer.Argument(help="The model you would commit.")] = "rl",
    baseline: Annotated[str, typer.Argument(help="The model it must beat.")] = "base",
    scoring: Scoring = "all",
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            min=1,
            max=1_000_000,
            metavar="N",
            help="What the validator takes an environment; by default as many as were evaluated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """P(win) under each validator's rule; the samples that settle it."""
    from affine_trainer.stages.plan import plan as stage

    chosen = read_config_of(run, config, overrides)
    stage(chosen, candidate, baseline, scoring=scoring, samples=samples, as_json=as_json)


@app.command(rich_help_panel=MORE)
def experiment(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Base config, overlays and seeds, as in configs/experiments/."),
    ],
    only: Annotated[
        str | None, typer.Option("--experiment", metavar="NAME", help="Run the cells of this overlay only.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="NAME", help="Compare with this overlay.")
    ] = None,
    stage: Annotated[
        str, typer.Option("--stage", metavar="STAGE", help="Stop after collect, sft, rl or eval.")
    ] = "eval",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the experiment's runs and results.")
    ] = None,
    overrides: Overrides = None,
    force: Force = False,
    unsandboxed: Unsandboxed = False,
    as_json: Lines = False,
) -> None:
    """Run a file of overlays by seeds, and compare them."""
    from affine_trainer.cli.experiment import check_stage, run_experiment
    from affine_trainer.config import check_overlay, load_experiment
    from affine_trainer.tracking import json_lines

    wanted = all_changes(overrides, unsandboxed=unsandboxed)
    with json_lines("experiment", as_json) as told:
        found = load_experiment(file, wanted, baseline=baseline, name=name)
        if only is not None:
            check_overlay(only, found.overlays, file)
        told(run_experiment(found, only=only, last_stage=check_stage(stage), force=force))


@app.command(rich_help_panel=MORE)
def diagnose(
    at: Annotated[
        str, typer.Option("--at", metavar="WEIGHTS", help="best, last, or a folder of rl_checkpoints.")
    ] = "best",
    episodes: Annotated[
        int, typer.Option("--episodes", min=1, max=65536, help="Episodes that gradients are taken of.")
    ] = 128,
    states: States = 64,
    fresh_rollouts: FreshRollouts = 64,
    vine: WithVine = False,
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    unsandboxed: Unsandboxed = False,
    as_json: Lines = False,
) -> None:
    """Measure gradients, advantages and values of RL."""
    from affine_trainer.stages.diagnose import Measures
    from affine_trainer.stages.diagnose import diagnose as stage
    from affine_trainer.tracking import json_lines

    measures = Measures(episodes, states, fresh_rollouts, vine)
    with json_lines("diagnose", as_json) as told:
        chosen = read_config_of(run, config, overrides, stage="rl", unsandboxed=unsandboxed)
        told(stage(chosen, at=at, measures=measures))


@app.command("config", rich_help_panel=MORE)
def show_config(run: RunHere = None, config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Print the resolved configuration."""
    from affine_trainer.config import resolved_yaml

    typer.echo(resolved_yaml(read_config_of(run, config, overrides)), nl=False)


@app.command(rich_help_panel=MORE)
def doctor(
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show what this machine has and what the config would need."""
    from affine_trainer.stages.doctor import doctor as stage

    stage(read_config(config, overrides), as_json=as_json)
