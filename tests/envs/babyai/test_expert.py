"""The expert solves nearly all levels from what it has seen alone."""

import pytest

from affine_trainer.envs.agents.game import Expert
from affine_trainer.envs.babyai import LEVELS, BabyAIGames

GAMES = BabyAIGames()
KEY_IN_BOX = 26  # no text action opens a box, here or on the server


def play(index, rounds):
    """The game after the expert's play, and its moves."""
    game = GAMES.start(index)
    expert: Expert = GAMES.expert(game)
    observation, moves = game.observe(), []
    for _ in range(rounds):
        moves.append(expert.move(observation))
        outcome = game.act(moves[-1].action)
        observation = outcome.observation
        if outcome.done:
            break
    return game, moves


def test_the_expert_solves_nearly_all_levels():
    failed = [index + 1 for index in range(len(LEVELS)) if not play(index, 64)[0].success]
    assert KEY_IN_BOX in failed
    assert len(failed) <= 2


def test_the_expert_needs_few_actions_in_one_room():
    indices = GAMES.indices("train", 400, 1)
    one_room = [
        index for index in indices if index % 40 + 1 in (1, 2, 3, 4, 5, 9, 10, 11, 13, 14, 19, 20, 22, 30)
    ]
    lengths = [len(moves) for game, moves in (play(index, 10) for index in one_room) if game.success]
    assert len(lengths) >= 0.95 * len(one_room)
    assert sum(lengths) / len(lengths) <= 4


def test_equal_games_are_played_alike():
    for index in (5, 17, 38):
        assert play(index, 10)[1] == play(index, 10)[1]


def test_moves_are_short_and_say_why():
    for index in (6, 33, 36, 39):
        for move in play(index, 12)[1]:
            assert 0 < len(move.action.split()) <= 16
            assert move.thought[0].isupper()
            assert move.thought[-1] == "."
            assert "{" not in move.thought


@pytest.mark.parametrize("index", range(0, 40, 3))
def test_what_is_out_of_sight_does_not_change_the_first_move(index):
    plain, changed = GAMES.start(index), GAMES.start(index)
    seen = {position for position, _ in changed.view.positions()}
    grid = changed._board.grid
    for cell, thing in enumerate(grid.grid):
        position = (cell % grid.width, cell // grid.width)
        if thing is not None and thing.type in ("ball", "box", "key") and position not in seen:
            grid.grid[cell] = None
    assert GAMES.expert(plain).move("") == GAMES.expert(changed).move("")


def test_progress_rises_on_the_way_of_the_expert():
    rises = falls = 0
    for index in (0, 1, 4, 9, 18, 21, 24, 27, 28, 33):
        game = GAMES.start(index)
        expert = GAMES.expert(game)
        before = game.progress
        for _ in range(20):
            done = game.act(expert.move("").action).done
            rises, falls = rises + (game.progress > before), falls + (game.progress < before)
            before = game.progress
            if done:
                break
        assert game.success
    assert rises > 3 * falls
