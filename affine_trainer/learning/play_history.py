"""How many episodes a run has played, and what the newest hundred of them earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from affine_trainer.records import Episode

NUM_RECENT = 100


@dataclass(slots=True)
class PlayHistory:
    """`recent` holds the rewards of the newest graded episodes, the oldest first."""

    num_episodes: int = 0
    recent: list[float] = field(default_factory=list)

    def add(self, groups: Mapping[str, Sequence[Episode]]) -> None:
        """Take in an iteration's episodes by environment, interleaved: the newest are then of all kinds."""
        placed = [((n + 0.5) / len(group), e) for group in groups.values() for n, e in enumerate(group)]
        played = [episode for _, episode in sorted(placed, key=lambda pair: pair[0])]
        self.num_episodes += len(played)
        rewards = [episode.grade.reward for episode in played if episode.grade is not None]
        self.recent = [*self.recent, *rewards][-NUM_RECENT:]

    def metrics(self) -> dict[str, float]:
        average = {"rl/avg_reward_100": fmean(self.recent)} if self.recent else {}
        return {"rl/episode": float(self.num_episodes)} | average

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.num_episodes, self.recent = state["num_episodes"], list(state["recent"])
