"""One play of an interactive environment: reads actions out of replies, pays rewards, grades the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

from affine_trainer.envs.agents.game import Expert, Game
from affine_trainer.envs.agents.replies import parse_action
from affine_trainer.envs.agents.spec import AgentSpec
from affine_trainer.records import Grade, SnapshotKind, Step, Task

RewardShaping = Literal["guide", "potential", "none"]


class AgentEnvironment:
    """A game as the rollout plays it.

    Without shaping the rewards of an episode sum to what it earned (0 to 1). `potential` adds
    g Phi(s') - Phi(s) with Phi = the game's progress, and Phi = 0 where the game has ended, which leaves the
    best policy as it is (Ng, Harada and Russell 1999). `guide` adds the training guide's amount for each
    understood step: a way to earn without finishing, kept for comparison. `info["shaped"]` tells the shaping
    apart.

    `expert` makes a player of this game. The round that reaches `max_rounds` cuts the play off; its score so
    far stands.
    """

    def __init__(
        self,
        task: Task,
        game: Game,
        spec: AgentSpec,
        *,
        expert: Callable[[], Expert],
        shaping: RewardShaping,
        gamma: float,
        max_rounds: int,
    ) -> None:
        self.task = task
        self.game = game
        self._make_expert = expert
        self._expert: Expert | None = None
        self.spec = spec
        self.snapshot_kind: SnapshotKind = game.snapshot_kind
        self._shaping: RewardShaping = shaping
        self._gamma = gamma
        self._max_rounds = max_rounds
        self._rounds = 0
        self._listed: list[str] = []
        self._score = 0.0
        self._ended = False

    @property
    def expert(self) -> Expert:
        """A scripted player of this game, who is to see every observation of it."""
        if self._expert is None:
            self._expert = self._make_expert()
        return self._expert

    def observe(self) -> str:
        return self.game.observe()

    def possible_actions(self) -> list[str]:
        """Actions that the game understands, as it last listed them (every `look_every` rounds)."""
        if self._rounds % self.spec.look_every == 0 or not self._listed:
            self._listed = self.game.actions()
        return self._listed

    def step(self, reply: str) -> Step:
        """Play the reply's action; a reply without one costs a round, and the observation says so."""
        parsed = parse_action(reply, self.spec.form)
        self._rounds += 1
        earned, before = self.spec.earned(self._score), self.game.progress
        if parsed.fault:
            observation, understood = parsed.fault, False
        else:
            outcome = self.game.act(parsed.action)
            observation, understood = outcome.observation, True
            self._score, self._ended = outcome.score, outcome.done
        cut_off = not self._ended and self._rounds >= self._max_rounds
        shaped = self._shaped(parsed.action if understood else None, before, over=self._ended)
        info = {"action": parsed.action, "score": self._score, "shaped": shaped}
        reward = self.spec.earned(self._score) - earned + shaped
        return Step(observation, reward, terminated=self._ended, truncated=cut_off, info=info)

    def _shaped(self, action: str | None, before: float, *, over: bool) -> float:
        if self._shaping == "potential":
            return (0.0 if over else self._gamma * self.game.progress) - before
        if self._shaping == "guide" and action is not None:
            rewards = self.spec.guide_rewards
            verb = action.partition(" ")[0].partition("[")[0]
            return rewards.get(verb, rewards.get("", 0.0))
        return 0.0

    def grade(self) -> Grade:
        """The environment's last score on the scale of 0 to 1, as the validators take it."""
        score = self.spec.score(self._score)
        end = "it ended" if self._ended else f"it did not end in {self._rounds} rounds"
        return Grade(score, self.game.success, f"raw score {self._score:g}; {end}")

    def snapshot(self) -> bytes:
        about = json.dumps([self._rounds, self._score, self._ended]).encode()
        return about + b"\n" + self.game.snapshot()

    def restore(self, state: bytes) -> None:
        about, _, game = state.partition(b"\n")
        self._rounds, self._score, self._ended = json.loads(about)
        self.game.restore(game)

    def close(self) -> None:
        self.game.close()
