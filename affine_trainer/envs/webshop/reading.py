"""What a customer makes of the texts he sees: the instruction's wishes, and the parts of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from affine_trainer.envs.webshop import pages
from affine_trainer.envs.webshop.shelves import SECTIONS

ATTRIBUTES = {attribute for section in SECTIONS for attribute in (*section.before, *section.after)}
VALUES = {value for section in SECTIONS for _, values in section.options for value in values}
NOUNS = {word for section in SECTIONS for word in (*section.styles, *section.types)}
PHRASES = re.compile(
    r"(?<![\w-])("
    + "|".join(sorted(map(re.escape, ATTRIBUTES | VALUES | NOUNS), key=lambda phrase: (-len(phrase), phrase)))
    + r")(?![\w-])"
)
OPTION_NAMES = {name for section in SECTIONS for name, _ in section.options}
BOUND = re.compile(r"price lower than ([\d.]+) dollars")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the instruction asks for. `words` are all its known phrases in the order it says them."""

    nouns: tuple[str, ...]
    attributes: tuple[str, ...]
    values: tuple[str, ...]
    bound_cents: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One search result."""

    asin: str
    title: str
    cents: int


@dataclass(frozen=True, slots=True)
class Item:
    """A product page."""

    title: str
    values: frozenset[str]


def parts_of(observation: str) -> list[str]:
    return observation.split(" [SEP] ")


def read_wish(parts: list[str]) -> Wish:
    """The instruction is the part after `Instruction:`; of its known phrases the longest count."""
    text = parts[parts.index("Instruction:") + 1].lower()
    bound = BOUND.search(text)
    head = text[: bound.start()] if bound else text
    words = tuple(match[1] for match in PHRASES.finditer(head))
    return Wish(
        nouns=_among(words, NOUNS),
        attributes=_among(words, ATTRIBUTES),
        values=_among(words, VALUES),
        bound_cents=round(float(bound[1]) * 100) if bound else 10**9,
        words=words,
    )


def _among(words: Iterable[str], known: set[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word in known)


def page_name(parts: list[str]) -> pages.PageName:
    """Which of the pages this is."""
    if parts[0] == "WebShop":
        return "search"
    if pages.BUY_NOW in parts:
        return "item"
    return "results" if any("(Total results:" in part for part in parts) else "sub"


def read_rows(parts: list[str]) -> list[Row]:
    """The products on a results page: id, title and price stand in threes at its end."""
    start = next(place for place, part in enumerate(parts) if "(Total results:" in part) + 1
    cells = [part for part in parts[start:] if part not in (pages.PREVIOUS, pages.NEXT)]
    triples = zip(cells[::3], cells[1::3], cells[2::3], strict=True)
    return [Row(asin, title, round(float(price.lstrip("$")) * 100)) for asin, title, price in triples]


def read_item(parts: list[str]) -> Item:
    """The options stand between the buttons and the title, names and values in one row."""
    price = next(place for place, part in enumerate(parts) if part.startswith("Price: "))
    options = parts[parts.index(pages.PREVIOUS) + 1 : price - 1]
    return Item(parts[price - 1], frozenset(options) - OPTION_NAMES)
