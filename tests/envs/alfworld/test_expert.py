"""The expert solves tasks by exploring, from observations alone."""

from collections import defaultdict
from dataclasses import replace

import pytest

from affine_trainer.envs.alfworld import NEWER, OLDER, OLDER_SERVED, AlfWorldGames
from affine_trainer.envs.alfworld.expert import AlfWorldExpert
from affine_trainer.envs.alfworld.game import AlfWorldGame
from affine_trainer.envs.alfworld.goals import TWO
from affine_trainer.envs.alfworld.scene import draw_scene
from affine_trainer.envs.alfworld.thoughts import THOUGHTS
from affine_trainer.errors import AffineError
from tests.envs.alfworld.playing import GAMES, expert_play


@pytest.fixture(scope="module")
def plays():
    return {index: expert_play(index) for index in GAMES.indices("evaluation", 900, 0)}


def test_the_expert_solves_nearly_all_within_thirty_rounds(plays):
    solved = defaultdict(list)
    for index, play in plays.items():
        solved[GAMES.info(index).kind].append(play.done)
    assert len(solved) == 6
    for kind, wins in solved.items():
        assert sum(wins) / len(wins) >= (0.8 if kind == TWO else 0.95), kind


def test_the_expert_solves_most_within_ten_rounds_but_not_all(plays):
    share = sum(play.done and len(play.moves) <= 10 for play in plays.values()) / len(plays)
    assert 0.6 <= share <= 0.97


def test_the_expert_often_has_to_look_in_more_than_one_place(plays):
    first_takes = [
        next(turn for turn, move in enumerate(play.moves) if move.action.startswith("take "))
        for play in plays.values()
    ]
    assert sum(turn >= 2 for turn in first_takes) / len(first_takes) >= 0.4


def test_every_move_of_the_expert_is_possible_and_never_a_step_back(plays):
    for play in plays.values():
        assert "Nothing happens." not in play.observations
        assert play.progress == sorted(play.progress)


def test_thoughts_and_actions_are_short(plays):
    moves = [move for play in plays.values() for move in play.moves]
    assert max(len(move.action.split()) for move in moves) <= 8
    assert max(len(move.thought.split()) for move in moves) <= 16
    assert not any("{" in move.thought for move in moves)


def test_thoughts_are_worded_in_several_ways():
    assert all(len(wordings) >= 3 for about, wordings in THOUGHTS.items() if about != "lost")


def test_the_expert_moves_alike_until_it_has_seen_a_difference():
    turns = []
    for index in GAMES.indices("train", 100, 0):
        scene = draw_scene(index, GAMES.family)
        elsewhere = replace(scene, where=tuple(reversed(scene.where)))
        games = [AlfWorldGame(each, NEWER, False) for each in (scene, elsewhere)]
        experts = [GAMES.expert(game) for game in games]
        seen = [game.observe() for game in games]
        while seen[0] == seen[1] and not games[0].success:
            moves = [expert.move(observation) for expert, observation in zip(experts, seen, strict=True)]
            assert moves[0] == moves[1]
            seen = [game.act(move.action).observation for game, move in zip(games, moves, strict=True)]
            turns.append(moves[0])
    assert len(turns) >= 100


@pytest.mark.parametrize("wording", [OLDER, OLDER_SERVED])
def test_the_expert_plays_the_other_wordings_too(wording):
    games = AlfWorldGames(wording, list_actions=True)
    plays = [expert_play(index, games) for index in GAMES.indices("train", 100, 1)]
    assert sum(play.done for play in plays) >= 95
    assert any(move.action.startswith("put ") for play in plays for move in play.moves)


def test_a_place_that_cannot_be_reached_is_given_up():
    expert = AlfWorldExpert("move {thing} to {place}")
    intro = "You are in the middle of a room. Looking quickly around you, you see a desk 1, and a shelf 1.\n"
    first = expert.move(intro + "Your task is to: put a pen in drawer.").action
    second = expert.move("Nothing happens.").action
    assert {first, second} == {"go to desk 1", "go to shelf 1"}


def test_a_first_observation_of_another_shape_is_refused():
    with pytest.raises(AffineError, match="cannot read"):
        AlfWorldExpert("move {thing} to {place}").move("Welcome to the shop.")
