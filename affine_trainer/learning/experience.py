"""The episodes of one iteration as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from affine_trainer.errors import StageError
from affine_trainer.records import Episode

CUT_OFF = ("turn_limit", "token_limit")


@dataclass(frozen=True, slots=True)
class Experience:
    """B episodes, each one row that begins with its prompt and is padded on the right.

    `token_ids` is (B, T + 1). Everything else per token is (B, T): column t speaks of token t + 1, which is
    the one that the hidden state at t predicts. `lengths` (B,) counts the tokens of each row; `cut_off` (B,)
    marks the rows whose episode was truncated rather than terminated.
    """

    token_ids: Tensor
    lengths: Tensor
    action_mask: Tensor
    logprobs: Tensor
    rewards: Tensor
    turn_end: Tensor
    cut_off: Tensor

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
    )


@dataclass(frozen=True, slots=True)
class _Row:
    token_ids: list[int]
    action_mask: list[int]
    logprobs: list[float]
    rewards: list[float]
    turn_end: list[int]
    cut_off: bool


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


def _empty_row(pad_id: int) -> _Row:
    return _Row([pad_id] * 2, [0] * 2, [0.0] * 2, [0.0] * 2, [0] * 2, False)


def _padded(rows: Sequence[Sequence[float]], fill: float, dtype: torch.dtype) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], dtype=dtype)


def length_groups(lengths: Tensor, size: int) -> Iterator[Tensor]:
    """Row indices in groups of `size`, shortest rows first, so that a group carries little padding."""
    yield from lengths.argsort(stable=True).split(size)


def by_length(
    experience: Experience, size: int, forward: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """`forward(ids, lengths, actions)` on `size` rows of like length at a time, put together to (B, T + 1).

    It gets (b, W) ids, (b,) lengths and the (b, W - 1) mask of action tokens, and returns at most W columns.
    """
    out = torch.zeros(experience.token_ids.shape)
    for rows in length_groups(experience.lengths, size):
        lengths = experience.lengths[rows]
        width = int(lengths.max())
        actions = experience.action_mask[rows, : width - 1].bool()
        result = forward(experience.token_ids[rows, :width], lengths, actions)
        out[rows, : result.shape[1]] = result.cpu()
    return out
