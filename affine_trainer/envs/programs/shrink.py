"""Shrinks a drawn input to a simple one with the same output, as property-based testing shrinks failures.

What is shrunk is not the text but the random choices behind it, so every candidate is an input that the
family's own sampler draws (the "internal reduction" of MacIver and Donaldson, ECOOP 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

MAX_RUNS = 64


class _OfBits(Random):
    """All draws come from `getrandbits`, which a subclass gives."""

    def random(self) -> float:
        return self.getrandbits(53) / 2**53


class RecordedRandom(_OfBits):
    """Draws what `source` draws, and keeps every choice in `made`."""

    def __init__(self, source: Random) -> None:
        super().__init__(0)
        self.made: list[int] = []
        self._source = source

    def getrandbits(self, k: int, /) -> int:
        self.made.append(self._source.getrandbits(k))
        return self.made[-1]


class ReplayedRandom(_OfBits):
    """Draws given choices again, then zeros."""

    def __init__(self, choices: Sequence[int]) -> None:
        super().__init__(0)
        self._choices = iter(choices)

    def getrandbits(self, k: int, /) -> int:
        return next(self._choices, 0) & (1 << k) - 1


def simplest_input(
    choices: Sequence[int], draw: Callable[[Random], str], is_same: Callable[[str], bool]
) -> str:
    """The simplest input found in MAX_RUNS tries: few fields before few characters, then alphabetical.

    `draw` makes an input of random choices, `is_same` tells whether one has the wanted output; the input of
    `choices` itself has it.
    """
    best, found = list(choices), draw(ReplayedRandom(choices))
    tries, tried = 0, {found}
    improved = True
    while improved:
        improved = False
        for candidate in _simpler(best):
            stdin = draw(ReplayedRandom(candidate))
            if stdin in tried or _size(stdin) >= _size(found):
                continue
            if tries == MAX_RUNS:
                return found
            tries += 1
            tried.add(stdin)
            if is_same(stdin):
                best, found, improved = candidate, stdin, True
                break
    return found


def _simpler(choices: Sequence[int]) -> Iterator[list[int]]:
    """One choice left out, and one less of an earlier one that may have counted it; or one choice smaller."""
    for place in reversed(range(len(choices))):
        shorter = [*choices[:place], *choices[place + 1 :]]
        for counter in range(min(place, 2)):
            if shorter[counter]:
                yield [*shorter[:counter], shorter[counter] - 1, *shorter[counter + 1 :]]
    for place, choice in enumerate(choices):
        for smaller in dict.fromkeys((0, choice // 2, choice - 1)):
            if 0 <= smaller < choice:
                yield [*choices[:place], smaller, *choices[place + 1 :]]


def _size(stdin: str) -> tuple[int, int, str]:
    return len(stdin.split()), len(stdin), stdin
