"""Our own recipe books: a few hundred items each, another set of recipes for every book and split."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from affine_trainer.envs.textcraft.planning import Cookbook, plan
from affine_trainer.envs.textcraft.recipes import Book, Part, Recipe, named_items
from affine_trainer.envs.textcraft.words import CRAFTS, ODDS_AND_ENDS, PARTS, Craft
from affine_trainer.records import Split, seed_from

BOOKS_PER_SPLIT = 16
MOST_MOVES = {1: 5, 2: 8, 3: 10, 4: 12}  # by depth
MOST_SLOTS = 9  # a crafting grid is 3 by 3
SPLIT_CLASSES: dict[Split, int] = {"pretrain": 0, "train": 1, "validation": 2, "evaluation": 3}

GENERICS = tuple(craft.generic for craft in CRAFTS)

# How many ingredients a recipe has beside its main one, by depth: deep recipes have few, so that the whole
# tree fits into a play of ten rounds.
EXTRAS = {1: (20, 50, 30), 2: (30, 50, 20), 3: (50, 45, 5), 4: (60, 40, 0)}
RAW_AMOUNTS = ((1, 2, 3, 4, 5, 6), (28, 26, 18, 14, 8, 6))
MAKES = ((1, 2, 3, 4), (45, 25, 15, 15))


def recipe_class(output: str, names: Sequence[str]) -> int:
    """The class, hence the split, that owns the making of `output` out of things with these names.

    Numbers do not count, so no recipe of a split is in another split, not even in other numbers.
    """
    return seed_from("recipe", output, *sorted(names)) % len(SPLIT_CLASSES)


@lru_cache(maxsize=4 * BOOKS_PER_SPLIT)
def generated_book(split: Split, number: int) -> Book:
    """Book `number` of a split, 0 <= number < BOOKS_PER_SPLIT."""
    return _Author(split, number).write()


class _Author:
    """Writes one book, easy items first: an ingredient has its recipes before another recipe asks for it."""

    def __init__(self, split: Split, number: int) -> None:
        self._rng = random.Random(seed_from("textcraft book", split, number))
        self._class = SPLIT_CLASSES[split]
        self._recipes: dict[str, tuple[Recipe, ...]] = {}
        self._tags = {craft.generic: craft.items(craft.generic) for craft in CRAFTS}
        self._cookbook = Cookbook(self._recipes, lambda name: self._tags.get(name, ()))

    def write(self) -> Book:
        for name in PARTS:
            self._enter(name, ODDS_AND_ENDS, 1)
        for craft in CRAFTS:
            self._enter_form(craft, craft.generic, craft.raws, 1)
        for craft in CRAFTS:
            self._enter_forms(craft)
        return Book(self._recipes, self._tags, named_items(self._recipes, self._tags))

    def _enter_forms(self, craft: Craft) -> None:
        """Deal the forms to the depths anew, so that what is made of what differs from book to book."""
        first, *rest = self._rng.sample(craft.forms, len(craft.forms))
        self._enter_form(craft, first, craft.raws, 1)
        below = [craft.generic, first]
        for depth in (2, 3, 4):
            level = rest[(depth - 2) * 2 : (depth - 1) * 2]
            for form in level:
                self._enter_form(craft, form, below, depth)
            below = level

    def _enter_form(self, craft: Craft, form: str, below: Sequence[str], depth: int) -> None:
        """One form in every material, made of a kind `below` in the same material, or of the generic good."""
        for material in craft.materials:
            mains = [craft.named(material, kind) for kind in below]
            self._enter(craft.named(material, form), mains + [craft.generic] * (depth == 2), depth)

    def _enter(self, output: str, mains: Sequence[str], depth: int) -> None:
        recipes = [self._draw(output, mains, depth)]
        if depth == 1 and self._rng.random() < 0.25:
            other = self._draw(output, mains, depth)
            if {part.name for part in other.parts} != {part.name for part in recipes[0].parts}:
                recipes.append(other)
        self._recipes[output] = tuple(recipes)

    def _draw(self, output: str, mains: Sequence[str], depth: int) -> Recipe:
        """The first random recipe that belongs to this split, fits the grid and is not too much work."""
        while True:
            names = self._ingredients(mains, depth)
            if recipe_class(output, names) != self._class:
                continue
            parts = tuple(Part(self._amount(name), name) for name in names)
            recipe = Recipe(output, self._rng.choices(*MAKES)[0], parts)
            if sum(part.amount for part in parts) <= MOST_SLOTS and self._moves(recipe) <= MOST_MOVES[depth]:
                return recipe

    def _ingredients(self, mains: Sequence[str], depth: int) -> list[str]:
        """The names of one main ingredient and a few others, in random order and without repetition."""
        names = {self._rng.choice(mains): None}
        for _ in range(self._rng.choices((0, 1, 2), EXTRAS[depth])[0]):
            pools = (ODDS_AND_ENDS, PARTS, GENERICS)
            pool = self._rng.choices(pools, (75, 15, 10))[0] if depth > 1 else ODDS_AND_ENDS
            names[self._rng.choice(pool)] = None
        return self._rng.sample(list(names), len(names))

    def _amount(self, name: str) -> int:
        """Any number of a raw item; of a crafted one rarely more than crafting it once or twice makes."""
        makers = self._recipes.get(name) or self._recipes.get(self._tags.get(name, ("",))[0])
        if not makers:
            return self._rng.choices(*RAW_AMOUNTS)[0]
        times = 2 if self._rng.random() < 0.15 else 1
        return self._rng.randint(1, times * makers[0].makes)

    def _moves(self, recipe: Recipe) -> int:
        self._recipes[recipe.output] = (recipe,)
        return len(plan(recipe.output, self._cookbook, {}))
