"""Runs the project's own reference programs in this process, where starting one each would cost too much.

Only text rendered from the families of this package comes here; what a model wrote goes to the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import CodeType


@lru_cache(maxsize=4096)
def _compiled(program: str) -> CodeType:
    return compile(program, "<reference>", "exec")


def _reader(stdin: str) -> Callable[[], str]:
    lines = iter(stdin.split("\n"))

    def read() -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError("the program read past its last input line") from None

    return read


def run_reference(program: str, stdin: str) -> str:
    """What a reference program prints on `stdin`, without trailing white space; its errors are raised."""
    printed: list[str] = []

    def write(*values: object) -> None:
        printed.append(" ".join(map(str, values)))

    exec(_compiled(program), {"input": _reader(stdin), "print": write})
    return "\n".join(printed).rstrip()
