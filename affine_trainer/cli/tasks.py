"""Single tasks: their prompts, the grade of a reply, and a game to play."""

from __future__ import annotations

from typing import Annotated

import typer

from affine_trainer.cli.options import (
    MORE,
    ConfigFile,
    Overrides,
    PlayerName,
    Rules,
    TaskKey,
    Unsandboxed,
    read_config,
)

app = typer.Typer()


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
