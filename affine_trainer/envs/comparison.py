"""Decides whether what a program printed is what was expected: pure functions of text."""

from __future__ import annotations


def same_output(expected: str, printed: str) -> bool:
    """ABD: equal as they stand, or trimmed with CRLF read as LF, or line by line without trailing blanks."""
    if expected == printed:
        return True
    wanted, got = (text.strip().replace("\r\n", "\n") for text in (expected, printed))
    return wanted == got or _right_stripped_lines(wanted) == _right_stripped_lines(got)


def same_answer(expected: str, printed: str) -> bool:
    """DED: equal once the text and each of its lines are right-stripped."""
    return _right_stripped_lines(expected.rstrip()) == _right_stripped_lines(printed.rstrip())


def _right_stripped_lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]
