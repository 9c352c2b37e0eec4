"""The crafting expert reads observations only, always arrives, and mostly within ten rounds."""

from affine_trainer.envs.textcraft import RULES, RULES_SHORT, TextCraftGames
from affine_trainer.envs.textcraft.expert import LOST_THOUGHT, CraftingExpert

GAMES = TextCraftGames()


def play(index, rounds=30):
    """The moves of the expert, and whether it won."""
    game = GAMES.start(index)
    expert, observation, moves = GAMES.expert(game), game.observe(), []
    while len(moves) < rounds and not game.success:
        moves.append(expert.move(observation))
        observation = game.act(moves[-1].action).observation
    return moves, game.success


def test_the_expert_solves_everything_and_most_of_it_within_ten_rounds():
    plays = [play(index) for split in ("train", "evaluation") for index in GAMES.indices(split, 300, seed=0)]
    assert all(won for _, won in plays)
    assert sum(len(moves) <= 10 for moves, _ in plays) / len(plays) >= 0.9
    assert max(len(moves) for moves, _ in plays) <= 12


def test_the_expert_takes_no_more_moves_than_the_task_says():
    for index in GAMES.indices("validation", 200, seed=0):
        assert len(play(index)[0]) == GAMES.task(index).num_moves


def test_actions_and_thoughts_are_short_and_say_why():
    for index in GAMES.indices("pretrain", 200, seed=0):
        for move in play(index)[0]:
            assert len(move.action.split()) <= 16
            assert 4 <= len(move.thought.split()) <= 30
            assert move.thought[0].isupper() and move.thought.endswith(".")


def test_thoughts_vary_but_are_the_same_for_the_same_task():
    indices = GAMES.indices("train", 60, seed=0)
    plays = [play(index)[0] for index in indices]
    assert plays == [play(index)[0] for index in indices]
    last = {moves[-1].thought.split()[0] for moves in plays}
    assert {"I", "All", "Now", "Nothing"} <= last


def test_an_action_that_was_lost_is_done_again():
    for index in GAMES.indices("train", 30, seed=6):
        game = GAMES.start(index)
        expert, observation = GAMES.expert(game), game.observe()
        for number in range(18):
            action = expert.move(observation).action
            observation = game.act("hm" if number % 3 == 1 else action).observation
        assert game.success


def test_what_cannot_be_fetched_is_looked_for_among_the_names_that_share_a_word():
    expert = CraftingExpert()
    commands = "craft 1 tool using 1 stone rocks\ncraft 1 red stone using 1 dust"
    said = (
        f"Crafting commands:\n{commands}\n\nGoal: craft tool.",
        *("Could not find stone rocks", "Got 1 dust", "Crafted 1 minecraft:red_stone"),
    )
    assert [expert.move(observation).action for observation in said] == [
        *("get 1 stone rocks", "get 1 dust", "craft 1 red stone using 1 dust"),
        "craft 1 tool using 1 red stone",
    ]


def test_an_expert_without_a_way_looks_at_what_it_has():
    expert = CraftingExpert()
    move = expert.move("Crafting commands:\ncraft 1 stick using 1 log\n\nGoal: craft crown.")
    assert (move.thought, move.action) == (LOST_THOUGHT, "inventory")


def test_the_rules_name_every_action_and_stay_short():
    assert len(RULES) <= 1200 and len(RULES_SHORT) <= 120
    for text in (RULES, RULES_SHORT):
        assert all(form in text for form in ("get N item", "craft N item using N a, N b", "inventory"))
    assert "Thought:" in RULES and "Action:" in RULES
