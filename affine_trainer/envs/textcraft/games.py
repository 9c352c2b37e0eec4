"""agentgym:textcraft, embedded: crafting tasks over our own recipe books, or over a folder of recipes."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

from affine_trainer.envs.agents.game import Expert, Game, GameInfo
from affine_trainer.envs.splits import draw_indices, shuffled_indices, split_of
from affine_trainer.envs.textcraft.expert import CraftingExpert
from affine_trainer.envs.textcraft.game import TextCraftGame
from affine_trainer.envs.textcraft.generator import BOOKS_PER_SPLIT, generated_book
from affine_trainer.envs.textcraft.recipe_files import load_recipes
from affine_trainer.envs.textcraft.recipes import Book
from affine_trainer.envs.textcraft.tasks import CraftTask, draw_task
from affine_trainer.errors import AffineError
from affine_trainer.records import UNLIMITED, Split, seed_from

ENV = "agentgym:textcraft"
MOST_DRAWS = 1000
TASKS_A_WANTED_DEPTH = 20  # so many are looked at for each that is asked for
# The splits that the goals of a loaded book are dealt to, one after another.
DEAL: tuple[Split, ...] = (
    *("evaluation", "train", "validation", "pretrain", "train"),
    *("evaluation", "train", "train", "train", "train"),
)

Goals = Mapping[int, Sequence[str]]
Shelf = Callable[[Split, random.Random], tuple[Book, Goals]]


class TextCraftGames:
    """All crafting tasks; an index draws the book, the goal and the commands that are shown.

    `depths` names how many crafts deep the goals are that `indices` gives, none of them meaning any.

    With `recipes`, a folder of recipe files in the format of the game, there is one book, and its goals are
    dealt to the splits. AffineError when the folder holds too few recipes for a split.
    """

    env = ENV
    family = "embedded"
    max_open = UNLIMITED

    def __init__(self, recipes: Path | None = None, depths: Collection[int] = ()) -> None:
        self._depths = frozenset(depths)
        self._shelf = _own_books if recipes is None else _loaded_book(load_recipes(recipes), recipes)
        self.task = lru_cache(maxsize=256)(self._task)

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        if not self._depths:
            return draw_indices(self.env, self.family, split, count, seed)
        most = MOST_DRAWS + count * TASKS_A_WANTED_DEPTH
        drawn = islice(shuffled_indices(self.env, self.family, split, seed), most)
        found = list(islice((n for n in drawn if self.task(n).depth in self._depths), count))
        if len(found) < count:
            raise AffineError(
                f"{self.env} has {len(found)} {split} tasks of depth {sorted(self._depths)} among {most}; "
                f"asked for {count}"
            )
        return found

    def info(self, index: int) -> GameInfo:
        task = self.task(index)
        content = {"goal": task.goal, "commands": sorted(recipe.command for recipe in task.shown)}
        return GameInfo(content, f"depth {task.depth}", float(task.depth))

    def start(self, index: int) -> TextCraftGame:
        return TextCraftGame(self.task(index))

    def expert(self, game: Game) -> Expert:
        return CraftingExpert()

    def _task(self, index: int) -> CraftTask:
        rng = random.Random(seed_from(ENV, index))
        book, goals = self._shelf(split_of(index), rng)
        tasks = (draw_task(book, goals, rng) for _ in range(MOST_DRAWS))
        task = next((task for task in tasks if task is not None), None)
        if task is None:
            raise AffineError(f"{ENV}: no goal of the {split_of(index)} split is short enough to be played")
        return task


def _own_books(split: Split, rng: random.Random) -> tuple[Book, Goals]:
    book = generated_book(split, rng.randrange(BOOKS_PER_SPLIT))
    return book, book.goals


def _loaded_book(book: Book, folder: Path) -> Shelf:
    """One book for all splits, each with goals of its own."""
    dealt: dict[Split, dict[int, list[str]]] = {split: {} for split in DEAL}
    for place, name in enumerate(sorted(book.recipes, key=lambda name: seed_from("goal", name))):
        goals = dealt[DEAL[place % len(DEAL)]]
        goals.setdefault(book.depth(name), []).append(name)

    def shelf(split: Split, _: random.Random) -> tuple[Book, Goals]:
        if not dealt[split]:
            raise AffineError(f"{folder}: too few recipes for a {split} split; four items must be craftable")
        return book, dealt[split]

    return shelf
