"""How alike two phrases are, from 0 to 100, by the words they share (token-set ratio)."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=65536)
def token_set_ratio(one: str, other: str) -> float:
    """100 when one phrase's words are among the other's; the measure the real shop compares phrases by.

    The best of three ratios: shared words against either phrase, and the two phrases with the shared
    words first. A ratio is 100 * (1 - insertions and deletions / total length).
    """
    first, second = _words(one), _words(other)
    shared, left, right = first & second, first - second, second - first
    if not first or not second:
        return 0.0
    if shared and (not left or not right):
        return 100.0
    base, only_left, only_right = (" ".join(sorted(words)) for words in (shared, left, right))
    gap = 1 if base else 0
    long_left, long_right = (len(base) + gap + len(text) for text in (only_left, only_right))
    ratios = [_ratio(_edits(only_left, only_right), long_left + long_right)]
    if base:
        ratios.append(_ratio(gap + len(only_left), len(base) + long_left))
        ratios.append(_ratio(gap + len(only_right), len(base) + long_right))
    return max(ratios)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _ratio(edits: int, length: int) -> float:
    return 100.0 * (1 - edits / length)


def _edits(one: str, other: str) -> int:
    """Insertions and deletions that turn one text into the other: the lengths less twice their LCS."""
    row = [0] * (len(other) + 1)
    for letter in one:
        diagonal = 0
        for column, match in enumerate(other, start=1):
            above = row[column]
            row[column] = diagonal + 1 if letter == match else max(above, row[column - 1])
            diagonal = above
    return len(one) + len(other) - 2 * row[-1]
