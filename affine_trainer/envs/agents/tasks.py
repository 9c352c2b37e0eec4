"""The tasks of an interactive environment as the stages draw and start them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affine_trainer.envs.agents.environment import AgentEnvironment, RewardShaping
from affine_trainer.envs.agents.game import Games
from affine_trainer.envs.agents.spec import ACKNOWLEDGEMENT, AgentSpec
from affine_trainer.records import Message, Split, Task, sha256_of


@dataclass(frozen=True, slots=True)
class Play:
    """How episodes are played: round limit, and what training is paid beside the score."""

    max_rounds: int
    max_reply_tokens: int
    shaping: RewardShaping
    gamma: float


class AgentTasks:
    """All tasks of one interactive environment and family, posed with the given rules."""

    def __init__(self, games: Games, spec: AgentSpec, rules: str, play: Play) -> None:
        self.env, self.family = games.env, games.family
        self.games = games
        self.spec = spec
        self.play = play
        self.max_turns, self.max_reply_tokens = play.max_rounds, play.max_reply_tokens
        self.max_open = games.max_open
        self._opening = (Message("user", rules), Message("assistant", ACKNOWLEDGEMENT))

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return self.games.indices(split, count, seed)

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        return [self._task(index) for index in indices]

    def start(self, task: Task) -> AgentEnvironment:
        game = self.games.start(task.index)
        play = self.play
        return AgentEnvironment(
            task,
            game,
            self.spec,
            expert=lambda: self.games.expert(game),
            shaping=play.shaping,
            gamma=play.gamma,
            max_rounds=play.max_rounds,
        )

    def expert_reply(self, task: Task) -> None:
        """None: an expert plays these in turns (players.py)."""

    def _task(self, index: int) -> Task:
        info = self.games.info(index)
        content = sha256_of({"env": self.env, "content": info.content})
        return Task(self.env, self.family, index, self._opening, info.difficulty, content)
