"""Plays of household tasks for the tests."""

from __future__ import annotations

import random
from typing import NamedTuple

from affine_trainer.envs.alfworld import AlfWorldGames

GAMES = AlfWorldGames()


class Play(NamedTuple):
    """What was written, what was answered, and how near the goal was after each."""

    moves: list
    observations: list
    progress: list
    done: bool


def expert_play(index, games=GAMES, limit=30):
    game = games.start(index)
    expert = games.expert(game)
    play = Play([], [game.observe()], [game.progress], False)
    while not play.done and len(play.moves) < limit:
        play.moves.append(expert.move(play.observations[-1]))
        outcome = game.act(play.moves[-1].action)
        play.observations.append(outcome.observation)
        play.progress.append(game.progress)
        play = play._replace(done=outcome.done)
    return play


def random_play(index, limit):
    """The game after `limit` random actions."""
    game, rng = GAMES.start(index), random.Random(index)
    for _ in range(limit):
        if game.act(rng.choice(game.actions())).done:
            break
    return game
