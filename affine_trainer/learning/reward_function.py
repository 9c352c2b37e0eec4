"""Your own reward: a Python function by path that pays the episodes of training, and its checks.

The function runs in this process with all its rights; it is the user's own trusted code.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from affine_trainer.errors import ConfigError, StageError
from affine_trainer.own_code import in_words, load_callable, split_reference
from affine_trainer.records import Episode, Task

KEY = "rl_training.reward_function"
ARGUMENTS = ("task", "turns", "grade", "default")


def reward_file(value: str) -> Path:
    """The file of `path/to/file.py:function`; ConfigError where it is not one, or is not there."""
    return split_reference(KEY, value)[0]


@dataclass(frozen=True, slots=True)
class RewardFunction:
    """Calls `function(task=..., turns=..., grade=..., default=...)` for each episode that has a grade.

    `task` is the Task, `turns` a tuple of Turn (observation, reply, reward, num_tokens, info), `grade` the
    environment's Grade (reward, success, why) and `default` the return that would be paid, shaping included.
    It returns a float, which the last turn is paid and the others nothing, or a float for each turn.
    """

    name: str
    function: Callable[..., Any]

    @classmethod
    def load(cls, value: str) -> RewardFunction:
        """The function that the key names; ConfigError says what is wrong with it."""
        function, name = load_callable(KEY, value), value.rpartition(":")[2]
        try:
            inspect.signature(function).bind(**dict.fromkeys(ARGUMENTS))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{KEY}: {name} should take the arguments {', '.join(ARGUMENTS)} by these names: {error}"
            ) from error
        return cls(value, function)

    def check(self, task: Task, episode: Episode) -> None:
        """Try it on a sample episode; ConfigError where it fails."""
        try:
            self.pay(task, episode)
        except StageError as error:
            raise ConfigError(f"{error} (tried on a sample episode before the run)") from error

    def pay(self, task: Task, episode: Episode) -> Episode:
        """The episode with the function's rewards in its turns; grade and success stay the environment's.

        One without a grade or a turn stays as it is. StageError where the function fails.
        """
        if episode.grade is None or not episode.turns:
            return episode
        default = sum(turn.reward for turn in episode.turns)
        try:
            found = self.function(
                task=task,
                turns=tuple(replace(turn, info=dict(turn.info)) for turn in episode.turns),
                grade=episode.grade,
                default=default,
            )
        except Exception as error:
            raise StageError(f"{KEY} {self.name} failed on {task.key}: {in_words(error)}") from error
        rewards = self._rewards(found, task, len(episode.turns))
        turns = [replace(turn, reward=paid) for turn, paid in zip(episode.turns, rewards, strict=True)]
        return replace(episode, turns=turns)

    def _rewards(self, found: Any, task: Task, num_turns: int) -> list[float]:
        per_turn = isinstance(found, Sequence) and not isinstance(found, str)
        values = list(found) if per_turn else [*[0.0] * (num_turns - 1), found]
        if len(values) != num_turns:
            raise StageError(
                f"{KEY} {self.name} gave {len(values)} rewards for the {num_turns} turns of {task.key}"
            )
        for value in values:
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise StageError(
                    f"{KEY} {self.name} returned {found!r} for {task.key}; expected a finite float for the "
                    "episode, or one for each turn"
                )
        return [float(value) for value in values]
