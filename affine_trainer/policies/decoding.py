"""Batched sampling from a causal language model: prompts are read, then each open row gets a token a step."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from affine_trainer.errors import AffineError
from affine_trainer.policies.kv_cache import ReadTokens
from affine_trainer.policies.open_rows import OpenRows, Prompt, reading_order
from affine_trainer.records import Sampling

STEPS_DRAWN_TOGETHER = 64
SHARE_TO_FILL_UP = 0.25  # of a batch's rows that are free before others take them


@dataclass(slots=True)
class Decoded:
    """What was sampled for one prompt; `token_ids` ends with the stop token where `stopped`.

    `read`, where it was asked for, is what the model has read: all tokens but the last sampled one.
    """

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False
    read: ReadTokens | None = None


def draw(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """One token a row and its log-probability, both of shape (rows,), from float32 logits (rows, vocabulary).

    Inversion of the cumulative distribution at `uniforms`, shape (rows,), in [0, 1). At temperature 0 the
    distribution has all its mass on the most likely token, whose log-probability is therefore 0.
    """
    if sampling.temperature == 0.0:
        tokens = logits.argmax(dim=-1)
        return tokens, torch.zeros_like(tokens, dtype=torch.float32)
    scaled = logits / sampling.temperature
    if sampling.top_p < 1.0:
        scaled = nucleus(scaled, sampling.top_p)
    logprobs = torch.log_softmax(scaled, dim=-1)
    cumulative = logprobs.double().exp().cumsum(dim=-1)
    points = uniforms[:, None].to(cumulative) * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, points, right=True)
    return tokens[:, 0], logprobs.gather(-1, tokens)[:, 0]


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Logits with -inf outside the smallest set of likeliest tokens of mass `top_p` (Holtzman 2020)."""
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
    return logits.masked_fill(outside.scatter(-1, order, outside), float("-inf"))


class Uniforms:
    """Numbers in [0, 1), one for each row and step: what a row draws never depends on the others."""

    def __init__(self, seed: int, num_rows: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._drawn = torch.empty((0, num_rows), dtype=torch.float64)

    def at(self, steps: Sequence[int], rows: Sequence[int]) -> Tensor:
        """The numbers of these pairs, shape (rows,)."""
        while max(steps) >= len(self._drawn):
            shape = (STEPS_DRAWN_TOGETHER, self._drawn.shape[1])
            more = torch.rand(shape, generator=self._generator, dtype=torch.float64)
            self._drawn = torch.cat([self._drawn, more.clamp(max=1 - 2**-40)])
        return self._drawn[list(steps), list(rows)]


class Replies:
    """The replies to a batch of prompts while they are sampled."""

    def __init__(self, prompts: Sequence[Prompt], sampling: Sampling, stop_ids: Set[int]) -> None:
        self._prompts, self._sampling, self._stop_ids = prompts, sampling, stop_ids
        self._uniforms = Uniforms(sampling.seed, len(prompts))
        self.results = [Decoded() for _ in prompts]

    def extend(self, rows: Sequence[int], logits: Tensor) -> tuple[Tensor, list[int]]:
        """Give each row that is not finished a token; all tokens, and the places of rows that go on."""
        if logits.amax().isnan():
            raise AffineError(
                "the model's output is not a number (NaN): its weights are broken, as after a training that "
                "diverged; lower the learning rate, or use an earlier checkpoint"
            )
        steps = [len(self.results[row].token_ids) for row in rows]
        tokens, logprobs = draw(logits, self._uniforms.at(steps, rows), self._sampling)
        drawn = zip(rows, tokens.tolist(), logprobs.tolist(), strict=True)
        keep = [place for place, choice in enumerate(drawn) if self._append(*choice)]
        return tokens, keep

    def _append(self, row: int, token: int, logprob: float) -> bool:
        """Whether the row goes on after this token, which it takes unless it is finished."""
        result = self.results[row]
        if result.stopped or self._is_full(row):
            return False
        result.token_ids.append(token)
        result.logprobs.append(logprob)
        result.stopped = token in self._stop_ids
        return not (result.stopped or self._is_full(row))

    def _is_full(self, row: int) -> bool:
        num_tokens = self._prompts[row].begun + len(self.results[row].token_ids)
        return num_tokens >= self._sampling.max_new_tokens

    def prompt(self, row: int) -> Prompt:
        """What the row's reply goes on from: its prompt, and behind it what was sampled."""
        prompt, result = self._prompts[row], self.results[row]
        if not result.token_ids:
            return prompt
        return replace(prompt, token_ids=[*prompt.token_ids, *result.token_ids], read=result.read)

    def note_read(self, row: int, open_rows: OpenRows, place: int) -> None:
        """Keep what the model has read of a row, the prompt of this place: all but the last sampled token."""
        result = self.results[row]
        count = len(self._prompts[row].token_ids) + len(result.token_ids) - 1
        result.read = open_rows.read_tokens(place, count)


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    stop_ids: Set[int],
    pad_id: int,
    keep_read: bool = False,
    max_rows: int | None = None,
) -> list[Decoded]:
    """Sample one continuation of every prompt until a stop token or `sampling.max_new_tokens`.

    The beginning of a reply that a prompt ends with counts against the limit. At most `max_rows` replies are
    sampled side by side, all of them without it; as some end, others take their places (continuous batching,
    Yu et al. 2022, "Orca"), where the model's cache allows it. A pure function of its arguments: batches of
    the same prompts and seed give the same tokens. `keep_read` leaves what the model has read on the results,
    where its cache allows, for the next turn to begin with. AffineError when the model gives NaN.
    """
    replies = Replies(prompts, sampling, stop_ids)
    rows, waiting = list[int](), reading_order(prompts)
    most = max_rows or len(prompts)
    while rows or waiting:
        room = most - len(rows)
        rows, waiting = [*rows, *waiting[:room]], waiting[room:]
        open_rows = OpenRows(model, [replies.prompt(row) for row in rows], pad_id, keep_read=keep_read)
        for row in rows:  # it is in the new rows' cache now
            replies.results[row].read = None
        going = sample_together(replies, rows, open_rows, most if waiting else None)
        going_on = set(going)
        for place, row in enumerate(rows):
            result = replies.results[row]
            if open_rows.grows and (keep_read or row in going_on):
                replies.note_read(row, open_rows, place)
            if result.read and row not in going_on and len(prompts) > most:
                result.read = result.read.alone()
        rows = going
    return replies.results


def sample_together(
    replies: Replies, rows: Sequence[int], open_rows: OpenRows, most: int | None
) -> list[int]:
    """Sample replies until all are finished, or so few are left of `most` that others can join them.

    Returns the rows that are left. None for `most` means that nothing waits to join.
    """
    least_room = max(1, round(most * SHARE_TO_FILL_UP)) if most and open_rows.grows else len(rows) + 1
    while True:
        open_now = [rows[place] for place in open_rows.rows]
        tokens, keep = replies.extend(open_now, open_rows.logits)
        if not keep or (most or 0) - len(keep) >= least_room:
            return [open_now[place] for place in keep]
        open_rows.advance(tokens, keep)
