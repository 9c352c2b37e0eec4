"""One Java process for all tests of this folder, and the players they share."""

import random

import pytest

from affine_trainer.envs.sciworld import SciWorldGames


@pytest.fixture(scope="session")
def games(tmp_path_factory):
    made = SciWorldGames(cache=tmp_path_factory.mktemp("sciworld") / "paths.jsonl", num_jvms=1)
    yield made
    made.close()


@pytest.fixture
def start(games):
    """Starts games and closes them after the test."""
    started = []

    def begin(index):
        started.append(games.start(index))
        return started[-1]

    yield begin
    for game in started:
        game.close()


@pytest.fixture
def wander():
    """Plays random actions of a kind that changes things, without focusing; gives what came of them."""

    def play(game, num_actions, seed):
        rng = random.Random(seed)
        outcomes = []
        for _ in range(num_actions):
            actions = [
                action for action in game.actions() if action.startswith(("open", "go", "pick up", "move"))
            ]
            if not actions:
                break
            outcomes.append((action := rng.choice(actions), game.act(action)))
        return outcomes

    return play
