"""The generated catalogue: lines of near-duplicate products, each line the property of one split."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from affine_trainer.envs.webshop.makers import BRANDS, REVIEWS, USES
from affine_trainer.envs.webshop.search import SearchIndex
from affine_trainer.envs.webshop.shelves import SECTIONS, Section
from affine_trainer.records import Split, seed_from

SPLITS: tuple[Split, ...] = ("evaluation", "validation", "train", "pretrain")
LINES_PER_SPLIT = 3  # of each type
ENDINGS = (29, 49, 79, 99)  # cents
ASIN_LETTERS = "BCDFGHJKLMNPQRSTVWXZ0123456789"

Options = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Review:
    title: str
    stars: int
    body: str


@dataclass(frozen=True, slots=True)
class Product:
    """One product. `kind` is its type, `category` the path of its shelf."""

    asin: str
    title: str
    style: str
    kind: str
    category: tuple[str, ...]
    attributes: tuple[str, ...]
    features: tuple[str, ...]
    description: str
    options: Options
    cents: int
    reviews: tuple[Review, ...]

    @property
    def price(self) -> str:
        return f"${self.cents / 100:.2f}"

    @property
    def indexed_text(self) -> str:
        """What the search reads: title, description and first feature. The rest must be read on the pages."""
        return f"{self.title} {self.description} {self.features[0]}"


class Make(NamedTuple):
    """What the products of a line share."""

    section: Section
    kind: str
    style: str
    brand: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What sets a product of a line apart: attributes `shown` in the title or `hidden` in the features."""

    shown: tuple[str, ...]
    hidden: tuple[str, ...]
    options: Options
    cents: int


class Catalogue:
    """All products, their lines by split, and the search over them; never changed once built."""

    def __init__(self, lines: Sequence[tuple[Split, tuple[Product, ...]]]) -> None:
        self.products = tuple(product for _, line in lines for product in line)
        self.by_asin = {product.asin: product for product in self.products}
        self.lines: dict[Split, tuple[tuple[Product, ...], ...]] = {
            split: tuple(line for owner, line in lines if owner == split) for split in SPLITS
        }
        self._siblings = {product.asin: line for _, line in lines for product in line}
        self._index = SearchIndex([product.indexed_text for product in self.products])

    def siblings(self, product: Product) -> tuple[Product, ...]:
        """The products of its line, itself among them."""
        return self._siblings[product.asin]

    def search(self, keywords: str, limit: int) -> tuple[Product, ...]:
        """The best `limit` products for the keywords, best first."""
        return tuple(self.products[number] for number in self._index.search(keywords, limit))


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The one catalogue, the same on every machine."""
    rng = random.Random(seed_from("agentgym:webshop", "catalogue"))
    asins = _asins(rng)
    lines: list[tuple[Split, tuple[Product, ...]]] = []
    for section in SECTIONS:
        for kind in section.types:
            styles = rng.sample(section.styles, len(SPLITS) * LINES_PER_SPLIT)
            brands = rng.sample(BRANDS, len(styles))
            for number, (style, brand) in enumerate(zip(styles, brands, strict=True)):
                make = Make(section, kind, style, brand)
                line = [_product(rng, next(asins), make, draft) for draft in _near_duplicates(rng, section)]
                lines.append((SPLITS[number % len(SPLITS)], tuple(line)))
    return Catalogue(lines)


def _asins(rng: random.Random) -> Iterator[str]:
    """Endless distinct ids, e.g. B4K7."""
    seen: set[str] = set()
    while True:
        asin = "B" + "".join(rng.choices(ASIN_LETTERS, k=3))
        if asin not in seen:
            seen.add(asin)
            yield asin


def _near_duplicates(rng: random.Random, section: Section) -> list[Draft]:
    """Four drafts; each has a sibling from which one attribute or one option value sets it apart."""
    pool = rng.sample([*section.before, *section.after], 6)
    shown, other_shown, common, *hidden = pool
    options = {name: _values(rng, values) for name, values in section.options}
    first = Draft(
        (shown, common) if rng.random() < 0.4 else (shown,),
        (common, hidden[0], hidden[2]),
        options,
        _price(rng, *section.prices),
    )
    second = replace(first, hidden=(common, hidden[1], hidden[2]))
    drafts = [
        first,
        second,
        replace(first, options=_with_one_value_changed(rng, section, options)),
        replace(second, shown=(other_shown, *first.shown[1:])),
    ]
    drafts = [replace(draft, cents=_nearby(rng, draft.cents)) for draft in drafts]
    dear = rng.randrange(len(drafts))
    dollars = drafts[dear].cents / 100
    drafts[dear] = replace(drafts[dear], cents=_price(rng, int(dollars * 1.4), int(dollars * 2)))
    rng.shuffle(drafts)
    return drafts


def _values(rng: random.Random, values: Sequence[str]) -> tuple[str, ...]:
    """Three of the values, in the order of the list."""
    chosen = set(rng.sample(values, 3))
    return tuple(value for value in values if value in chosen)


def _with_one_value_changed(rng: random.Random, section: Section, options: Options) -> Options:
    name, values = rng.choice(section.options)
    dropped = rng.choice(options[name])
    added = rng.choice([value for value in values if value not in options[name]])
    kept = {added, *options[name]} - {dropped}
    return {**options, name: tuple(value for value in values if value in kept)}


def _price(rng: random.Random, low: int, high: int) -> int:
    return rng.randint(low, high) * 100 + rng.choice(ENDINGS)


def _nearby(rng: random.Random, cents: int) -> int:
    """Another price within about a dollar."""
    return max(100, cents // 100 * 100 + rng.randint(-1, 1) * 100) + rng.choice(ENDINGS)


def _product(rng: random.Random, asin: str, make: Make, draft: Draft) -> Product:
    section, kind, style, brand = make
    attributes = tuple(dict.fromkeys((*draft.shown, *draft.hidden)))
    return Product(
        asin=asin,
        title=_title(section, f"{brand} {style} {kind}", draft.shown),
        style=style,
        kind=kind,
        category=(section.department, section.name, kind),
        attributes=attributes,
        features=_features(rng, section, attributes),
        description=f"{brand} {style} {kind} for {rng.choice(USES)}.",
        options=draft.options,
        cents=draft.cents,
        reviews=tuple(Review(*text) for text in rng.sample(REVIEWS, rng.choice((0, 0, 1, 2)))),
    )


def _title(section: Section, name: str, shown: Sequence[str]) -> str:
    """`Norvik Striped Shirt, Slim Fit with Side Pockets`."""
    before = "".join(f", {attribute}" for attribute in shown if attribute in section.before)
    after = " and ".join(attribute for attribute in shown if attribute in section.after)
    words = f"{name}{before} with {after}" if after else f"{name}{before}"
    return words.title().replace(" With ", " with ").replace(" And ", " and ")


def _features(rng: random.Random, section: Section, attributes: Sequence[str]) -> tuple[str, ...]:
    """One line an attribute, shuffled."""
    lines = [
        attribute.capitalize() if attribute in section.before else f"With {attribute}"
        for attribute in attributes
    ]
    rng.shuffle(lines)
    return tuple(lines)
