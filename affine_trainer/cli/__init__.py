"""The command line: one thin command a stage, which imports its stage inside the function.

The commands stand in the modules beside this one, in the order in which `affine --help` shows them.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from affine_trainer import __version__
from affine_trainer.cli import handover, looking, sandbox, steps, tasks
from affine_trainer.cli.group import AffineGroup, debugging
from affine_trainer.cli.options import MORE

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


for commands in (steps.app, looking.app, tasks.app, handover.app):
    app.add_typer(commands)
app.add_typer(sandbox.app, name="sandbox", rich_help_panel=MORE)
