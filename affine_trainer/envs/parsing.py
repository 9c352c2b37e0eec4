"""Reads the answer out of a reply, to the letter as the validators do: pure functions of text."""

from __future__ import annotations

import re

ASSIGNMENT = re.compile(r"x(\d+)=(True|False|1|0)")
THINKING = (re.compile(r"<think>.*?</think>", re.DOTALL), re.compile(r"<thinking>.*?</thinking>", re.DOTALL))
INPUT_TAGS = re.compile(r"<INPUT>(.*?)</INPUT>", re.IGNORECASE | re.DOTALL)
MAX_DIGITS = 4300  # `int` refuses longer text
INPUT_CALL = "input()"
LOOP_OVER_FIRST_LINE = "for _ in range(int(input()))"
PYTHON_FENCE = re.compile(r"```python\s*\n(.*?)```", re.DOTALL)
WORD_FENCE = re.compile(r"```\w*\s*\n(.*?)```", re.DOTALL)
ANY_FENCE = re.compile(r"```(?:python)?\s*(.*?)```", re.IGNORECASE | re.DOTALL)


def parse_assignment(reply: str) -> dict[int, bool]:
    """SAT: the value of each variable mentioned as `x3=True`; the last mention wins."""
    return {
        int(variable): value in ("True", "1")
        for variable, value in ASSIGNMENT.findall(reply)
        if len(variable) <= MAX_DIGITS
    }


def extract_input(reply: str, *, tags_in_thinking_count: bool = False) -> str | None:
    """ABD: what the last <INPUT> pair outside thinking blocks holds, trimmed; None without a pair.

    `tags_in_thinking_count`: a pair that stands only in a thinking block gives an empty input, not None.
    """
    said = reply
    for block in THINKING:
        said = block.sub("", said)
    inside = INPUT_TAGS.findall(said)
    if not inside:
        return "" if tags_in_thinking_count and INPUT_TAGS.search(reply) else None
    lines = [line.rstrip() for line in inside[-1].strip().splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def has_enough_lines(program: str, stdin: str) -> bool:
    """ABD's gate before a run: the input has a line for each `input()` that the program's text holds.

    Where the text loops over `range(int(input()))` and line 1 is a number, it needs more lines than that.
    """
    lines = stdin.splitlines()
    if LOOP_OVER_FIRST_LINE in program and lines and lines[0].isdecimal():
        return len(lines[0]) <= MAX_DIGITS and len(lines) > int(lines[0])
    return len(lines) >= program.count(INPUT_CALL)


def extract_program(reply: str) -> str:
    """DED: the last ```python block, else the last block of any language word or none, else all of the reply.

    Before the whole reply comes the first fence that shares its line with the program.
    """
    for fence in (PYTHON_FENCE, WORD_FENCE):
        blocks = fence.findall(reply)
        if blocks:
            return blocks[-1].strip()
    first = ANY_FENCE.search(reply)
    return (first.group(1) if first else reply).strip()
