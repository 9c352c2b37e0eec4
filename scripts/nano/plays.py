"""Plays of the interactive environments for pretraining: their forms, and little of how to win.

Most are a few actions at random. Easy tasks of some environments are played by their expert.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from affine_trainer.config import AgentGymConfig, Config
from affine_trainer.envs.agents.game import Game, Games
from affine_trainer.envs.agents.spec import ACKNOWLEDGEMENT, SPECS
from affine_trainer.envs.agents.table import AGENTS
from affine_trainer.envs.prompts import agent_rules
from affine_trainer.envs.splits import SPLIT_RANGES
from affine_trainer.records import Message

NAMES = tuple(SPECS)
MOST_ACTIONS = 4  # of a play at random
MOST_MOVES = 10  # of an expert's
# The kinds of tasks, or for babyai the levels, that an expert plays. Solving sciworld takes too long.
EASY = {
    "textcraft": frozenset({"depth 1"}),
    "alfworld": frozenset({"pick_and_place_simple"}),
    "webshop": frozenset({"results"}),
    "babyai": frozenset(range(1, 6)),
}
NUM_LEVELS = 40


@cache
def games_of(name: str) -> Games:
    """The games of an environment as the embedded default poses them, with no task left out."""
    return AGENTS[name].games(AgentGymConfig(babyai_levels=(), textcraft_depths=()))


@cache
def pretrain_indices(name: str) -> tuple[int, ...]:
    """The tasks of a finite environment that belong to pretraining; empty where there are endlessly many."""
    return tuple(games_of(name).indices("pretrain", 500, 0)) if name == "sciworld" else ()


def played(name: str, rng: random.Random) -> list[Message]:
    """The messages of one play of a task of the pretraining split."""
    index = rng.choice(pretrain_indices(name) or SPLIT_RANGES["pretrain"])
    games = games_of(name)
    game = games.start(index)
    opening = [Message("user", agent_rules(name, Config()).text), Message("assistant", ACKNOWLEDGEMENT)]
    kind = index % NUM_LEVELS + 1 if name == "babyai" else games.info(index).kind
    try:
        turns = experts_play(games, game) if kind in EASY.get(name, ()) else random_play(game, rng)
    finally:
        game.close()
    return [*opening, *turns]


def random_play(game: Game, rng: random.Random) -> list[Message]:
    """The first observation and a few actions, each of them understood by the game."""
    return turns_of(game, rng.randint(1, MOST_ACTIONS), lambda _: rng.choice(game.actions()))


def experts_play(games: Games, game: Game) -> list[Message]:
    """The whole play of an expert."""
    expert = games.expert(game)
    return turns_of(game, MOST_MOVES, lambda observation: expert.move(observation).action)


def turns_of(game: Game, most: int, choose: Callable[[str], str]) -> list[Message]:
    """Observations and actions in turn, ending with an action: the last one, or that which ended the play."""
    turns = [Message("user", game.observe())]
    for _ in range(most):
        action = choose(turns[-1].content)
        outcome = game.act(action)
        turns += [Message("assistant", f"Action: {action}"), Message("user", outcome.observation)]
        if outcome.done:
            break
    return turns[:-1]
