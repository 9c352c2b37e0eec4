"""Recipes, and the book that says which items exist, which of them are crafted, and what is generic."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from affine_trainer.errors import AffineError


class Part(NamedTuple):
    """One ingredient; `name` is an item or a generic ingredient."""

    amount: int
    name: str

    def __str__(self) -> str:
        return f"{self.amount} {self.name}"


class Recipe(NamedTuple):
    """Crafting once turns exactly these parts into `makes` of `output`."""

    output: str
    makes: int
    parts: tuple[Part, ...]

    @property
    def command(self) -> str:
        """The recipe as a player sees and says it."""
        return f"craft {self.makes} {self.output} using {', '.join(map(str, self.parts))}"


def item_id(name: str) -> str:
    """The game's identifier of an item: `oak planks` is `minecraft:oak_planks`."""
    return "minecraft:" + name.replace(" ", "_")


@dataclass(frozen=True)
class Book:
    """All recipes of one world.

    `tags` maps a generic ingredient to the items that count as one. An item can be fetched when it is in
    `items`, no recipe makes it, and it is not generic. The recipes have no circles.
    """

    recipes: Mapping[str, tuple[Recipe, ...]]
    tags: Mapping[str, tuple[str, ...]]
    items: frozenset[str]
    _depths: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def fetchable(self, name: str) -> bool:
        return name in self.items and name not in self.recipes and name not in self.tags

    def depth(self, name: str) -> int:
        """Crafting steps on the longest way down: 0 for what is fetched, by the easiest recipe or member."""
        if name not in self._depths:
            self._depths[name] = self._depth(name)
        return self._depths[name]

    def _depth(self, name: str) -> int:
        if name in self.recipes:
            return min(
                1 + max(self.depth(part.name) for part in recipe.parts) for recipe in self.recipes[name]
            )
        return min((self.depth(item) for item in self.tags.get(name, ()) if item in self.recipes), default=0)

    def match(self, output: str, parts: Sequence[Part]) -> Recipe | None:
        """The recipe that these items, in exactly these numbers, fulfil."""
        return next((r for r in self.recipes.get(output, ()) if self._fulfilled(r, parts)), None)

    def _fulfilled(self, recipe: Recipe, parts: Sequence[Part]) -> bool:
        left = list(parts)
        for wanted in recipe.parts:
            given = next((part for part in left if self.is_a(part.name, wanted.name)), None)
            if given is None or given.amount != wanted.amount:
                return False
            left.remove(given)
        return not left

    def is_a(self, item: str, wanted: str) -> bool:
        """Whether `item` may be used where a recipe says `wanted`."""
        return item in self.tags[wanted] if wanted in self.tags else item == wanted

    @cached_property
    def goals(self) -> dict[int, tuple[str, ...]]:
        """Every crafted item by its depth, in the order of the alphabet."""
        by_depth: dict[int, list[str]] = {}
        for name in sorted(self.recipes):
            by_depth.setdefault(self.depth(name), []).append(name)
        return {depth: tuple(names) for depth, names in sorted(by_depth.items())}

    @cached_property
    def uses(self) -> dict[str, tuple[Recipe, ...]]:
        """The recipes that ask for a name."""
        users: dict[str, list[Recipe]] = {}
        for recipes in self.recipes.values():
            for recipe in recipes:
                for part in recipe.parts:
                    users.setdefault(part.name, []).append(recipe)
        return {name: tuple(recipes) for name, recipes in users.items()}


def named_items(recipes: Mapping[str, Iterable[Recipe]], tags: Container[str]) -> frozenset[str]:
    """Every item that a recipe makes or asks for; generic ingredients are none."""
    parts = {part.name for made in recipes.values() for recipe in made for part in recipe.parts}
    return frozenset(recipes) | {name for name in parts if name not in tags}


def by_output(recipes: Iterable[Recipe]) -> dict[str, tuple[Recipe, ...]]:
    """The recipes of each item, in their order."""
    made: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        made.setdefault(recipe.output, []).append(recipe)
    return {output: tuple(same) for output, same in made.items()}


def read_command(line: str) -> Recipe:
    """The recipe behind `craft 4 oak planks using 1 oak log`; AffineError for any other line."""
    made, using, parts = line.removeprefix("craft ").partition(" using ")
    counted = [text.strip().partition(" ") for text in (made, *parts.split(","))]
    if not (using and all(amount.isdecimal() and name for amount, _, name in counted)):
        raise AffineError(f"not a crafting command: {line!r}; write e.g. craft 4 oak planks using 1 oak log")
    output, *rest = (Part(int(amount), name) for amount, _, name in counted)
    return Recipe(output.name, output.amount, tuple(rest))
