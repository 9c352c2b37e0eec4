"""`affine sandbox`: what isolates model-written programs on this machine, and one program run by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affine_trainer.cli.group import AffineGroup

if TYPE_CHECKING:
    from affine_trainer.sandbox import Level
    from affine_trainer.sandbox.check import Examination, Layer

NOT_JUDGED = 1  # the exit code for a program that the sandbox itself failed
WALL_SECONDS = 30.0  # or thrice the CPU limit: it is for programs that sleep, so it is generous
LAYER_NAMES = {
    "seccomp": "system call filter",
    "landlock": "Landlock",
    "chroot": "empty root",
    "spare_uid": "user of its own",
    "namespaces": "namespaces",
}

AtMost = Annotated[
    str,
    typer.Option("--level", metavar="LEVEL", help="Isolate no better: strong, standard, basic or none."),
]
Unsandboxed = Annotated[
    bool,
    typer.Option("--allow-unsandboxed", help="Run the program even where it cannot be isolated."),
]

app = typer.Typer(cls=AffineGroup, no_args_is_help=True)


@app.callback()
def sandbox() -> None:
    """Check how programs are isolated here, or run one."""


@app.command()
def check(
    at_most: AtMost = "strong",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Attack the sandbox: print its level, each layer and each probe; fails where the level is none."""
    from affine_trainer.errors import AffineError
    from affine_trainer.sandbox.check import examine
    from affine_trainer.sandbox.pool import refusal

    found = examine(parse_level(at_most))
    typer.echo(json.dumps(asdict(found)) if as_json else "\n".join(table(found)))
    if found.level == "none":
        raise AffineError(refusal(found.reason))


@app.command("run")
def run_program(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A Python file; - reads it from stdin.")],
    stdin: Annotated[
        Path | None,
        typer.Option("--stdin", metavar="FILE", help="What the program reads; by default nothing."),
    ] = None,
    cpu: Annotated[
        float, typer.Option("--cpu", metavar="S", help="CPU seconds, all threads together.")
    ] = 10.0,
    wall: Annotated[
        float | None,
        typer.Option("--wall", metavar="S", help="Seconds by the clock; by default 30, or thrice --cpu."),
    ] = None,
    memory: Annotated[
        int, typer.Option("--memory", metavar="MIB", help="MiB beyond what the interpreter occupies.")
    ] = 512,
    at_most: AtMost = "strong",
    unsandboxed: Unsandboxed = False,
) -> None:
    """Run one program as the graders do and print JSON: its verdict, what it printed, what it used.

    Exits with 0 whatever the program did, 1 where it could not be judged, 2 where nothing was run.
    """
    from affine_trainer.errors import AffineError
    from affine_trainer.sandbox import Limits, Sandbox, layers_for

    if str(program) == "-" == str(stdin):
        raise AffineError("PROGRAM and --stdin are both -; only one of them can be read from stdin")
    wall_seconds = max(WALL_SECONDS, 3 * cpu) if wall is None else wall
    limits = Limits(cpu_seconds=cpu, wall_seconds=wall_seconds, memory_mib=memory)
    layers = layers_for(parse_level(at_most))
    source, data = read(program), b"" if stdin is None else read(stdin)
    with Sandbox(workers=1, limits=limits, allow_unsandboxed=unsandboxed, layers=layers) as sandbox:
        ran = sandbox.run_bytes(source, data)
    # ASCII only: what a hostile program prints is not to reach the terminal as it is.
    typer.echo(json.dumps(asdict(ran)))
    if ran.verdict == "sandbox_error":
        raise typer.Exit(NOT_JUDGED)


def parse_level(text: str) -> Level:
    """The level of that name. Raises AffineError."""
    from affine_trainer.errors import AffineError
    from affine_trainer.sandbox.verdicts import LEVELS

    for level in LEVELS:
        if level == text:
            return level
    raise AffineError(f"--level is {text!r}; give one of {', '.join(reversed(LEVELS))}")


def read(path: Path) -> bytes:
    """The bytes of a file, or of stdin for `-`. Raises AffineError when it cannot be read."""
    from affine_trainer.errors import AffineError

    try:
        return typer.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise AffineError(f"{path} cannot be read: {reason}") from error


def table(found: Examination) -> list[str]:
    """The lines that `affine sandbox check` prints."""
    asked = "" if found.asked == "strong" else f" (asked for {found.asked} at most)"
    lines = [f"isolation level   {found.level}{asked}"]
    if found.layers:
        lines += ["", f"layers of a worker (Python {found.python})"]
        lines += [f"  {LAYER_NAMES[name]:<22}{in_words(state)}" for name, state in found.layers.items()]
    if found.probes:
        lines += ["", "attacks tried now"]
        lines += [
            f"  {name:<24}{'contained' if held else 'NOT contained'}" for name, held in found.probes.items()
        ]
    return lines


def in_words(state: Layer) -> str:
    """How a layer's state is shown: off, on, a number, or names."""
    if isinstance(state, list):
        return ", ".join(state) or "off"
    if isinstance(state, bool):
        return "on" if state else "off"
    return f"on ({state})" if state else "off"
