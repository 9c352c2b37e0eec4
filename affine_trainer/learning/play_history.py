"""How many episodes a run has played, and what the newest hundred of them earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from statistics import fmean
from typing import Any

from affine_trainer.records import Episode

NUM_RECENT = 100


def sample_of(groups: Mapping[str, Sequence[Episode]], count: int) -> dict[str, Any]:
    """Every episode's reward and length, and `count` episodes in full, of each environment in turn."""
    played = [episode for group in groups.values() for episode in group]
    graded = [episode.grade.reward for episode in played if episode.grade is not None]
    in_turn = [e for row in zip_longest(*map(_spread, groups.values())) for e in row if e is not None]
    return {
        "rl/episode_rewards": graded,
        "rl/episode_lengths": [episode.num_completion_tokens for episode in played],
        "rl/samples": [_row(episode) for episode in in_turn[:count]],
    }


def _spread(group: Sequence[Episode]) -> list[Episode]:
    """First the first episode of each task, then the second ones: neighbours are plays of one task."""
    met: dict[str, int] = {}
    rounds = []
    for episode in group:
        met[episode.task_key] = met.get(episode.task_key, 0) + 1
        rounds.append(met[episode.task_key])
    return [episode for _, episode in sorted(zip(rounds, group, strict=True), key=lambda pair: pair[0])]


def _row(episode: Episode) -> dict[str, Any]:
    grade = episode.grade
    return {
        "task": episode.task_key,
        "reply": "\n\n".join(turn.reply for turn in episode.turns),
        "reward": None if grade is None else grade.reward,
        "success": None if grade is None else grade.success,
        "why": episode.error if grade is None else grade.why,
        "return": sum(turn.reward for turn in episode.turns),
        "turns": len(episode.turns),
        "tokens": episode.num_completion_tokens,
    }


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
