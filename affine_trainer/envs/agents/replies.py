"""Reads the action out of a reply, to the letter as AgentGym's clients do: pure functions of text."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

MARK = "Action:"
NOT_LETTERS = re.compile(r"[^A-Za-z0-9, ]+")

ReplyForm = Literal["rest", "line"]


class Parsed(NamedTuple):
    """The action of a reply, or what is wrong with the reply."""

    action: str
    fault: str | None = None


def parse_action(reply: str, form: ReplyForm) -> Parsed:
    """The action of `Thought: ... Action: ...`; the thought may be missing.

    "rest" (webshop, alfworld, sciworld): everything after the last `Action:`. "line" (babyai, textcraft): the
    first line after it, without characters other than letters, digits, commas and spaces; two actions are a
    fault.
    """
    parts = reply.split(MARK)
    if len(parts) == 1:
        return Parsed("", "Error: no 'Action:' was found. Write your action after 'Action:'.")
    if form == "rest":
        return Parsed(parts[-1].strip())
    if len(parts) > 2:
        return Parsed("", "Error: only one 'Action:' is allowed in a response. Write exactly one.")
    line = next(iter(parts[1].strip().splitlines()), "")
    return Parsed(" ".join(NOT_LETTERS.sub("", line).split()))
