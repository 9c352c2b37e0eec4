"""Tasks are functions of their index, differ from each other, say all they ask for, and can be solved."""

import random

import pytest

from affine_trainer.envs.splits import SPLIT_RANGES, split_of
from affine_trainer.envs.webshop import RULES, RULES_SHORT, WebShopGames
from affine_trainer.envs.webshop.catalogue import catalogue
from affine_trainer.envs.webshop.goals import errand, hidden_from_title
from affine_trainer.envs.webshop.reading import (
    ATTRIBUTES,
    NOUNS,
    VALUES,
    parts_of,
    read_item,
    read_rows,
    read_wish,
)
from affine_trainer.envs.webshop.reward import best_reward
from affine_trainer.errors import AffineError
from affine_trainer.records import sha256_of

GAMES = WebShopGames()
SHOP = catalogue()
SOME = [index for split in SPLIT_RANGES for index in GAMES.indices(split, 300, 0)]


@pytest.mark.parametrize("split", SPLIT_RANGES)
@pytest.mark.parametrize("seed", [0, 1])
def test_of_a_thousand_tasks_at_least_990_differ(split, seed):
    indices = GAMES.indices(split, 1_000, seed)
    assert len({sha256_of(GAMES.info(index).content) for index in indices}) >= 990
    assert len({GAMES.start(index).observe() for index in indices}) >= 990


def test_a_shorter_draw_is_a_prefix_of_a_longer_one():
    assert GAMES.indices("train", 50, 3) == GAMES.indices("train", 80, 3)[:50]


def test_an_index_that_no_split_owns_is_refused():
    with pytest.raises(AffineError):
        GAMES.start(2_000_000_000)


def test_a_task_asks_for_a_product_of_its_own_split():
    for index in SOME:
        task = errand(SHOP, index)
        assert SHOP.siblings(task.product) in SHOP.lines[split_of(index)]


def test_a_task_is_solved_by_the_product_it_was_made_from():
    for index in SOME:
        task = errand(SHOP, index)
        assert best_reward(task.product, task.goal) == 1.0
        assert task.product.cents <= task.goal.bound_cents


def test_the_instruction_says_all_that_is_asked_for_and_nothing_else():
    for index in SOME:
        task = errand(SHOP, index)
        wish = read_wish(parts_of(GAMES.start(index).observe()))
        assert wish.nouns == (task.product.style, task.product.kind)
        assert sorted(wish.attributes) == sorted(task.goal.attributes)
        assert sorted(wish.values) == sorted(task.goal.options.values())
        assert wish.bound_cents == task.goal.bound_cents


def test_goals_are_worded_in_several_ways():
    openings = {GAMES.start(index).observe().split(" [SEP] ")[2].split(" ")[0] for index in SOME}
    assert openings == {"i", "buy", "find", "get", "show", "Find"}


def test_kinds_say_what_has_to_be_read():
    for index in SOME:
        task, kind = errand(SHOP, index), GAMES.info(index).kind
        assert (kind == "features") == bool(hidden_from_title(task.product, task.goal.attributes))
    kinds = [GAMES.info(index).kind for index in SOME]
    assert {kind: kinds.count(kind) / len(kinds) >= 0.15 for kind in set(kinds)} == {
        "results": True,
        "options": True,
        "features": True,
    }


def test_difficulty_is_the_chance_to_fail():
    assert all(0.0 < GAMES.info(index).difficulty < 1.0 for index in SOME)


def test_a_visitor_who_does_nothing_earns_nothing():
    for index in SOME[:200]:
        game = GAMES.start(index)
        assert [game.act("").reward for _ in range(10)] == [0.0] * 10
        assert not game.success and game.progress == 0.0


def test_a_random_visitor_earns_next_to_nothing():
    scores = [random_score(index) for index in SOME]
    assert sum(score == 1.0 for score in scores) == 0
    assert sum(scores) / len(scores) < 0.01


def random_score(index):
    game, rng = GAMES.start(index), random.Random(index)
    for _ in range(10):
        outcome = game.act(rng.choice(game.actions()))
        if outcome.done:
            return outcome.score
    return 0.0


def test_to_buy_the_first_hit_under_the_price_often_fails_where_something_must_be_read():
    by_kind = {"results": [], "options": [], "features": []}
    for index in SOME:
        by_kind[GAMES.info(index).kind].append(first_hit_succeeds(index))
    assert sum(by_kind["options"]) / len(by_kind["options"]) < 0.65
    assert sum(by_kind["features"]) / len(by_kind["features"]) < 0.75


def first_hit_succeeds(index):
    game = GAMES.start(index)
    wish = read_wish(parts_of(game.observe()))
    rows = read_rows(parts_of(game.act(f"search[{' '.join(wish.words)}]").observation))
    row = next((row for row in rows if row.cents <= wish.bound_cents), rows[0])
    item = read_item(parts_of(game.act(f"click[{row.asin}]").observation))
    for value in wish.values:
        game.act(f"click[{value}]" if value in item.values else "")
    game.act("click[Buy Now]")
    return game.success


def test_no_phrase_is_of_two_sorts():
    assert not ATTRIBUTES & VALUES
    assert not NOUNS & (ATTRIBUTES | VALUES)


def test_the_rules_are_short_enough():
    assert len(RULES) <= 1_200
    assert len(RULES_SHORT) <= 120
