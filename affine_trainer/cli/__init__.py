"""The command line: one thin command a stage, which imports its stage inside the function."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from affine_trainer import __version__
from affine_trainer.cli import handover, sandbox
from affine_trainer.cli.group import AffineGroup, debugging
from affine_trainer.cli.options import (
    MORE,
    ConfigFile,
    Force,
    FreshRollouts,
    Lines,
    Overrides,
    PlayerName,
    Rules,
    Scoring,
    States,
    TaskKey,
    Unsandboxed,
    WithVine,
    read_config,
)
from affine_trainer.errors import AffineError

STEPS = "The five steps"


app = typer.Typer(
    cls=AffineGroup,
    name="affine",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The `affine` command; `arguments` stand before those of the shell (scripts/ fix the step this way)."""
    quieten_libraries()
    app(args=[*(arguments or ()), *sys.argv[1:]], prog_name="affine")


def quieten_libraries() -> None:
    """No telemetry, no talk between libraries; AFFINE_DEBUG=1 lets them warn."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not debugging():
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        warnings.filterwarnings("ignore", category=FutureWarning)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"affine {__version__}")
        raise typer.Exit()


@app.callback()
def top_level(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From a base language model to a proven better one, on one machine."""


@app.command(rich_help_panel=STEPS)
def collect(
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
        report(stage(read_config(config, overrides, unsandboxed=unsandboxed), force=force))


@app.command(rich_help_panel=STEPS)
def sft(
    config: ConfigFile = None, overrides: Overrides = None, force: Force = False, as_json: Lines = False
) -> None:
    """(2) Fine-tune the base model on the collected data."""
    from affine_trainer.stages.sft import sft as stage
    from affine_trainer.tracking import json_lines

    with json_lines("sft", as_json) as report:
        report(stage(read_config(config, overrides), force=force))


@app.command(rich_help_panel=STEPS)
def rl(
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

        plan(read_config(config, overrides, unsandboxed=unsandboxed), as_json=as_json)
        return
    with json_lines("rl", as_json) as report:
        report(stage(read_config(config, overrides, unsandboxed=unsandboxed), force=force))


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
        report(stage(read_config(config, changes, unsandboxed=unsandboxed), model, force=force))


@app.command(rich_help_panel=STEPS)
def compare(
    candidate: Annotated[str, typer.Argument(help="The model that should be better.")] = "rl",
    baselines: Annotated[
        list[str] | None,
        typer.Argument(help="The models it must beat; by default base and sft."),
    ] = None,
    scoring: Scoring = "jeffreys-2025-10",
    config: ConfigFile = None,
    overrides: Overrides = None,
    force: Force = False,
    as_json: Lines = False,
) -> None:
    """(5) Compare evaluated models, task by task, and give the verdict."""
    from affine_trainer.stages.compare import compare as stage
    from affine_trainer.tracking import json_lines

    models = tuple(baselines or ("base", "sft"))
    with json_lines("compare", as_json) as report:
        report(stage(read_config(config, overrides), candidate, models, scoring=scoring, force=force))


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
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """One page of a run: the verdict, its evidence, and every episode."""
    from affine_trainer.stages.report import report as stage

    stage(read_config(config, overrides), tuple(runs or ()), output=output, figures=figures, tables=tables)


@app.command(rich_help_panel=MORE)
def run(
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
        report(run_all(read_config(config, overrides, unsandboxed=unsandboxed), force=force))


@app.command(rich_help_panel=MORE)
def status(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run started here; by default the config's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """What of a run is done, how far it is, the time left."""
    from affine_trainer.stages.status import status as stage

    stage(read_config(config, overrides), run, as_json=as_json)


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
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """P(win) under each validator's rule; the samples that settle it."""
    from affine_trainer.stages.plan import plan as stage

    stage(
        read_config(config, overrides), candidate, baseline, scoring=scoring, samples=samples, as_json=as_json
    )


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
) -> None:
    """Run a file of overlays by seeds, and compare them."""
    from affine_trainer.cli.experiment import check_stage, run_experiment
    from affine_trainer.config import check_overlay, load_experiment

    wanted = [*(overrides or ()), *(["sandbox.allow_unsandboxed=true"] if unsandboxed else [])]
    found = load_experiment(file, wanted, baseline=baseline, name=name)
    if only is not None:
        check_overlay(only, found.overlays, file)
    run_experiment(found, only=only, last_stage=check_stage(stage), force=force)


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
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="A finished run, with the config it was made with."),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    unsandboxed: Unsandboxed = False,
) -> None:
    """Measure gradients, advantages and values of RL."""
    from affine_trainer.stages.diagnose import Measures, config_of
    from affine_trainer.stages.diagnose import diagnose as stage

    chosen = config_of(run) if run else read_config(config, overrides, unsandboxed=unsandboxed)
    stage(chosen, at=at, measures=Measures(episodes, states, fresh_rollouts, vine))


@app.command("config", rich_help_panel=MORE)
def show_config(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Print the resolved configuration."""
    from affine_trainer.config import resolved_yaml

    typer.echo(resolved_yaml(read_config(config, overrides)), nl=False)


@app.command(rich_help_panel=MORE)
def doctor(
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show what this machine has and what the config would need."""
    from affine_trainer.stages.doctor import doctor as stage

    stage(read_config(config, overrides), as_json=as_json)


@app.command(rich_help_panel=MORE)
def task(key: TaskKey, rules: Rules = None, config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Print the prompt of one task."""
    from affine_trainer.stages.grade import task_prompt

    typer.echo(task_prompt(read_config(config, overrides, rules=rules), key))


@app.command(rich_help_panel=MORE)
def grade(
    key: TaskKey,
    rules: Rules = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    unsandboxed: Unsandboxed = False,
) -> None:
    """Grade one reply, read from stdin, against one task; prints JSON."""
    from affine_trainer.stages.grade import grade as stage

    reply = typer.get_text_stream("stdin", encoding="utf-8", errors="replace").read()
    typer.echo(stage(read_config(config, overrides, rules=rules, unsandboxed=unsandboxed), key, reply))


@app.command(rich_help_panel=MORE)
def play(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A task key, e.g. agentgym:webshop/3.")],
    policy: Annotated[
        PlayerName, typer.Option("--policy", help="Who plays: you, or a scripted player to look at.")
    ] = PlayerName.me,
    rules: Annotated[
        bool, typer.Option("--full/--short", help="The rules and pages of the real servers, or terse ones.")
    ] = True,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Play one task of an interactive environment in the terminal."""
    from affine_trainer.stages.play import play as stage

    wanted = [*(overrides or ()), f"data.agentgym.rules={'full' if rules else 'short'}"]
    stage(read_config(config, wanted), key, policy.value)


app.add_typer(handover.app)
app.add_typer(sandbox.app, name="sandbox", rich_help_panel=MORE)
