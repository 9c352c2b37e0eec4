"""The five steps, and all of them at once."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from affine_trainer.cli.options import (
    MORE,
    ConfigFile,
    Force,
    Lines,
    Overrides,
    RunHere,
    RunName,
    Scoring,
    Unsandboxed,
    read_config,
    read_config_of,
)
from affine_trainer.errors import AffineError

STEPS = "The five steps"

app = typer.Typer()


@app.command(rich_help_panel=STEPS)
def collect(
    run: RunName = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Force = False,
    unsandboxed: Unsandboxed = False,
    as_json: Lines = False,
) -> None:
    """(1) Collect verified expert data and the task lists."""
    from affine_trainer.stages.collect import collect as stage
    from affine_trainer.tracking import json_lines

    with json_lines("collect", as_json) as report:
        report(stage(read_config(config, overrides, run=run, unsandboxed=unsandboxed), force=force))


@app.command(rich_help_panel=STEPS)
def sft(
    run: RunName = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Force = False,
    as_json: Lines = False,
) -> None:
    """(2) Fine-tune the base model on the collected data."""
    from affine_trainer.stages.sft import sft as stage
    from affine_trainer.tracking import json_lines

    with json_lines("sft", as_json) as report:
        report(stage(read_config(config, overrides, run=run), force=force))


@app.command(rich_help_panel=STEPS)
def rl(
    run: RunName = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Force = False,
    unsandboxed: Unsandboxed = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the run would do, need and take; train nothing.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Progress and result as JSON, one object a line; of --dry-run the plan alone."
        ),
    ] = False,
) -> None:
    """(3) Train the fine-tuned model with PPO on its own rollouts."""
    from affine_trainer.stages.rl import rl as stage
    from affine_trainer.tracking import json_lines

    if dry_run:
        from affine_trainer.stages.rl_plan import plan

        plan(read_config(config, overrides, run=run, unsandboxed=unsandboxed), as_json=as_json)
        return
    with json_lines("rl", as_json) as report:
        report(stage(read_config(config, overrides, run=run, unsandboxed=unsandboxed), force=force))


@app.command("eval", rich_help_panel=STEPS)
def evaluate(
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="base, sft, rl, a folder or a hub id; by default the last one trained."
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint", metavar="URL", help="Evaluate what an OpenAI-compatible server serves instead."
        ),
    ] = None,
    served_model: Annotated[
        str | None,
        typer.Option("--served-model", metavar="NAME", help="The model's name there."),
    ] = None,
    run: RunName = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Force = False,
    unsandboxed: Unsandboxed = False,
    as_json: Lines = False,
) -> None:
    """(4) Evaluate a model on the fixed evaluation tasks."""
    from affine_trainer.stages.evaluate import evaluate as stage
    from affine_trainer.tracking import json_lines

    if model and (endpoint or served_model):
        raise AffineError("--model and --endpoint name two models: leave one of them out")
    served = {"endpoint.url": endpoint, "endpoint.model": served_model}
    changes = [*(overrides or ()), *(f"{key}={json.dumps(text)}" for key, text in served.items() if text)]
    with json_lines("eval", as_json) as report:
        report(stage(read_config(config, changes, run=run, unsandboxed=unsandboxed), model, force=force))


@app.command(rich_help_panel=STEPS)
def compare(
    candidate: Annotated[str, typer.Argument(help="The model that should be better.")] = "rl",
    baselines: Annotated[
        list[str] | None,
        typer.Argument(help="The models it must beat; by default base and sft."),
    ] = None,
    scoring: Scoring = "jeffreys-2025-10",
    run: RunHere = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Force = False,
    as_json: Lines = False,
) -> None:
    """(5) Compare evaluated models, task by task, and give the verdict."""
    from affine_trainer.stages.compare import BASELINES
    from affine_trainer.stages.compare import compare as stage
    from affine_trainer.tracking import json_lines

    models = tuple(baselines or BASELINES)
    with json_lines("compare", as_json) as report:
        report(stage(read_config_of(run, config, overrides), candidate, models, scoring=scoring, force=force))


@app.command("run", rich_help_panel=MORE)
def run_steps(
    run: RunName = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Force = False,
    unsandboxed: Unsandboxed = False,
    as_json: Lines = False,
) -> None:
    """All five steps, skipping those already done."""
    from affine_trainer.cli.all_steps import run_all
    from affine_trainer.tracking import json_lines

    with json_lines("run", as_json) as report:
        report(run_all(read_config(config, overrides, run=run, unsandboxed=unsandboxed), force=force))
