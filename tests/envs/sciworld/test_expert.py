"""The expert reaches full score by a path that a player could have found, and its file outlives kills."""

import pytest

from affine_trainer.envs.sciworld.gold import GoldPaths
from affine_trainer.envs.sciworld.tidy import room_in, route, tidied
from tests.envs.sciworld.test_game import index_of

KITCHEN = "Your task is to find an animal.\nThis room is called the kitchen. In it, you see: \n\tthe agent"


def play_expert(games, game):
    expert = games.expert(game)
    observation, moves, outcomes = game.observe(), [], []
    while not outcomes or not outcomes[-1].done:
        moves.append(expert.move(observation))
        outcomes.append(game.act(moves[-1].action))
        observation = outcomes[-1].observation
        assert len(moves) <= 100
    return moves, outcomes


@pytest.mark.parametrize("name", ["find-non-living-thing", "lifespan-shortest-lived", "power-component"])
def test_the_expert_reaches_100(games, start, name):
    game = start(index_of(name, 3))
    moves, outcomes = play_expert(games, game)
    assert (outcomes[-1].score, game.success, game.progress) == (100, True, 1.0)
    scores = [outcome.score for outcome in outcomes]
    assert scores == sorted(scores)
    assert all(len(move.action.split()) <= 16 and len(move.thought) <= 120 for move in moves)
    assert not any(outcome.observation.startswith(("No known", "The door is al")) for outcome in outcomes)


def test_a_solution_is_the_same_whatever_was_solved_before(games):
    index = index_of("lifespan-longest-lived", 2)
    first = games._solve(index)
    games._solve(index_of("power-component", 9))
    assert games._solve(index) == first


def test_solutions_are_read_from_the_file_even_when_its_last_line_is_torn(games, tmp_path):
    cache = tmp_path / "new" / "paths.jsonl"
    index = index_of("find-non-living-thing", 3)
    asked = []

    def solve(index):
        asked.append(index)
        return games._solve(index)

    path = GoldPaths(solve, games.start, cache).path(index)
    with cache.open("a") as file:
        file.write('{"index": 12, "act')
    assert GoldPaths(solve, games.start, cache).path(index) == path
    assert asked == [index]
    GoldPaths(lambda index: ["wait1"], games.start, cache).path(index + 1)
    assert GoldPaths(solve, games.start, cache).path(index) == path


def test_walks_become_the_shortest_ones():
    wandering = ["open door to bathroom", "go to bathroom", "go to kitchen", "open door to outside"]
    wandering += ["go to outside", "go to greenhouse", "go to hallway", "look around"]
    assert tidied(wandering, KITCHEN) == ["open door to hallway", "go to hallway", "look around"]


def test_what_was_not_seen_is_looked_for_before_it_is_taken():
    assert tidied(["go to outside", "focus on dove"], KITCHEN)[-2:] == ["look around", "focus on dove"]
    assert "look around" not in tidied(["go to outside", "focus on animal"], KITCHEN)
    assert "look around" not in tidied(["focus on dove"], KITCHEN)


def test_every_room_leads_to_every_other():
    assert route("foundry", "bathroom") == ["outside", "kitchen", "bathroom"]
    assert route("art studio", "art studio") == []
    assert room_in(KITCHEN) == "kitchen"
    assert room_in("This outside location is called the outside. Here you see: ") == "outside"
