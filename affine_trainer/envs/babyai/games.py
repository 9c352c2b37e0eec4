"""All BabyAI tasks: which index is which level and seed, and what each asks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from affine_trainer.envs.agents.game import Expert, Game, GameInfo
from affine_trainer.envs.babyai.expert import BabyAIExpert
from affine_trainer.envs.babyai.game import BabyAIGame
from affine_trainer.envs.babyai.levels import LEVELS, build, level_of
from affine_trainer.envs.babyai.state import Pieces
from affine_trainer.envs.splits import shuffled_indices, split_of
from affine_trainer.errors import AffineError
from affine_trainer.records import UNLIMITED, Split


class BabyAIGames:
    """Tasks of the given level numbers; an index means the same task whatever the other levels are.

    `list_actions` ends each observation with the line of available actions, as the server does.
    """

    env = "agentgym:babyai"
    family = "embedded"
    max_open = UNLIMITED

    def __init__(self, levels: Sequence[int] = tuple(LEVELS), list_actions: bool = True) -> None:
        unknown = sorted(set(levels) - set(LEVELS))
        if unknown or not levels:
            raise AffineError(f"BabyAI levels are numbered 1..{len(LEVELS)}; got {unknown or 'none'}")
        self.levels = frozenset(levels)
        self._list_actions = list_actions

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        every = shuffled_indices(self.env, self.family, split, seed)
        drawn = list(islice((index for index in every if level_of(index) in self.levels), count))
        if len(drawn) < count:
            raise AffineError(f"{self.env} has {len(drawn)} {split} tasks of these levels; asked for {count}")
        return drawn

    def info(self, index: int) -> GameInfo:
        """The content is the goal and the board; difficulty grows with rooms times errands."""
        board = self._build(index)
        errands = board.num_rows * board.num_cols * board.num_navs_needed(board.instrs)
        content = {"mission": board.mission, "board": _layout(board)}
        return GameInfo(content, LEVELS[level_of(index)].name, 1.0 - 1.0 / (1 + errands))

    def start(self, index: int) -> BabyAIGame:
        return BabyAIGame(self._build(index), self._list_actions)

    def expert(self, game: Game) -> Expert:
        if not isinstance(game, BabyAIGame):
            raise TypeError(f"the BabyAI expert plays BabyAI, not {type(game).__name__}")
        return BabyAIExpert(game)

    def _build(self, index: int) -> Any:
        split_of(index)  # refuses an index that no split owns
        if level_of(index) not in self.levels:
            raise AffineError(
                f"task {index} is of BabyAI level {level_of(index)}, which is not among `levels`"
            )
        return build(index)


def _layout(board: Any) -> dict[str, Any]:
    """Where everything lies on a fresh board."""
    state = Pieces(board).save()
    return {
        "agent": state["agent"],
        "carrying": state["carrying"],
        "cells": board.grid.encode().tolist(),
    }
