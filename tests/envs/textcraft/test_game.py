"""The crafting game takes the server's grammar, gives its answers, and pays for the goal alone."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.textcraft import CraftTask, TextCraftGame, TextCraftGames
from affine_trainer.envs.textcraft.recipes import Book, by_output, named_items, read_command

GAMES = TextCraftGames()
TAGS = {"planks": ("oak planks", "pine planks")}
COMMANDS = (
    "craft 4 oak planks using 1 oak log",
    "craft 4 pine planks using 1 pine log",
    "craft 2 stick using 2 planks",
    "craft 3 oak sign using 6 oak planks, 1 stick",
    "craft 1 bow using 3 stick, 2 string",
)
NOT_ENOUGH = "Could not find enough items to craft minecraft:"
REFUSALS = ("Could not ", "Wrong item format")


def small_game(goal="oak sign", *more_commands):
    """A world that fits on a page."""
    shown = tuple(map(read_command, (*COMMANDS, *more_commands)))
    recipes = by_output(shown)
    return TextCraftGame(CraftTask(Book(recipes, TAGS, named_items(recipes, TAGS)), goal, shown))


def observations(game, *actions):
    return [game.act(action).observation for action in actions]


def random_play(game, rng, rounds):
    return [game.act(rng.choice(game.actions())) for _ in range(rounds)]


def test_a_game_is_told_in_the_words_of_the_server():
    game = small_game()
    assert game.observe() == "Crafting commands:\n" + "\n".join(COMMANDS) + "\n\nGoal: craft oak sign."
    assert observations(
        game,
        *("inventory", "get 2 oak log", "craft 4 oak planks using 1 oak log", "inventory"),
        *("craft 2 stick using 2 oak planks", "craft 4 oak planks using 1 oak log", "inventory"),
        *("craft 3 oak sign using 6 oak planks, 1 stick",),
    ) == [
        "Inventory: You are not carrying anything.",
        "Got 2 oak log",
        "Crafted 4 minecraft:oak_planks",
        "Inventory: [oak log] (1) [oak planks] (4) ",
        "Crafted 2 minecraft:stick",
        "Crafted 4 minecraft:oak_planks",
        "Inventory: [oak planks] (6) [stick] (2) ",
        "Crafted 3 minecraft:oak_sign",
    ]
    assert game.success


@pytest.mark.parametrize(
    ("action", "observation"),
    [
        ("get 1 oak planks", "Could not find oak planks"),
        ("get 1 planks", "Could not find planks"),
        ("get 1 diamond", "Could not find diamond"),
        ("get oak log", "Could not execute get oak log"),
        ("Get 1 oak log", "Could not execute Get 1 oak log"),
        ("", "Could not execute "),
        ("look", "Could not execute look"),
        ("craft 4 oak planks", "Could not execute craft 4 oak planks"),
        ("craft 4 oak planks using oak log", "Wrong item format: oak log"),
        (
            "craft 4 pine planks using 1 pine log",
            "Could not find enough items to craft minecraft:pine_planks",
        ),
        ("craft 2 stick using 2 planks", NOT_ENOUGH + "stick"),
        ("craft 1 planks using 1 pine log", "Could not find enough items to craft None"),
        (
            "craft 8 oak planks using 2 oak log",
            "Could not find a valid recipe for ItemTagWithCount(item_tag=ItemTag(tag=None, "
            "item_id='minecraft:oak_planks'), count=8)",
        ),
        (
            "craft 1 planks using 1 oak log",
            "Could not find a valid recipe for ItemTagWithCount(item_tag=ItemTag(tag='minecraft:planks', "
            "item_id=None), count=1)",
        ),
        (
            "craft diamond using 1 oak log",
            "Could not find a valid recipe for ItemTagWithCount(item_tag=ItemTag(tag=None, "
            "item_id='minecraft:diamond'), count=1)",
        ),
        (
            "craft 4 oak planks using 1 oak log, 1 string",
            "Could not find a valid recipe for ItemTagWithCount(item_tag=ItemTag(tag=None, "
            "item_id='minecraft:oak_planks'), count=4)",
        ),
        (f"get {'9' * 5000} oak log", f"Could not execute get {'9' * 5000} oak log"),
    ],
)
def test_what_is_not_possible_is_refused_and_changes_nothing(action, observation):
    game = small_game()
    observations(game, "get 3 oak log", "get 1 string")
    before = game.snapshot()
    outcome = game.act(action)
    assert outcome == Outcome(observation, reward=0.0, score=0.0, done=False)
    assert game.snapshot() == before


def test_the_number_before_a_crafted_item_is_not_checked_and_may_be_missing():
    game = small_game()
    assert observations(
        game,
        *(
            "get 2 oak log",
            "craft 1 oak planks using 1 oak log",
            "craft oak planks using 1 oak log",
            "inventory",
        ),
    )[1:] == ["Crafted 4 minecraft:oak_planks"] * 2 + ["Inventory: [oak planks] (8) "]


def test_a_generic_ingredient_takes_any_one_kind_and_no_mixture():
    game = small_game()
    observations(game, "get 1 oak log", "get 1 pine log")
    observations(game, "craft 4 oak planks using 1 oak log", "craft 4 pine planks using 1 pine log")
    [mixed, pine] = observations(
        game, "craft 2 stick using 1 oak planks, 1 pine planks", "craft 2 stick using 2 pine planks"
    )
    assert mixed.startswith("Could not find a valid recipe for ")
    assert pine == "Crafted 2 minecraft:stick"


def test_ingredients_may_come_in_any_order():
    game = small_game("bow")
    observations(game, "get 2 oak log", "get 2 string", "craft 4 oak planks using 1 oak log")
    observations(game, *["craft 2 stick using 2 oak planks"] * 2)
    assert observations(game, "craft 1 bow using 2 string, 3 stick") == ["Crafted 1 minecraft:bow"]


def test_one_item_cannot_be_spent_twice():
    game = small_game("raft", "craft 1 raft using 2 planks, 2 oak planks")
    observations(game, "get 2 oak log", "craft 4 oak planks using 1 oak log")
    observations(game, "craft 2 stick using 2 oak planks")
    craft = "craft 1 raft using 2 oak planks, 2 oak planks"
    assert observations(game, craft) == [NOT_ENOUGH + "raft"]
    assert observations(game, "craft 4 oak planks using 1 oak log", craft)[1] == "Crafted 1 minecraft:raft"


def test_only_the_goal_pays_and_it_ends_the_play():
    game = small_game("stick")
    outcomes = [
        game.act(action)
        for action in (
            *("get 1 oak log", "craft 4 oak planks using 1 oak log", "craft 2 stick using 2 oak planks"),
        )
    ]
    assert [(outcome.reward, outcome.score, outcome.done) for outcome in outcomes] == [
        (0.0, 0.0, False),
        (0.0, 0.0, False),
        (1.0, 1.0, True),
    ]


@given(st.one_of(st.text(), st.text(alphabet="craftgeusinoy 0123456789,_'\n")))
def test_no_text_is_too_strange_for_an_action(text):
    game = small_game()
    game.act("get 5 oak log")
    for action in (text, f"get {text}", f"craft {text}", f"craft {text} using {text}", f"get 1 {text}"):
        assert game.act(action).observation


def test_every_listed_action_is_understood():
    rng = random.Random(5)
    for index in GAMES.indices("train", 60, seed=1):
        game = GAMES.start(index)
        for _ in range(6):
            before = game.snapshot()
            for action in game.actions():
                assert not game.act(action).observation.startswith(REFUSALS)
                game.restore(before)
            game.act(rng.choice(game.actions()))


def test_a_restored_game_goes_on_as_it_would_have():
    for index in GAMES.indices("train", 200, seed=2):
        game, rng = GAMES.start(index), random.Random(index)
        expert, observation = GAMES.expert(game), game.observe()
        for _ in range(rng.randrange(GAMES.task(index).num_moves)):
            observation = game.act(expert.move(observation).action).observation
        kept, progress = game.snapshot(), game.progress
        random_play(game, rng, 3)
        game.restore(kept)
        other = GAMES.start(index)
        other.restore(kept)
        script = [rng.choice(game.actions()), expert.move(observation).action, "inventory"]
        assert game.progress == other.progress == progress
        assert [game.act(action) for action in script] == [other.act(action) for action in script]


def test_the_same_actions_give_the_same_transcript():
    for index in GAMES.indices("validation", 50, seed=2):
        first, second = (random_play(GAMES.start(index), random.Random(index), 12) for _ in range(2))
        assert first == second


def test_progress_is_one_exactly_on_success_and_rises_with_every_move_of_the_expert():
    for index in GAMES.indices("train", 200, seed=4):
        game = GAMES.start(index)
        expert, observation = GAMES.expert(game), game.observe()
        progress = [game.progress]
        while not game.success:
            observation = game.act(expert.move(observation).action).observation
            progress.append(game.progress)
        assert progress[0] == 0.0 and progress[-1] == 1.0 and max(progress[:-1]) < 1.0
        assert all(after > before for before, after in pairwise(progress))


def test_progress_depends_on_what_is_carried_only_and_waste_lowers_it():
    game = small_game("bow")
    observations(game, "get 2 oak log", "craft 4 oak planks using 1 oak log")
    saved = game.progress
    observations(game, "get 1 pine log", "inventory", "nonsense")
    assert game.progress == saved
    observations(game, "craft 2 stick using 2 oak planks")
    gained = game.progress
    observations(game, "craft 2 stick using 2 oak planks")
    assert saved < gained < game.progress < 1.0
    wasteful = small_game("bow")
    observations(wasteful, "get 6 oak log", *["craft 4 oak planks using 1 oak log"] * 6)
    observations(wasteful, *["craft 2 stick using 2 oak planks"] * 3, "get 2 string")
    rich = wasteful.progress
    observations(wasteful, *["craft 3 oak sign using 6 oak planks, 1 stick"] * 2, "get 1 string")
    assert wasteful.progress <= rich


def test_progress_stays_within_bounds_whatever_is_done():
    rng = random.Random(8)
    for index in GAMES.indices("train", 100, seed=5):
        game = GAMES.start(index)
        for _ in range(15):
            done = game.act(rng.choice(game.actions())).done
            assert 0.0 <= game.progress <= 1.0
            assert (game.progress == 1.0) == game.success == done


def test_doing_nothing_never_wins_and_a_random_player_seldom():
    wins = 0
    for index in GAMES.indices("evaluation", 400, seed=0):
        assert not any(GAMES.start(index).act("").done for _ in range(10))
        wins += any(outcome.done for outcome in random_play(GAMES.start(index), random.Random(index), 10))
    assert wins / 400 <= 0.05
