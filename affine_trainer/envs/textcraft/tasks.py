"""What a player is given: a goal, and the crafting commands it takes among others that it does not take."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from affine_trainer.envs.textcraft.planning import Cookbook, Make, plan
from affine_trainer.envs.textcraft.recipes import Book, Recipe, by_output

DEPTH_WEIGHTS = {1: 0.35, 2: 0.35, 3: 0.2, 4: 0.1}
FEWEST_COMMANDS, MOST_COMMANDS = 4, 10
MOST_CHARACTERS = 600
MOST_MOVES = 12


@dataclass(frozen=True)
class CraftTask:
    """One goal in one world; `shown` are the recipes that the player is told."""

    book: Book
    goal: str
    shown: tuple[Recipe, ...]

    @property
    def observation(self) -> str:
        commands = "\n".join(recipe.command for recipe in self.shown)
        return f"Crafting commands:\n{commands}\n\nGoal: craft {self.goal}."

    @property
    def depth(self) -> int:
        return self.book.depth(self.goal)

    @cached_property
    def cookbook(self) -> Cookbook:
        """What can be planned with the shown commands alone."""
        return Cookbook(by_output(self.shown), lambda name: self.book.tags.get(name, ()))

    @cached_property
    def num_moves(self) -> int:
        """How many moves the goal takes from nothing."""
        return len(plan(self.goal, self.cookbook, {}))


def draw_task(book: Book, goals: Mapping[int, Sequence[str]], rng: random.Random) -> CraftTask | None:
    """A random goal, depth first, with its commands; None when they are too many or too much work."""
    depths = [depth for depth in goals if goals[depth]]
    depth = rng.choices(depths, [DEPTH_WEIGHTS.get(depth, DEPTH_WEIGHTS[4]) for depth in depths])[0]
    return _Setter(book, rng.choice(goals[depth]), rng).task()


class _Setter:
    """Chooses the commands for one goal.

    Whatever can be made with the shown commands on the way to the goal, can be made of shown commands and
    items to fetch all the way down; only commands that lead elsewhere may need more than is shown.
    """

    def __init__(self, book: Book, goal: str, rng: random.Random) -> None:
        self._book = book
        self._goal = goal
        self._rng = rng
        self._kinds: dict[str, tuple[str, ...]] = {}  # one kind for every generic ingredient met

    def task(self) -> CraftTask | None:
        moves = plan(self._goal, Cookbook(self._book.recipes, self._kind), {})
        needed = list(dict.fromkeys(move.written for move in moves if isinstance(move, Make)))
        if len(moves) > MOST_MOVES or not self._fits(needed):
            return None
        wanted = max(self._rng.randint(FEWEST_COMMANDS, MOST_COMMANDS), min(len(needed) + 2, MOST_COMMANDS))
        shown = needed + self._chosen(self._alternatives(needed), needed, min(2, wanted - len(needed)))
        for others in (self._relatives(needed), self._strangers(needed)):
            shown += self._chosen(others, shown, wanted - len(shown))
        self._rng.shuffle(shown)
        return CraftTask(self._book, self._goal, tuple(shown))

    def _kind(self, name: str) -> tuple[str, ...]:
        if name not in self._kinds:
            crafted = [kind for kind in self._book.tags.get(name, ()) if kind in self._book.recipes]
            self._kinds[name] = (self._rng.choice(crafted),) if crafted else ()
        return self._kinds[name]

    def _fits(self, recipes: Iterable[Recipe]) -> bool:
        task = CraftTask(self._book, self._goal, tuple(recipes))
        return len(task.shown) <= MOST_COMMANDS and len(task.observation) <= MOST_CHARACTERS

    def _chosen(self, recipes: Iterable[Recipe], shown: Sequence[Recipe], most: int) -> list[Recipe]:
        """Up to `most` of the recipes, at random, that leave the observation short enough."""
        pool = sorted(set(recipes).difference(shown))
        chosen: list[Recipe] = []
        for recipe in self._rng.sample(pool, len(pool)):
            if len(chosen) < most and self._fits([*shown, *chosen, recipe]):
                chosen.append(recipe)
        return chosen

    def _on_the_way(self, needed: Sequence[Recipe]) -> set[str]:
        """What the needed recipes make, and every kind of what they ask for."""
        generic = {part.name for recipe in needed for part in recipe.parts if part.name in self._book.tags}
        kinds = {kind for name in generic for kind in self._book.tags[name]}
        return {recipe.output for recipe in needed} | kinds

    def _alternatives(self, needed: Sequence[Recipe]) -> list[Recipe]:
        """Other ways to make what is on the way, out of items to fetch."""
        return [
            recipe
            for name in self._on_the_way(needed)
            for recipe in self._book.recipes.get(name, ())
            if all(self._book.fetchable(part.name) for part in recipe.parts)
        ]

    def _relatives(self, needed: Sequence[Recipe]) -> list[Recipe]:
        """What else is made of the things that the needed recipes make or ask for."""
        names = {part.name for recipe in needed for part in recipe.parts} | {r.output for r in needed}
        return self._elsewhere(needed, (recipe for name in names for recipe in self._book.uses.get(name, ())))

    def _strangers(self, needed: Sequence[Recipe]) -> list[Recipe]:
        outputs = self._rng.sample(sorted(self._book.recipes), min(MOST_COMMANDS, len(self._book.recipes)))
        return self._elsewhere(needed, (recipe for name in outputs for recipe in self._book.recipes[name]))

    def _elsewhere(self, needed: Sequence[Recipe], recipes: Iterable[Recipe]) -> list[Recipe]:
        on_the_way = self._on_the_way(needed)
        return [recipe for recipe in recipes if recipe.output not in on_the_way]
