"""The table of the interactive environments: what makes the games of each, and what its players are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from affine_trainer.config import AgentGymConfig
from affine_trainer.envs.agents.game import Games


class RulesText(NamedTuple):
    """What a player is told before the first observation, in full and in one line."""

    full: str
    short: str


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """One interactive environment. Both functions import its engine, which may be large."""

    games: Callable[[AgentGymConfig], Games]
    rules: Callable[[], RulesText]


def _babyai(config: AgentGymConfig) -> Games:
    from affine_trainer.envs.babyai import LEVELS, BabyAIGames

    levels = config.babyai_levels or tuple(LEVELS)
    return BabyAIGames(levels=levels, list_actions=config.rules == "full")


def _babyai_rules() -> RulesText:
    from affine_trainer.envs.babyai import RULES, RULES_SHORT

    return RulesText(RULES, RULES_SHORT)


@cache
def _simulator() -> Games:
    """One object a process, since it holds the processes of the simulator."""
    from affine_trainer.envs.sciworld import SciWorldGames

    return SciWorldGames()


def _sciworld(config: AgentGymConfig) -> Games:
    return _simulator()


def _sciworld_rules() -> RulesText:
    from affine_trainer.envs.sciworld.rules import RULES, RULES_SHORT

    return RulesText(RULES, RULES_SHORT)


def _textcraft(config: AgentGymConfig) -> Games:
    from affine_trainer.envs.textcraft import TextCraftGames

    recipes = config.textcraft_recipes
    folder = Path(recipes).expanduser() if recipes else None
    return TextCraftGames(recipes=folder, depths=config.textcraft_depths)


def _textcraft_rules() -> RulesText:
    from affine_trainer.envs.textcraft import RULES, RULES_SHORT

    return RulesText(RULES, RULES_SHORT)


def _alfworld(config: AgentGymConfig) -> Games:
    from affine_trainer.envs.alfworld import AlfWorldGames

    return AlfWorldGames()


def _alfworld_rules() -> RulesText:
    from affine_trainer.envs.alfworld import RULES, RULES_SHORT

    return RulesText(RULES, RULES_SHORT)


def _webshop(config: AgentGymConfig) -> Games:
    from affine_trainer.envs.webshop import WebShopGames

    if config.rules == "full":
        return WebShopGames(page_size=10)
    return WebShopGames(repeats_instruction=False)


def _webshop_rules() -> RulesText:
    from affine_trainer.envs.webshop import RULES, RULES_SHORT

    return RulesText(RULES, RULES_SHORT)


@cache
def served_games(name: str, base_url: str) -> Games:
    """The games of the AgentGym server at `base_url`, once a process; AffineError where none answers."""
    from affine_trainer.envs.agents.server import ServerGames

    games = ServerGames(name, base_url)
    games.check()
    return games


AGENTS: Mapping[str, AgentEntry] = {
    "babyai": AgentEntry(_babyai, _babyai_rules),
    "sciworld": AgentEntry(_sciworld, _sciworld_rules),
    "textcraft": AgentEntry(_textcraft, _textcraft_rules),
    "alfworld": AgentEntry(_alfworld, _alfworld_rules),
    "webshop": AgentEntry(_webshop, _webshop_rules),
}
