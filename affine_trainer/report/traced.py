"""JSON values that remember where they come from, so that a page can say which number is whose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True)
class Traced:
    """A value of a JSON file: `raw` as it was read, `where` its file and JSON pointer (RFC 6901)."""

    raw: Any
    where: str

    def __getitem__(self, key: str | int) -> Traced:
        part = str(key).replace("~", "~0").replace("/", "~1")
        return Traced(self.raw[key], f"{self.where}/{part}")

    def get(self, key: str) -> Traced | None:
        """The child, or None where there is none or where this is no object."""
        return self[key] if isinstance(self.raw, dict) and self.raw.get(key) is not None else None

    def at(self, *keys: str) -> Traced | None:
        """The descendant under `keys`, or None where one of them is missing."""
        found: Traced | None = self
        for key in keys:
            found = None if found is None else found.get(key)
        return found

    def entries(self) -> list[tuple[str, Traced]]:
        """The members of an object, in its order; none where this is no object."""
        return [(key, self[key]) for key in self.raw] if isinstance(self.raw, dict) else []

    def columns(self) -> list[str]:
        """The headings of `rows`; the first is empty where the rows are the members of an object."""
        parts = self.raw.values() if isinstance(self.raw, dict) else self.raw
        plain = [
            name for part in parts for name, value in part.items() if not isinstance(value, (dict, list))
        ]
        return ["", *dict.fromkeys(plain)] if isinstance(self.raw, dict) else list(dict.fromkeys(plain))

    def rows(self, *, drop_nested: bool = False) -> list[list[Any]] | None:
        """A table's cells where this is objects of plain values, in a list or by name; None where it is not.

        With `drop_nested` members that are no plain values are left out instead.
        """
        parts = list(self.raw.values()) if isinstance(self.raw, dict) else self.raw
        if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
            return None
        if not drop_nested and any(
            isinstance(value, (dict, list)) for part in parts for value in part.values()
        ):
            return None
        if isinstance(self.raw, dict):
            return [[name, *map(self[name].get, self.columns()[1:])] for name in self.raw]
        return [[part.get(name) for name in self.columns()] for part in self]

    def __iter__(self) -> Iterator[Traced]:
        return (self[index] for index in range(len(self.raw))) if isinstance(self.raw, list) else iter(())

    def __bool__(self) -> bool:
        return bool(self.raw)

    def __str__(self) -> str:
        return str(self.raw)

    def __html__(self) -> str:
        return str(escape(str(self.raw)))


def traced(value: Any, path: object) -> Traced:
    """The root of a JSON file at `path`."""
    return Traced(value, f"{path}#")


def number(value: Traced | None, form: Callable[[Any], str]) -> Markup:
    """The number as `form` writes it, in a <data> element with the exact value and its place in the JSON."""
    if value is None or not isinstance(value.raw, (int, float)):
        return Markup("<span class='none'>–</span>")
    exact = json.dumps(value.raw)
    return Markup('<data value="{}" data-from="{}">{}</data>').format(exact, value.where, form(value.raw))


def plain(value: Any) -> Markup:
    """Any cell: numbers with their place, lists joined, a dash for nothing."""
    if not isinstance(value, Traced):
        return Markup("<span class='none'>–</span>") if value is None else escape(value)
    if isinstance(value.raw, bool):
        return Markup("yes" if value.raw else "no")
    if isinstance(value.raw, (int, float)):
        return number(value, short)
    return escape(", ".join(map(str, value.raw)) if isinstance(value.raw, list) else str(value))


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign; a rounded zero is +0.0."""
    return f"{round(100.0 * share, 1) + 0.0:+.1f}"


def probability(share: float) -> str:
    """Three decimals, and never a rounded certainty."""
    if share < 0.0005:
        return "< 0.001"
    return "> 0.999" if share >= 0.9995 else f"{share:.3f}"


def p_value(share: float) -> str:
    """Two significant digits, powers of ten where it is tiny."""
    return f"{share:.2g}"


def count(number: float) -> str:
    """A whole number with thousands separated."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """Four significant digits, for whatever has no unit of its own."""
    return f"{number:,}" if isinstance(number, int) else f"{number:.4g}"


def duration(seconds: float) -> str:
    """Seconds as `42 s`, `3 min 20 s` or `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


FORMS: dict[str, Callable[[Any], str]] = {
    form.__name__: form for form in (percent, points, probability, p_value, count, short, duration)
}
