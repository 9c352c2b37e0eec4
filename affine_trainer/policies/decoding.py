"""Batched sampling from a causal language model: one left-padded prefill, then a token a step."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from affine_trainer.errors import AffineError
from affine_trainer.policies.kv_cache import ReadTokens
from affine_trainer.policies.open_rows import OpenRows, Prompt
from affine_trainer.records import Sampling


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


def uniform_draws(generator: torch.Generator, rows: int) -> Tensor:
    """A number in [0, 1) for every row of the whole batch: a row's draws never depend on the others."""
    return torch.rand(rows, generator=generator, dtype=torch.float64).clamp(max=1 - 2**-40)


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    stop_ids: Set[int],
    pad_id: int,
    keep_read: bool = False,
) -> list[Decoded]:
    """Sample one continuation of every prompt until a stop token or `sampling.max_new_tokens`.

    The beginning of a reply that a prompt ends with counts against the limit. A pure function of its
    arguments: batches of the same prompts and seed give the same tokens. `keep_read` leaves what the model
    has read on the results, where its cache allows, for the next turn to begin with. AffineError when the
    model gives NaN.
    """
    results = [Decoded() for _ in prompts]
    open_rows = OpenRows(model, prompts, pad_id, keep_read=keep_read)
    generator = torch.Generator().manual_seed(sampling.seed)
    for step in range(sampling.max_new_tokens):
        uniforms = uniform_draws(generator, len(prompts))[open_rows.rows]
        if open_rows.logits.amax().isnan():
            raise AffineError(
                "the model's output is not a number (NaN): its weights are broken, as after a training that "
                "diverged; lower the learning rate, or use an earlier checkpoint"
            )
        tokens, logprobs = draw(open_rows.logits, uniforms, sampling)
        sampled = zip(open_rows.rows, tokens.tolist(), logprobs.tolist(), strict=True)
        keep = []
        for place, (row, token, logprob) in enumerate(sampled):
            result = results[row]
            if result.stopped or step + prompts[row].begun >= sampling.max_new_tokens:
                continue
            result.token_ids.append(token)
            result.logprobs.append(logprob)
            result.stopped = token in stop_ids
            last = result.stopped or step + 1 + prompts[row].begun >= sampling.max_new_tokens
            if not last:
                keep.append(place)
        if not keep:
            break
        open_rows.advance(tokens, keep)
    if keep_read and open_rows.grows:
        for row, (prompt, result) in enumerate(zip(prompts, results, strict=True)):
            result.read = open_rows.read_tokens(row, len(prompt.token_ids) + len(result.token_ids) - 1)
    return results
