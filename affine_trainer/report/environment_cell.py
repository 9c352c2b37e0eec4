"""The name of an environment in a console table: where there is little room its prefix goes, not the name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class EnvironmentCell:
    """`agentgym:babyai` in a column at least `room` wide, else `babyai`; wrapped at spaces alone."""

    name: str
    room: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._text(options)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._text(options))

    def _text(self, options: ConsoleOptions) -> Text:
        return Text(self.name if options.max_width >= self.room else without_prefix(self.name))


def add_environment_column(
    table: Table, names: Sequence[str], heading: str = "environment", footer: str = ""
) -> list[EnvironmentCell]:
    """Add a column for these names to the table, and return its cells: all with their prefix or none."""
    least = max(map(_longest_word, [heading, footer, *map(without_prefix, names)]))
    table.add_column(heading, footer=footer, min_width=least)
    room = max(map(_longest_word, names), default=0)
    return [EnvironmentCell(name, room) for name in names]


def without_prefix(name: str) -> str:
    """`textcraft@embedded` of `agentgym:textcraft@embedded`."""
    return name.partition(":")[2] or name


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)
