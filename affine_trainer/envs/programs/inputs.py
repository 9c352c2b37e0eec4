"""What programs read: samplers of single input lines, and the short words they draw from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from string import Template

_WORD_LIST = """
ant apple arm art bag ball band bank bean bear bed bell bird boat bone book box bread brick bus cake
camp car card cat chair city clay cloud coat coin cook corn cow crab cup dance desk dog door dress drum
duck dust eagle earth egg farm feet field fire fish flag floor fog foot fork frog game garden gate glass
goat gold grape grass green hand hat hill home horse house ice ink island jam jar key king kite lake
lamp leaf lemon letter level lion lock map melon milk mirror moon moss mouse nail nest night noon nut
oak ocean onion otter paper park pear pen pepper piano pig plane plate pond pool queen radar rain ring
river road robot rock roof room root rope rose salt sand school sea seed sheep ship shoe silver sky snow
soap song soup spoon star stone street sun table tea tiger tool tower town train tree tulip valley
violin voice wall water wheel wind window wolf wood yarn zebra zoo
"""
WORDS: tuple[str, ...] = tuple(_WORD_LIST.split())


@dataclass(frozen=True)
class Draw:
    """The state of one draw: the random stream, the parameters, and whether inputs are kept small."""

    rng: Random
    parameters: Mapping[str, str]
    small: bool = False

    def value(self, name: str) -> int:
        """An integer parameter."""
        return int(self.parameters[name])

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included; a small draw stays in the lower two thirds."""
        if self.small and high - low > 20:
            high = low + (high - low) * 2 // 3
        return self.rng.randint(low, high)

    def count(self, low: int, high: int) -> int:
        """How many items a line holds; a small draw stays in the lower half."""
        return self.rng.randint(low, (low + high) // 2 if self.small else high)

    def integers(self, least: int, most: int, low: int, high: int) -> list[int]:
        return [self.integer(low, high) for _ in range(self.count(least, most))]

    def word(self, using: str = "") -> str:
        """A short word; with `using`, one letter or more of it become one of those."""
        word = self.rng.choice(WORDS)
        while self.small and len(word) > 5:
            word = self.rng.choice(WORDS)
        if not using:
            return word
        letters = list(word)
        for _ in range(self.rng.randint(1, 2)):
            letters[self.rng.randrange(len(letters))] = self.rng.choice(using)
        return "".join(letters)

    def letters(self, least: int, most: int, alphabet: str) -> str:
        return "".join(self.rng.choice(alphabet) for _ in range(self.count(least, most)))


Line = Callable[[Draw], str]


def integer(low: int, high: int) -> Line:
    """One integer."""
    return lambda draw: str(draw.integer(low, high))


def integer_near(name: str, low: int, high: int) -> Line:
    """One integer from low to high; every second one lies within 6 of the parameter `name`."""

    def line(draw: Draw) -> str:
        number = draw.integer(low, high)
        if draw.rng.randrange(2) == 0:
            number = draw.value(name) + draw.rng.randint(-6, 6)
        return str(max(low, min(high, number)))

    return line


def integers(least: int = 3, most: int = 6, low: int = 0, high: int = 60) -> Line:
    """Between `least` and `most` integers, separated by spaces."""
    return lambda draw: " ".join(map(str, draw.integers(least, most, low, high)))


def word(*using: str) -> Line:
    """One lower-case word that holds letters of the parameters named in `using`."""
    return lambda draw: draw.word("".join(draw.parameters[name] for name in using))


def words(least: int = 3, most: int = 5) -> Line:
    """Between `least` and `most` words, separated by spaces."""
    return lambda draw: " ".join(draw.word() for _ in range(draw.count(least, most)))


def letters(least: int, most: int, alphabet: str) -> Line:
    """A string of characters of `alphabet`, which may name parameters as `$name`."""
    return lambda draw: draw.letters(least, most, Template(alphabet).substitute(draw.parameters))
