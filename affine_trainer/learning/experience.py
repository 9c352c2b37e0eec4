"""The episodes of one iteration as tensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from affine_trainer.errors import StageError
from affine_trainer.learning.packing import Rows
from affine_trainer.records import Episode

CUT_OFF = ("turn_limit", "token_limit")


@dataclass(frozen=True, slots=True)
class Experience:
    """B episodes, each one row that begins with its prompt and is padded on the right.

    `token_ids` is (B, T + 1). Everything else per token is (B, T): column t speaks of token t + 1, which is
    the one that the hidden state at t predicts. `lengths` (B,) counts the tokens of each row; `cut_off` (B,)
    marks the rows whose episode was truncated rather than terminated. Rows with the same number in `groups`
    (B,) begin with the same prompt of `prompt_lengths` (B,) tokens, which the model then reads once. `tasks`
    (B,) numbers the task that each row played. `state_values` (B, T), where the episodes have them, is the
    Monte-Carlo value of each state at the first token sampled from it, and NaN elsewhere.
    """

    token_ids: Tensor
    lengths: Tensor
    action_mask: Tensor
    logprobs: Tensor
    rewards: Tensor
    turn_end: Tensor
    cut_off: Tensor
    prompt_lengths: Tensor
    groups: Tensor
    tasks: Tensor
    state_values: Tensor | None = None

    @property
    def num_episodes(self) -> int:
        return len(self.lengths)


def pack_episodes(episodes: Sequence[Episode], pad_id: int) -> Experience:
    """Right-padded tensors of played episodes, on the CPU.

    An episode without a grade (it could not be judged) keeps its row, with no action token in it. StageError
    when no episode of the batch can be learned from: a loss of 0 would hide it.
    """
    rows = [_row(episode) if _is_usable(episode) else _empty_row(pad_id) for episode in episodes]
    if not any(any(row.action_mask) for row in rows):
        reasons = [episode.error for episode in episodes if episode.error] or ["no reply has any token"]
        raise StageError(
            f"none of the {len(episodes)} episodes of this iteration can be learned from; "
            f"the first says: {reasons[0]}"
        )
    return Experience(
        token_ids=_padded([row.token_ids for row in rows], pad_id, torch.long),
        lengths=torch.tensor([len(row.token_ids) for row in rows]),
        action_mask=_padded([row.action_mask[1:] for row in rows], 0, torch.long),
        logprobs=_padded([row.logprobs[1:] for row in rows], 0.0, torch.float32),
        rewards=_padded([row.rewards[1:] for row in rows], 0.0, torch.float32),
        turn_end=_padded([row.turn_end[1:] for row in rows], 0, torch.long),
        cut_off=torch.tensor([row.cut_off for row in rows]),
        prompt_lengths=torch.tensor([row.prompt_length for row in rows]),
        groups=torch.tensor(_groups(rows)),
        tasks=torch.tensor(_numbered([episode.task_key for episode in episodes])),
        state_values=_state_values(episodes, max(len(row.token_ids) for row in rows) - 1),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    token_ids: list[int]
    action_mask: list[int]
    logprobs: list[float]
    rewards: list[float]
    turn_end: list[int]
    cut_off: bool

    @property
    def prompt_length(self) -> int:
        return self.action_mask.index(1) if any(self.action_mask) else len(self.token_ids)


def _groups(rows: Sequence[_Row]) -> list[int]:
    """A number a row: equal for rows with the same prompt, unless it is shorter than what follows it.

    Sharing a short prompt saves little, and its rows would compute attention over each other in vain.
    """
    return _numbered(
        tuple(row.token_ids[: row.prompt_length]) if 2 * row.prompt_length >= len(row.token_ids) else place
        for place, row in enumerate(rows)
    )


def _numbered(keys: Iterable[Hashable]) -> list[int]:
    """A number a key, equal for equal keys, in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _is_usable(episode: Episode) -> bool:
    return episode.grade is not None and episode.conversation is not None


def _row(episode: Episode) -> _Row:
    conversation = episode.conversation
    assert conversation is not None
    mask = conversation.action_mask
    ends = [t for t, chosen in enumerate(mask) if chosen and (t + 1 == len(mask) or not mask[t + 1])]
    if len(ends) != len(episode.turns):
        raise StageError(
            f"{episode.task_key}: {len(episode.turns)} turns but {len(ends)} sampled stretches of tokens"
        )
    rewards, turn_end = [0.0] * len(mask), [0] * len(mask)
    for end, turn in zip(ends, episode.turns, strict=True):
        rewards[end], turn_end[end] = turn.reward, 1
    return _Row(
        token_ids=conversation.token_ids,
        action_mask=mask,
        logprobs=conversation.logprobs,
        rewards=rewards,
        turn_end=turn_end,
        cut_off=episode.stop_reason in CUT_OFF,
    )


def _state_values(episodes: Sequence[Episode], width: int) -> Tensor | None:
    if all(episode.state_values is None for episode in episodes):
        return None
    found = torch.full((len(episodes), width), float("nan"))
    for row, episode in zip(found, episodes, strict=True):
        for position, value in (episode.state_values or {}).items() if _is_usable(episode) else ():
            row[position - 1] = value
    return found


def _empty_row(pad_id: int) -> _Row:
    return _Row([pad_id] * 2, [0] * 2, [0.0] * 2, [0.0] * 2, [0] * 2, False)


def _padded(rows: Sequence[Sequence[float]], fill: float, dtype: torch.dtype) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], dtype=dtype)


def share_out(groups: Sequence[int], num_parts: int, widths: Sequence[int] | None = None) -> list[list[int]]:
    """Row indices in `num_parts` parts of about equally many rows, none of them empty.

    A group is torn apart only where it is larger than a part. Groups come in order of appearance, or by
    `widths` (of each row's group), narrow ones first, so that a part carries little padding.
    """
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    largest = len(groups) // num_parts
    ordered = [
        rows[start : start + largest] for rows in members.values() for start in range(0, len(rows), largest)
    ]
    if widths is not None:
        ordered.sort(key=lambda rows: widths[rows[0]])
    parts: list[list[int]] = [[] for _ in range(num_parts)]
    start = 0
    for rows in ordered:
        parts[start * num_parts // len(groups)] += rows
        start += len(rows)
    return parts


def line_widths(lengths: Tensor, prompt_lengths: Tensor, groups: Tensor) -> list[int]:
    """For each row the number of tokens of its whole group, the shared prompt counted once."""
    lines = torch.unique(groups, return_inverse=True)[1]
    own = torch.zeros(int(lines.max()) + 1, dtype=torch.long, device=lines.device)
    return (own.scatter_add(0, lines, lengths - prompt_lengths)[lines] + prompt_lengths).tolist()


def by_length(experience: Experience, size: int, forward: Callable[[Rows], Tensor]) -> Tensor:
    """`forward` on about `size` rows of like length at a time, its results put together to (B, T + 1).

    It returns at most as many columns as its rows have.
    """
    out = torch.zeros(experience.token_ids.shape)
    widths = line_widths(experience.lengths, experience.prompt_lengths, experience.groups)
    parts = max(1, experience.num_episodes // size)
    for part in share_out(experience.groups.tolist(), parts, widths):
        rows = torch.tensor(part)
        width = int(experience.lengths[rows].max())
        result = forward(
            Rows(
                experience.token_ids[rows, :width],
                experience.lengths[rows],
                experience.prompt_lengths[rows],
                experience.groups[rows],
                experience.action_mask[rows, : width - 1].bool(),
            )
        )
        out[rows, : result.shape[1]] = result.cpu()
    return out
