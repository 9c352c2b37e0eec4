"""The pages of the shop as text, in the real server's words and order, and what can be clicked on each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from affine_trainer.envs.webshop.catalogue import Product

PageName = Literal["search", "results", "item", "sub", "done"]

SEARCH = "Search"
BACK_TO_SEARCH = "Back to Search"
PREVIOUS = "< Prev"
NEXT = "Next >"
BUY_NOW = "Buy Now"
SUB_PAGES = ("Description", "Features", "Reviews")


@dataclass(frozen=True, slots=True)
class View:
    """Where a customer is: page, keywords, number of the results page, product and options chosen so far."""

    page: PageName = "search"
    keywords: str = ""
    number: int = 1
    asin: str = ""
    sub: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """One page of search results, and how many there are on all pages."""

    products: Sequence[Product]
    number: int
    size: int
    total: int

    @property
    def buttons(self) -> list[str]:
        back = [PREVIOUS] if self.number > 1 else []
        return back + ([NEXT] if self.number * self.size < self.total else [])


def joined(parts: Sequence[str]) -> str:
    """Parts of a page, with the separator that the real server puts between them."""
    return " [SEP] ".join(parts)


def instruction_head(instruction: str) -> list[str]:
    """How every page of the real shop begins, but the last."""
    return ["Instruction:", instruction]


def search_page(instruction: str) -> str:
    return joined(["WebShop", *instruction_head(instruction), SEARCH])


def results_page(head: Sequence[str], results: Results) -> str:
    place = [f"Page {results.number} (Total results: {results.total})", *results.buttons]
    rows = [part for product in results.products for part in (product.asin, product.title, product.price)]
    return joined([*head, BACK_TO_SEARCH, *place, *rows])


def item_page(head: Sequence[str], product: Product) -> str:
    """The same whatever options are chosen, as in the real server's text."""
    options = [part for name, values in product.options.items() for part in (name, *values)]
    facts = [product.title, f"Price: {product.price}", f"Rating: {rating(product)}"]
    return joined([*head, BACK_TO_SEARCH, PREVIOUS, *options, *facts, *SUB_PAGES, BUY_NOW])


def rating(product: Product) -> str:
    """The mean of the reviews' stars, or N.A."""
    stars = [review.stars for review in product.reviews]
    return f"{sum(stars) / len(stars):.1f}" if stars else "N.A."


def sub_page(head: Sequence[str], product: Product, name: str) -> str:
    if name == "Description":
        texts = [product.description]
    elif name == "Features":
        texts = list(product.features)
    else:
        reviews = [(f'"{review.title}"', str(review.stars), review.body) for review in product.reviews]
        texts = [part for review in reviews for part in review] or ["No reviews found"]
    return joined([*head, BACK_TO_SEARCH, PREVIOUS, *texts])


def done_page(asin: str, options: Mapping[str, str], reward: float) -> str:
    """The real page without its empty fields."""
    bought = ["Purchased", "asin", asin, "options", json.dumps(dict(options), sort_keys=True)]
    score = ["Reward", "Your score (min 0.0, max 1.0)", str(reward)]
    return joined(["Thank you for shopping with us!", *bought, *score])


def item_clickables(product: Product) -> list[str]:
    """Buttons first, then the values of the options, in lower case as the real server lists them."""
    buttons = [name.lower() for name in (BACK_TO_SEARCH, PREVIOUS, *SUB_PAGES, BUY_NOW)]
    return buttons + [value for values in product.options.values() for value in values]


def results_clickables(results: Results) -> list[str]:
    buttons = [name.lower() for name in (BACK_TO_SEARCH, *results.buttons)]
    return buttons + [product.asin.lower() for product in results.products]
