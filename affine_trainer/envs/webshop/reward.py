"""The published reward of a purchase: type times the share of matched attributes, options and price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from affine_trainer.envs.webshop.catalogue import Product
from affine_trainer.envs.webshop.fuzzy import token_set_ratio
from affine_trainer.envs.webshop.shelves import COLORS, SECTIONS

ALIKE = 85.0  # phrases above this count as the same
NOUNS = frozenset(word for section in SECTIONS for kind in section.types for word in kind.split())
BASE_COLORS = tuple(dict.fromkeys(color.split()[-1] for color in COLORS))


class Goal(NamedTuple):
    """What is to be bought: a type (with its title and shelf), attributes, options by name, a price bound."""

    kind: str
    title: str
    category: tuple[str, ...]
    attributes: tuple[str, ...]
    options: Mapping[str, str]
    bound_cents: int


def purchase_reward(product: Product, chosen: Mapping[str, str], goal: Goal) -> float:
    """In [0, 1], and 1.0 exactly when type, price and every attribute and option match."""
    matched = attributes_matched(product, goal) + options_matched(chosen, goal)
    matched += product.cents <= goal.bound_cents
    return type_factor(product, goal) * matched / (len(goal.attributes) + len(goal.options) + 1)


def best_reward(product: Product, goal: Goal) -> float:
    """The most that a purchase of this product can earn, whatever options are picked."""
    chosen = {}
    for name, values in product.options.items():
        fitting = [value for value in values if options_matched({name: value}, goal)]
        chosen.update({name: fitting[0]} if fitting else {})
    return purchase_reward(product, chosen, goal)


def type_factor(product: Product, goal: Goal) -> float:
    """Whether it is the kind of thing asked for: 1, .5, .1 or 0.

    The title's score is the share of the goal title's nouns that the product's title has.
    """
    wanted = type_nouns(goal.title)
    score = len(wanted & type_nouns(product.title)) / len(wanted) if wanted else 0.2
    if score == 0.0:
        return 0.0
    if score < 0.1:
        return 0.1
    same_shelf = len(set(product.category) & set(goal.category)) >= 2
    return 1.0 if product.kind == goal.kind or same_shelf or score > 0.2 else 0.5


def type_nouns(title: str) -> frozenset[str]:
    """The title's nouns that name a type; a brand or a material does not stand for the type."""
    return NOUNS & set(re.findall(r"\w+", title.lower()))


def attributes_matched(product: Product, goal: Goal) -> int:
    """An attribute counts when it is like one of the product's or stands in its texts."""
    texts = (product.title.lower(), " ".join(product.features).lower(), product.description.lower())
    return sum(
        any(token_set_ratio(own, wanted) > ALIKE for own in product.attributes)
        or any(wanted in text for text in texts)
        for wanted in goal.attributes
    )


def options_matched(chosen: Mapping[str, str], goal: Goal) -> int:
    """How many wanted options a chosen one meets: exactly for a size, otherwise by likeness."""
    return sum(
        any(_meets(name, value, wanted) for name, value in chosen.items()) for wanted in goal.options.values()
    )


def _meets(name: str, value: str, wanted: str) -> bool:
    value, wanted = base_color(value), base_color(wanted)
    return value == wanted if name == "size" else token_set_ratio(value, wanted) > ALIKE


def base_color(value: str) -> str:
    """The plain colour in a value's name ("sky blue" is blue), or the value itself."""
    return next((color for color in BASE_COLORS if color in value), value)
