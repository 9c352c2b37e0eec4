"""Crafting tasks are many, each a function of its index, and no split knows another's recipes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from affine_trainer.envs.textcraft import TextCraftGames, generated_book
from affine_trainer.envs.textcraft.planning import Make, plan
from affine_trainer.envs.textcraft.tasks import DEPTH_WEIGHTS
from affine_trainer.errors import AffineError
from affine_trainer.records import sha256_of

ROOT = Path(__file__).parents[3]
GAMES = TextCraftGames()
SPLITS = ("pretrain", "train", "validation", "evaluation")


def tasks(split, count):
    return [GAMES.task(index) for index in GAMES.indices(split, count, seed=0)]


def ways_of_making(book):
    """What is made of what, whatever the numbers."""
    return {
        (recipe.output, frozenset(part.name for part in recipe.parts))
        for recipes in book.recipes.values()
        for recipe in recipes
    }


@pytest.mark.parametrize("split", SPLITS)
def test_of_a_thousand_tasks_nearly_all_are_different(split):
    contents = {sha256_of(GAMES.info(index).content) for index in GAMES.indices(split, 1000, seed=0)}
    assert len(contents) >= 990


def test_two_splits_share_names_but_no_way_of_making_anything():
    books = {split: [generated_book(split, number) for number in range(3)] for split in SPLITS}
    made = [set().union(*map(ways_of_making, books[split])) for split in SPLITS]
    assert sum(map(len, made)) == len(set().union(*made))
    assert all(
        set(book.recipes) == set(books["train"][0].recipes) for some in books.values() for book in some
    )


@pytest.mark.parametrize("split", SPLITS)
def test_a_book_has_a_few_hundred_items_of_depth_one_to_four(split):
    book = generated_book(split, 5)
    assert 300 <= len(book.items) <= 600
    assert set(book.goals) == {1, 2, 3, 4}
    assert all(len(goals) >= 60 for goals in book.goals.values())


def test_names_tell_what_is_a_kind_of_what():
    book = generated_book("train", 0)
    endings = {
        (name, other)
        for name in {*book.items, *book.tags}
        for other in book.items
        if other.endswith(f" {name}")
    }
    assert endings == {(tag, kind) for tag, kinds in book.tags.items() for kind in kinds}


def test_depths_come_in_their_shares():
    depths = [task.depth for task in tasks("evaluation", 2000)]
    for depth, share in DEPTH_WEIGHTS.items():
        assert depths.count(depth) / len(depths) == pytest.approx(share, abs=0.04)
    info = GAMES.info(17)
    assert (info.kind, info.difficulty) == (f"depth {GAMES.task(17).depth}", GAMES.task(17).depth)


def test_the_first_observation_is_short_and_shaped_like_the_servers():
    for task in tasks("validation", 300):
        commands, _, goal = task.observation.partition("\n\n")
        heading, *lines = commands.split("\n")
        assert heading == "Crafting commands:"
        assert lines == [recipe.command for recipe in task.shown]
        assert goal == f"Goal: craft {task.goal}."
        assert 4 <= len(lines) <= 10 and len(set(lines)) == len(lines)
        assert len(task.observation) <= 600


def test_the_needed_commands_are_shown_among_others_in_no_telling_place():
    with_others = places = 0
    for task in tasks("train", 300):
        moves = plan(task.goal, task.cookbook, {})
        needed = {move.written for move in moves if isinstance(move, Make)}
        assert needed <= set(task.shown)
        fetched = {part.name for recipe in needed for part in recipe.parts} - {r.output for r in needed}
        assert all(task.book.fetchable(name) or name in task.book.tags for name in fetched)
        with_others += len(task.shown) > len(needed)
        places += task.shown[-1].output == task.goal
    assert with_others >= 290
    assert places <= 100


def test_generic_ingredients_several_crafted_parts_and_repeated_crafts_all_occur():
    generic = branching = repeated = 0
    for task in tasks("train", 300):
        made = [move for move in plan(task.goal, task.cookbook, {}) if isinstance(move, Make)]
        generic += any(part.name in task.book.tags for move in made for part in move.written.parts)
        branching += any(
            sum(not task.book.fetchable(part.name) for part in move.written.parts) > 1 for move in made
        )
        repeated += len({move.recipe for move in made}) < len(made)
    assert min(generic, branching, repeated) >= 15


def test_a_task_is_a_function_of_its_index():
    again = TextCraftGames()
    for index in GAMES.indices("train", 50, seed=3):
        assert again.task(index) == GAMES.task(index)
        assert again.start(index).observe() == GAMES.start(index).observe()
    assert GAMES.indices("train", 20, seed=3) == GAMES.indices("train", 50, seed=3)[:20]


def test_a_task_is_the_same_in_another_process():
    program = (
        "from affine_trainer.envs.textcraft import TextCraftGames; games = TextCraftGames(); "
        "print([games.start(index).observe() for index in range(40)])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == str([GAMES.start(index).observe() for index in range(40)]), done.stderr


def test_an_index_that_no_split_owns_is_refused():
    with pytest.raises(AffineError, match="outside"):
        GAMES.start(2_000_000_000)


def test_indices_of_some_depths_are_those_of_any_depth_without_the_others():
    every = TextCraftGames().indices("train", 400, seed=0)
    shallow = TextCraftGames(depths=[1])
    wanted = [index for index in every if shallow.task(index).depth == 1]
    assert 40 < len(wanted) < 360
    assert shallow.indices("train", 40, seed=0) == wanted[:40]
    assert shallow.indices("train", 20, seed=0) == wanted[:20]
