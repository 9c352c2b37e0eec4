"""The shortest way to an item from what is carried: what to fetch and what to craft, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from affine_trainer.envs.textcraft.recipes import Part, Recipe

MOST_STEPS = 200  # far above any plan that can be played
DEEPEST = 6  # how many crafts down two ways are compared


class Fetch(NamedTuple):
    """Get `amount` of `name`, which `use` needs."""

    amount: int
    name: str
    use: str

    @property
    def command(self) -> str:
        return f"get {self.amount} {self.name}"


class Make(NamedTuple):
    """Craft once, for `use`. `recipe` names concrete items; `written` is the recipe as the book has it."""

    recipe: Recipe
    written: Recipe
    use: str

    @property
    def command(self) -> str:
        return self.recipe.command


class Cookbook:
    """The recipes a planner may use, and which items it takes for a generic ingredient."""

    def __init__(
        self, recipes: Mapping[str, Sequence[Recipe]], kinds: Callable[[str], Iterable[str]]
    ) -> None:
        self.recipes = recipes
        self.kinds = kinds

    def crafted_kinds(self, name: str) -> list[str]:
        """The kinds of a generic ingredient that these recipes can make."""
        return [] if name in self.recipes else [kind for kind in self.kinds(name) if kind in self.recipes]


def plan(goal: str, cookbook: Cookbook, carried: Mapping[str, int]) -> list[Fetch | Make]:
    """The moves that obtain one `goal`; every raw item is fetched once, before its first use."""
    return _Planner(cookbook, carried).moves(goal)


class _Planner:
    """Works backwards from the goal over a stock that begins as what is carried."""

    def __init__(self, cookbook: Cookbook, carried: Mapping[str, int]) -> None:
        self._cookbook = cookbook
        self._stock = dict(carried)
        self._steps: list[Fetch | Make] = []
        self._fetched: dict[str, tuple[int, int, str]] = {}  # place in the steps, amount, first use
        self._making: list[str] = []  # a circle ends at a name that is being made already

    def moves(self, goal: str) -> list[Fetch | Make]:
        self._make(goal, 1, goal)
        return self._steps

    def _obtain(self, name: str, amount: int, use: str) -> None:
        """Take `amount` from the stock, after crafting or fetching what is missing."""
        missing = amount - self._stock.get(name, 0)
        if missing > 0 and name in self._cookbook.recipes and name not in self._making:
            self._make(name, missing, use)
        elif missing > 0:
            self._fetch(name, missing, use)
        self._stock[name] = self._stock.get(name, 0) - amount

    def _fetch(self, name: str, amount: int, use: str) -> None:
        place, before, first_use = self._fetched.get(name, (len(self._steps), 0, use))
        self._steps[place : place + 1] = [Fetch(before + amount, name, first_use)]
        self._fetched[name] = (place, before + amount, first_use)
        self._stock[name] = self._stock.get(name, 0) + amount

    def _make(self, name: str, missing: int, use: str) -> None:
        recipe = self._best_recipe(name, missing)
        self._making.append(name)
        while missing > 0 and len(self._steps) < MOST_STEPS:
            kinds = self._obtain_parts(recipe)
            parts = tuple(Part(part.amount, kinds[part.name]) for part in recipe.parts)
            self._steps.append(Make(Recipe(name, recipe.makes, parts), recipe, use))
            self._stock[name] = self._stock.get(name, 0) + recipe.makes
            missing -= recipe.makes
        self._making.pop()

    def _obtain_parts(self, recipe: Recipe) -> dict[str, str]:
        """Generic parts come last, chosen when it is clear what the others leave over."""
        kinds: dict[str, str] = {}
        for part in sorted(recipe.parts, key=lambda part: bool(self._cookbook.crafted_kinds(part.name))):
            kinds[part.name] = self._kind(part)
            self._obtain(kinds[part.name], part.amount, recipe.output)
        return kinds

    def _best_recipe(self, name: str, missing: int) -> Recipe:
        recipes = self._cookbook.recipes[name]
        if len(recipes) == 1:
            return recipes[0]
        return min(recipes, key=lambda recipe: (self._work_by(recipe, missing, DEEPEST), recipe))

    def _kind(self, part: Part, depth: int = DEEPEST) -> str:
        """The item to use for a part: one that is held in the number needed, else the easiest to make."""
        if part.name in self._cookbook.recipes:
            return part.name
        held = [name for name in self._cookbook.kinds(part.name) if self._stock.get(name, 0) >= part.amount]
        kinds = held or self._cookbook.crafted_kinds(part.name) or [part.name]
        if len(kinds) == 1:
            return kinds[0]
        return min(kinds, key=lambda kind: (self._work(kind, part.amount, depth), kind))

    def _work(self, name: str, amount: int, depth: int) -> int:
        """About how many moves it takes to have `amount` of an item."""
        missing = amount - self._stock.get(name, 0)
        if missing <= 0 or name in self._fetched:
            return 0
        if name not in self._cookbook.recipes or depth == 0:
            return 1
        return min(self._work_by(recipe, missing, depth - 1) for recipe in self._cookbook.recipes[name])

    def _work_by(self, recipe: Recipe, missing: int, depth: int) -> int:
        times = ceil(missing / recipe.makes)
        parts = (Part(part.amount * times, part.name) for part in recipe.parts)
        return times + sum(self._work(self._kind(part, depth), part.amount, depth) for part in parts)
