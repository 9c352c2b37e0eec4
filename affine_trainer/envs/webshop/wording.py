"""How a customer says what he wants: several phrasings of one goal."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from affine_trainer.envs.webshop.catalogue import Product
from affine_trainer.envs.webshop.reward import Goal
from affine_trainer.envs.webshop.shelves import PLURAL, SECTIONS, UNCOUNTED

OPENERS = ("i need", "i want", "i am looking for", "i would like", "buy me", "find me", "get me", "show me")
OPTION_PHRASES: Mapping[str, tuple[str, ...]] = {
    "color": ("in {}", "in the color {}", "in {} color", "with color: {}"),
    "size": ("in size {}", "size {}", "with size: {}"),
    "flavor name": ("in {} flavor", "with {} flavor", "with flavor name: {}"),
    "scent": ("with {} scent", "in {} scent", "with scent: {}"),
    "style": ("in {} style", "in the style {}", "with style: {}"),
}
BEFORE = frozenset(attribute for section in SECTIONS for attribute in section.before)


def instruction(rng: random.Random, product: Product, goal: Goal) -> str:
    """One sentence, ending as the real shop's do: `, and price lower than 40.00 dollars`."""
    phrase = rng.choice((_adjectives_first, _adjectives_first, _clause_after, _catalogue_style))
    return f"{phrase(rng, product, goal)}, and price lower than {goal.bound_cents / 100:.2f} dollars"


def _adjectives_first(rng: random.Random, product: Product, goal: Goal) -> str:
    """`i need a slim fit striped shirt with side pockets in red, size small`"""
    before, after = _sides(goal)
    thing = f"{' and '.join(before)} {product.style} {product.kind}".strip()
    wanted = [f"with {' and '.join(after)}"] if after else []
    wanted.append(rng.choice((", ", " and ")).join(_option_phrases(rng, goal)))
    return " ".join([rng.choice(OPENERS), _with_article(thing, product.kind), *wanted])


def _clause_after(rng: random.Random, product: Product, goal: Goal) -> str:
    """`i want a striped shirt in red that is slim fit and has side pockets`"""
    before, after = _sides(goal)
    plural = product.kind in PLURAL
    clauses = [f"{'are' if plural else 'is'} {' and '.join(before)}"] if before else []
    if after:
        clauses.append(f"{'have' if plural else 'has'} {' and '.join(after)}")
    thing = _with_article(f"{product.style} {product.kind}", product.kind)
    phrases = ", ".join(_option_phrases(rng, goal))
    return f"{rng.choice(OPENERS)} {thing} {phrases} that {' and '.join(clauses)}"


def _catalogue_style(rng: random.Random, product: Product, goal: Goal) -> str:
    """`Find me slim fit striped shirt with side pockets with color: red, and size: small`"""
    before, after = _sides(goal)
    words = [", ".join(before), product.style, product.kind]
    words.append(f"with {', '.join(after)}" if after else "")
    options = ", and ".join(f"{name}: {value}" for name, value in goal.options.items())
    return "Find me " + " ".join(word for word in words if word) + f" with {options}"


def _sides(goal: Goal) -> tuple[list[str], list[str]]:
    """The attributes that are said before the noun, and those said after it."""
    before = [attribute for attribute in goal.attributes if attribute in BEFORE]
    return before, [attribute for attribute in goal.attributes if attribute not in BEFORE]


def _option_phrases(rng: random.Random, goal: Goal) -> Sequence[str]:
    return [rng.choice(OPTION_PHRASES[name]).format(value) for name, value in goal.options.items()]


def _with_article(thing: str, kind: str) -> str:
    if kind in UNCOUNTED:
        return thing
    spoken_vowel = thing[0] in "aeiou" and not thing.startswith(("uni", "uv"))
    return f"{'an' if spoken_vowel else 'a'} {thing}"
