"""Batched sampling from a causal language model: one left-padded prefill, then a token a step."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from affine_trainer.records import Sampling


@dataclass(slots=True)
class Decoded:
    """What was sampled for one prompt; `token_ids` ends with the stop token where `stopped`."""

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False


class OpenRows:
    """The rows of a batch that are still being sampled: their cache, padding mask and positions.

    Finished rows leave the batch, since on a CPU the cost of a step follows the number of rows. Columns that
    are padding in every remaining row leave the cache with them.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad_id: int) -> None:
        width = max(map(len, prompts))
        self._model = model
        self._device = model.device
        self._cache = DynamicCache(config=model.config)
        self._trims = all(type(layer).__name__ == "DynamicLayer" for layer in self._cache.layers)
        self._mask = torch.tensor(
            [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self._device
        )
        self._tokens = torch.tensor(
            [[pad_id] * (width - len(p)) + list(p) for p in prompts], device=self._device
        )
        self._positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
        self.rows = list(range(len(prompts)))

    def logits(self) -> Tensor:
        """Feed the pending tokens; the float32 logits of the token after them, shape (rows, vocabulary)."""
        output = self._model(
            input_ids=self._tokens,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()

    def advance(self, tokens: Tensor, keep: list[int]) -> None:
        """Make `tokens`, shape (rows,), the pending ones and go on with the rows at the places `keep`."""
        self._tokens = tokens[:, None]
        self._positions = self._positions[:, -1:] + 1
        if len(keep) < len(self.rows):
            self._select(torch.tensor(keep, device=self._device))
            self.rows = [self.rows[place] for place in keep]
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)

    def _select(self, keep: Tensor) -> None:
        self._tokens, self._positions, self._mask = (
            self._tokens[keep],
            self._positions[keep],
            self._mask[keep],
        )
        padding = int(self._mask.argmax(dim=1).min()) if self._trims else 0
        self._mask = self._mask[:, padding:]
        for layer in self._cache.layers:
            layer.batch_select_indices(keep)
            if padding:
                layer.keys, layer.values = layer.keys[:, :, padding:], layer.values[:, :, padding:]


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
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    stop_ids: Set[int],
    pad_id: int,
) -> list[Decoded]:
    """Sample one continuation of every prompt (token ids) until a stop token or `sampling.max_new_tokens`.

    A pure function of its arguments: batches of the same prompts and seed give the same tokens.
    """
    results = [Decoded() for _ in prompts]
    open_rows = OpenRows(model, prompts, pad_id)
    generator = torch.Generator().manual_seed(sampling.seed)
    for step in range(sampling.max_new_tokens):
        uniforms = uniform_draws(generator, len(prompts))[open_rows.rows]
        tokens, logprobs = draw(open_rows.logits(), uniforms, sampling)
        keep = []
        for place, (token, logprob) in enumerate(zip(tokens.tolist(), logprobs.tolist(), strict=True)):
            result = results[open_rows.rows[place]]
            result.token_ids.append(token)
            result.logprobs.append(logprob)
            result.stopped = token in stop_ids
            if not result.stopped:
                keep.append(place)
        if not keep or step + 1 == sampling.max_new_tokens:
            break
        open_rows.advance(tokens, keep)
    return results
