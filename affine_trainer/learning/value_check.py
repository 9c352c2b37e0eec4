"""How right values are: what states of a batch are worth by many fresh continuations, and what values say.

The truth of a value is the mean of the return that it predicts. A critic learns what is paid from its token
on, discounted by `gamma` at the ends of turns or at every token (`gae_level`); Monte-Carlo values are
discounted by turns. Truths are discounted in the same way, from the state on, and of returns as training pays
them, shaping and the user's reward function included. They end where a play is cut off, as the returns of
VinePPO and of `baseline` do. A critic that learns the returns of GAE takes its own value behind a cut for
what comes then. That belief is no truth and is not in the measure, so such a critic may lie off it where
plays are cut off.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, variance
from typing import Literal, TypeAlias

from torch import Tensor

from affine_trainer.learning.experience import CUT_OFF
from affine_trainer.learning.vine import branches, discounted, state_key
from affine_trainer.records import Episode, State, TaskSet
from affine_trainer.rollout import StateGroup
from affine_trainer.stats import Calibration, calibration

Level: TypeAlias = Literal["turn", "token"]
FEWEST = 2  # graded continuations of a state, for their variance


@dataclass(frozen=True, slots=True)
class DrawnState:
    """A state of an episode of a batch: the episode's row, and where the first token sampled there is."""

    row: int
    position: int
    state: State


@dataclass(frozen=True, slots=True)
class Truth:
    """The mean return of `number` fresh continuations of a state, and the variance of that mean."""

    mean: float
    noise: float
    number: int


def draw_states(
    episodes: Sequence[Episode],
    task_set: Callable[[str], TaskSet],
    text_of: Callable[[Sequence[int]], str],
    *,
    most: int,
    count: int,
    seed: int,
) -> list[DrawnState]:
    """`count` of the states that VinePPO would value, or all there are; equal ones count once.

    The starts of turns, or, where one reply settles a task, the steps of that reply; `most` of an episode.
    `task_set` gives the set of a task's key, `text_of` decodes token ids. Those of an environment and family
    come behind each other.
    """
    found: dict[Hashable, DrawnState] = {}
    for row, episode in enumerate(episodes):
        single = task_set(episode.task_key).max_turns == 1
        for position, state in branches(episode, text_of, inside_replies=single, most=most).items():
            found.setdefault(state_key(state), DrawnState(row, position, state))
    drawn = list(found.values())
    return sorted(random.Random(seed).sample(drawn, min(count, len(drawn))), key=_place)


def _place(drawn: DrawnState) -> tuple[tuple[str, str], int, int]:
    return _name(drawn), drawn.row, drawn.position


def _name(drawn: DrawnState) -> tuple[str, str]:
    return drawn.state.task.env, drawn.state.task.family


def state_groups(drawn: Sequence[DrawnState], task_set: Callable[[str], TaskSet]) -> list[StateGroup]:
    """The states as `draw_states` ordered them, a group an environment and family."""
    groups = [list(members) for _, members in groupby(drawn, _name)]
    return [
        StateGroup(task_set(members[0].state.task.key), [each.state for each in members])
        for members in groups
    ]


def earned(state: State, episode: Episode, *, gamma: float, level: Level) -> float:
    """The return of a continuation, discounted from the state on as `gae_level` says.

    At level "token" what is paid at the k-th token sampled behind the state, from 0, counts `gamma ** k`.
    """
    if level == "turn":
        return discounted(episode, gamma)
    total, sampled = 0.0, -state.begun
    for turn in episode.turns:
        sampled += turn.num_tokens
        total += gamma ** (sampled - 1) * turn.reward
    return total


def truth(state: State, plays: Sequence[Episode], *, gamma: float, level: Level) -> Truth | None:
    """What the state is worth by these continuations; None where fewer than two of them were graded."""
    returns = [earned(state, play, gamma=gamma, level=level) for play in plays if play.grade is not None]
    if len(returns) < FEWEST:
        return None
    return Truth(fmean(returns), variance(returns) / len(returns), len(returns))


def share_cut_off(plays: Sequence[Sequence[Episode]]) -> float:
    """Of all continuations that were graded; NaN without any."""
    graded = [play for of_state in plays for play in of_state if play.grade is not None]
    return fmean(play.stop_reason in CUT_OFF for play in graded) if graded else float("nan")


def read_off(values: Tensor, drawn: Sequence[DrawnState]) -> list[float]:
    """The critic's `values` (B, T + 1) of the states: at the column that predicts the first token sampled."""
    return [float(values[each.row, each.position - 1]) for each in drawn]


def compare(
    drawn: Sequence[DrawnState],
    values: Sequence[float | None],
    truths: Sequence[Truth | None],
    *,
    level: float,
) -> Calibration | None:
    """The values' calibration over the states that have value and truth; None where none has."""
    known = [
        (each.state.task.key, value, found)
        for each, value, found in zip(drawn, values, truths, strict=True)
        if value is not None and found is not None
    ]
    if not known:
        return None
    return calibration(
        [value for _, value, _ in known],
        [found.mean for _, _, found in known],
        [found.noise for _, _, found in known],
        tasks=[key for key, _, _ in known],
        level=level,
    )
