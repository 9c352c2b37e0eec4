"""Test cases of a DED task: reads them out of a row, and says what to run and what it must print."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

KINDS = ("stdin_stdout", "function_call")


class Check(NamedTuple):
    """One run: this program on this standard input must print `expected`."""

    program: str
    stdin: str
    expected: str


@dataclass(frozen=True, slots=True)
class TestCase:
    """One case as data sets write it. `kind` may be one that nobody knows."""

    __test__ = False  # the name is the field's; pytest must not collect it

    kind: str
    input: Any
    output: Any
    fn_name: str | None = None

    def check(self, program: str, *, as_json: bool = False) -> Check:
        """What to run for this case, of a known kind; `as_json` compares a returned value with JSON text."""
        if self.kind == "stdin_stdout":
            stdin = lines_of(self.input)
            return Check(program, stdin if stdin.endswith("\n") else stdin + "\n", lines_of(self.output))
        returned = self.output[0] if isinstance(self.output, list) and self.output else self.output
        expected = lines_of(returned) if as_json or isinstance(returned, str) else str(returned)
        call = f"print({self.fn_name}(*{self.input or []!r}))"
        return Check(f"{program}\nif __name__ == '__main__':\n    {call}", "", expected)


def lines_of(value: Any) -> str:
    """A case's input or output as text: lists line by line, anything but text as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(lines_of, value))
    return json.dumps(value, ensure_ascii=False)


def parse_cases(written: Any) -> tuple[TestCase, ...]:
    """The cases in a row's `verification_info` or `test_cases`: JSON, else a Python literal, else none."""
    value = _read_literal(written) if isinstance(written, str) else written
    cases = value.get("test_cases") if isinstance(value, Mapping) else value
    if not isinstance(cases, Sequence) or isinstance(cases, str):
        return ()
    return tuple(_read_case(case) for case in cases if isinstance(case, Mapping))


def _read_case(case: Mapping[str, Any]) -> TestCase:
    kind, fn_name = str(case.get("type")), case.get("fn_name")
    callable_by_name = isinstance(fn_name, str) and fn_name.replace(".", "").isidentifier()
    if kind == "function_call" and not callable_by_name:
        kind = "function_call without a function's name"
    return TestCase(kind, case.get("input"), case.get("output"), fn_name if callable_by_name else None)


def _read_literal(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
