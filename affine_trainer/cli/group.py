"""How the command line looks and fails: help in panels without importing rich, errors as one sentence."""

from __future__ import annotations

import errno
import os
import shutil
import textwrap
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from affine_trainer.errors import AffineError

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for a program stopped by Ctrl-C


class AffineGroup(TyperGroup):
    """The top level of `affine`.

    Typer draws its panels with rich, whose import alone takes longer than `affine --help` may; so the top
    level draws its own. The help of a single command is still typer's.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        width = min(shutil.get_terminal_size().columns, 100)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                title = panel if isinstance(panel, str) else "Commands"
                panels.setdefault(title, []).append((name, command.get_short_help_str(limit=200)))
        options = [record for p in self.get_params(ctx) if (record := p.get_help_record(ctx))]
        lines = ["", f" Usage: {ctx.command_path} [OPTIONS] COMMAND [ARGS]...", ""]
        lines += textwrap.wrap(self.help or "", width - 2, initial_indent=" ", subsequent_indent=" ")
        lines.append("")
        for title, rows in [*panels.items(), ("Options", options)]:
            lines += draw_panel(title, rows, width)
        formatter.write("\n".join(lines) + "\n")

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what a person can cause ends as one red sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail("stopped; run the same command to go on", INTERRUPTED)
        except AffineError as error:
            if debugging():
                raise
            fail(str(error), error.exit_code)
        except OSError as error:
            if debugging() or error.errno == errno.EPIPE:
                raise
            fail(os_error_sentence(error), 1)


def draw_panel(title: str, rows: list[tuple[str, str]], width: int) -> list[str]:
    """A box `width` columns wide with one aligned row a name, longer texts wrapped."""
    indent = max((len(name) for name, _ in rows), default=0) + 2
    lines = [f"╭─ {title} {'─' * (width - len(title) - 5)}╮"]
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(width - indent - 4, 20)) or [""]
        for label, part in zip([name] + [""] * (len(wrapped) - 1), wrapped, strict=True):
            lines.append(f"│ {label:<{indent}}{part:<{width - indent - 4}} │")
    return [*lines, f"╰{'─' * (width - 2)}╯"]


def os_error_sentence(error: OSError) -> str:
    """What an operating system's refusal means for the person at the keyboard."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}; free some space and run the same command to go on"
    reason = error.strerror or str(error).partition("\n")[0]
    return f"{reason}{where}; AFFINE_DEBUG=1 shows where this came from"


def debugging() -> bool:
    """AFFINE_DEBUG=1 asks for tracebacks instead of sentences."""
    return os.environ.get("AFFINE_DEBUG", "") not in ("", "0")


def fail(sentence: str, code: int) -> NoReturn:
    """Print one red sentence on stderr and leave with `code`."""
    typer.secho(f"affine: {sentence}", fg=typer.colors.RED, err=True)
    raise typer.Exit(code)
