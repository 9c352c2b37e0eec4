"""Monte-Carlo values of the states inside episodes (VinePPO, Kazemnejad 2024), and their advantages."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import torch
from torch import Tensor

from affine_trainer.records import Episode, State, TaskSet, seed_from
from affine_trainer.rollout import StateGroup
from affine_trainer.stats import StoppingPlan, unbiased_mean

# Where a step of a reply ends: behind a line or a sentence; in a reply of one sentence, behind a comma.
LINE_OR_SENTENCE = re.compile(r"\s*\n\s*|(?<=[.!?])\s+")
COMMA = re.compile(r",\s+")
# Generations beyond a plan's looks, for continuations that could not be graded; then a state is given up.
FURTHER_WAVES = 4

# Plays on from every state of the groups `n` times, by the seed given third.
Continue = Callable[[Sequence[StateGroup], int, int], list[list[list[Episode]]]]


def branches(
    episode: Episode, text_of: Callable[[Sequence[int]], str], *, inside_replies: bool, most: int
) -> dict[int, State]:
    """At most `most` states of a played episode, by the position of the first token that was sampled there.

    The starts of its turns; with `inside_replies` also the steps of each reply, found in its text. Of more
    than `most`, neighbours are merged evenly, so that each step is a stretch of about as many; the first
    state always stays. `text_of` decodes token ids. An episode without a grade has none.
    """
    talk = episode.conversation
    if episode.grade is None or talk is None:
        return {}
    mask = talk.action_mask
    firsts = [at for at, chosen in enumerate(mask) if chosen and (at == 0 or not mask[at - 1])]
    found: dict[int, State] = {}
    for first, turn, state in zip(firsts, episode.turns, episode.states, strict=False):
        found[first] = state
        if inside_replies:
            for count in step_ends(talk.token_ids[first : first + turn.num_tokens], text_of):
                at = first + count
                found[at] = replace(
                    state,
                    token_ids=tuple(talk.token_ids[:at]),
                    action_mask=tuple(mask[:at]),
                    logprobs=tuple(talk.logprobs[:at]),
                    begun=count,
                )
    return {at: found[at] for at in merged(sorted(found), most)}


def step_ends(reply: Sequence[int], text_of: Callable[[Sequence[int]], str]) -> list[int]:
    """After how many tokens of a reply its steps end, the last step left out; ascending, each above 0.

    A boundary of the text that lies inside a token moves behind it.
    """
    text = text_of(reply)
    ends = [match.end() for match in LINE_OR_SENTENCE.finditer(text)]
    ends = ends or [match.end() for match in COMMA.finditer(text)]
    counts = {_tokens_up_to(end, reply, text_of) for end in ends if text[end:].strip()}
    return sorted(count for count in counts if 0 < count < len(reply))


def _tokens_up_to(end: int, reply: Sequence[int], text_of: Callable[[Sequence[int]], str]) -> int:
    """The fewest tokens whose text has at least `end` characters, by bisection."""
    low, high = 0, len(reply)
    while low < high:
        middle = (low + high) // 2
        if len(text_of(reply[:middle])) < end:
            low = middle + 1
        else:
            high = middle
    return low


def merged(places: Sequence[int], most: int) -> list[int]:
    """All of `places`, or `most` of them at even distances from the first on."""
    if len(places) <= most:
        return list(places)
    return [places[number * len(places) // most] for number in range(most)]


@dataclass(slots=True)
class _Sample:
    """The continuations of one state so far, in the order of play, and its value once that is known."""

    state: State
    successes: list[bool] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    look: int = 0
    value: float | None = None
    used: int = 0

    def add(self, episodes: Sequence[Episode], gamma: float) -> None:
        for episode in episodes:
            if episode.grade is not None:
                self.successes.append(episode.grade.success)
                self.returns.append(discounted(episode, gamma))

    def decide(self, plan: StoppingPlan, unbiased: bool) -> None:
        """Look as often as there are outcomes for; set the value where the plan stops."""
        while self.value is None and len(self.returns) >= plan.looks[self.look]:
            trials = plan.looks[self.look]
            successes, returns = self.successes[:trials], self.returns[:trials]
            if plan.stops(sum(successes), trials):
                self.used = trials
                self.value = unbiased_mean(plan, successes, returns) if unbiased else fmean(returns)
            else:
                self.look += 1


@dataclass(frozen=True, slots=True)
class Values:
    """What the states of a batch are worth: a value a state, None where too few plays could be graded.

    `num_tokens` were sampled for it in `num_played` plays, and `num_tokens_read` not sampled in them: a
    reading that plays share counts for each. `used` is the number of plays behind each value.
    """

    values: list[list[float | None]]
    used: list[int]
    num_played: int
    num_tokens: int
    num_tokens_read: int


def monte_carlo_values(
    groups: Sequence[StateGroup],
    continue_from: Continue,
    plan: StoppingPlan,
    *,
    unbiased: bool,
    gamma: float,
    seed: int,
) -> Values:
    """The mean discounted return of fresh continuations of every state, as many as `plan` asks for.

    All states that are not decided yet play on together, a generation a look. Equal states, such as the
    beginning of several episodes of a task, share their continuations. A continuation that could not be
    graded counts for nothing, and another is played in its place, FURTHER_WAVES times at most.
    """
    samples: list[dict[Hashable, _Sample]] = [
        {state_key(state): _Sample(state) for state in group.states} for group in groups
    ]
    num_played = num_tokens = num_read = 0
    for wave in range(len(plan.looks) + FURTHER_WAVES):
        open_samples = [[s for s in found.values() if s.value is None] for found in samples]
        waiting = [s for group in open_samples for s in group]
        if not waiting:
            break
        n = max(plan.looks[s.look] - len(s.returns) for s in waiting)
        going_on = [
            StateGroup(group.task_set, [s.state for s in group_samples])
            for group, group_samples in zip(groups, open_samples, strict=True)
        ]
        played = continue_from(going_on, n, seed_from(seed, "values", wave))
        for sample, episodes in zip(waiting, (e for group in played for e in group), strict=True):
            sample.add(episodes, gamma)
            sample.decide(plan, unbiased)
            num_played += len(episodes)
            num_tokens += sum(e.num_completion_tokens - sample.state.begun for e in episodes if e.turns)
            num_read += sum(e.num_prompt_tokens + sum(sample.state.action_mask) for e in episodes)
    return Values(
        values=[
            [found[state_key(state)].value for state in group.states]
            for group, found in zip(groups, samples, strict=True)
        ],
        used=[s.used for found in samples for s in found.values() if s.value is not None],
        num_played=num_played,
        num_tokens=num_tokens,
        num_tokens_read=num_read,
    )


def state_key(state: State) -> Hashable:
    """Equal for states that nothing tells apart, such as the beginning of several episodes of a task."""
    return state.task.key, state.token_ids, state.messages, state.begun, state.snapshot, state.num_turns


def discounted(episode: Episode, gamma: float) -> float:
    """The return of an episode, discounted by turns."""
    return sum(gamma**number * turn.reward for number, turn in enumerate(episode.turns))


def value_episodes(
    groups: Sequence[tuple[TaskSet, Sequence[Episode]]],
    text_of: Callable[[Sequence[int]], str],
    estimate: Callable[[Sequence[StateGroup]], Values],
    *,
    most: int,
) -> tuple[list[list[Episode]], dict[str, float]]:
    """The same episodes with `state_values`, and what valuing them took.

    Tasks of a single turn are valued inside their replies, others at the start of each turn; `most` states an
    episode. Where a state could not be valued its step joins the one before it; without its first state an
    episode has no value at all, and teaches nothing.
    """
    found = [
        [branches(e, text_of, inside_replies=task_set.max_turns == 1, most=most) for e in episodes]
        for task_set, episodes in groups
    ]
    states = [
        StateGroup(task_set, [state for branch in of_group for state in branch.values()])
        for (task_set, _), of_group in zip(groups, found, strict=True)
    ]
    estimated = estimate(states)
    valued = [
        _with_values(episodes, of_group, values)
        for (_, episodes), of_group, values in zip(groups, found, estimated.values, strict=True)
    ]
    known = [value for group in estimated.values for value in group if value is not None]
    metrics = {
        "vine_states": float(sum(len(group) for group in estimated.values)),
        "vine_rollouts": float(estimated.num_played),
        "vine_tokens": float(estimated.num_tokens),
        "vine_tokens_read": float(estimated.num_tokens_read),
        "vine_value_mean": fmean(known) if known else float("nan"),
        "vine_rollouts_a_state": fmean(estimated.used) if estimated.used else float("nan"),
        "vine_unvalued": float(sum(value is None for group in estimated.values for value in group)),
    }
    return valued, metrics


def _with_values(
    episodes: Sequence[Episode],
    branches_of: Sequence[Mapping[int, State]],
    values: Sequence[float | None],
) -> list[Episode]:
    remaining = iter(values)
    valued = []
    for episode, branch in zip(episodes, branches_of, strict=True):
        pairs = [(at, next(remaining)) for at in branch]
        known = {at: value for at, value in pairs if value is not None}
        if pairs and pairs[0][1] is None:
            known = {}
        valued.append(replace(episode, state_values=known, states=()))
    return valued


def step_advantages(
    rewards: Tensor, state_values: Tensor, action_mask: Tensor, turn_end: Tensor, *, gamma: float
) -> Tensor:
    """`A = r + V' - V` of each step, shared by the step's action tokens; (B, T), zero elsewhere.

    All arguments are (B, T). `state_values` has V(s) at the first token sampled from s and NaN elsewhere: a
    step goes from one such token to the next. `r` are the rewards inside the step, `V'` the value behind it,
    0 behind the last token: a play that is cut off is over, as the continuations were that V is the mean of.
    `gamma` acts at turn ends. Undiscounted, the steps of an episode sum to its return less V of its first
    state. Tokens before the first value get 0.
    """
    actions = action_mask.bool()
    begins = actions & ~state_values.isnan()
    of_step = torch.zeros_like(state_values)
    ahead = torch.zeros_like(state_values[:, 0])
    for t in range(state_values.shape[1] - 1, -1, -1):
        discount = torch.where(turn_end[:, t].bool(), gamma, 1.0)
        ahead = torch.where(actions[:, t], rewards[:, t] + discount * ahead, ahead)
        of_step[:, t] = torch.where(begins[:, t], ahead - state_values[:, t], 0.0)
        ahead = torch.where(begins[:, t], state_values[:, t], ahead)
    columns = torch.arange(state_values.shape[1], device=state_values.device)
    step_of = torch.where(begins, columns, -1).cummax(dim=1).values
    shared = of_step.gather(1, step_of.clamp(min=0))
    return torch.where(actions & (step_of >= 0), shared, 0.0)
