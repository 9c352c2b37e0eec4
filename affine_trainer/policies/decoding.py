"""Batched sampling from a causal language model: one left-padded prefill, then a token a step."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from affine_trainer.errors import AffineError
from affine_trainer.records import Sampling


@dataclass(slots=True)
class Decoded:
    """What was sampled for one prompt; `token_ids` ends with the stop token where `stopped`."""

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False


class GrowingLayer(DynamicLayer):
    """A cache layer that writes new columns into spare room instead of copying all of it every step.

    `keys` and `values`, shape (rows, heads, columns, head size), are views of the buffers' used part.
    """

    is_sliding = False
    spare_columns = 64

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append columns; returns all keys and values so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            return self._start(key_states, value_states)
        return self._append(key_states, value_states)

    def select(self, rows: Tensor, first_column: int) -> None:
        """Keep these rows, without the columns before `first_column`."""
        columns = slice(first_column, self.get_seq_length())
        self._start(self._key_buffer[rows, :, columns], self._value_buffer[rows, :, columns])

    @classmethod
    def stacked(cls, parts: Sequence[DynamicLayer], rows: Tensor) -> GrowingLayer:
        """These `rows` (any of them more than once) of several layers, their columns aligned on the right."""
        width = max(part.get_seq_length() for part in parts)
        layer = cls()
        keys, values = (_stack_right([getattr(p, name) for p in parts], width) for name in ("keys", "values"))
        layer.update(keys[rows], values[rows])
        return layer

    def _start(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        rows, heads, columns = keys.shape[:3]
        self._key_buffer = keys.new_empty((rows, heads, columns + self.spare_columns, keys.shape[3]))
        self._value_buffer = values.new_empty((rows, heads, columns + self.spare_columns, values.shape[3]))
        self.keys = self.values = None
        return self._append(keys, values)

    def _append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        start = 0 if self.keys is None else self.keys.shape[2]
        end = start + keys.shape[2]
        if end > self._key_buffer.shape[2]:
            used_keys, used_values = self._key_buffer[:, :, :start], self._value_buffer[:, :, :start]
            return self._start(torch.cat([used_keys, keys], dim=2), torch.cat([used_values, values], dim=2))
        self._key_buffer[:, :, start:end] = keys
        self._value_buffer[:, :, start:end] = values
        self.keys = all_keys = self._key_buffer[:, :, :end]
        self.values = all_values = self._value_buffer[:, :, :end]
        return all_keys, all_values


def _stack_right(parts: Sequence[Tensor], width: int) -> Tensor:
    # Zeros, not empty memory: masked columns still enter products, where a stray NaN would spread.
    return torch.cat([torch.nn.functional.pad(part, (0, 0, width - part.shape[2], 0)) for part in parts])


class OpenRows:
    """The rows of a batch that are still being sampled: their cache, padding mask and positions.

    The prompts are read in groups of similar length, so that little padding is computed, and equal ones once
    where the cache is one that grows. Finished rows leave the batch, since on a CPU a step costs what its
    rows cost, and columns that are padding in every remaining row leave the cache with them. `rows` holds
    the prompts' numbers in the order of `logits`.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad_id: int) -> None:
        self._model = model
        self._device = model.device
        # Sliding windows and recurrent states keep transformers' own layers, and one group.
        self._grows = all(type(layer) is DynamicLayer for layer in self._new_cache().layers)
        self.rows = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), tuple(prompts[row])))
        ordered = [tuple(prompts[row]) for row in self.rows]
        read = list(dict.fromkeys(ordered)) if self._grows else ordered
        logits, caches = [], []
        for group in prefill_groups([len(prompt) for prompt in read], self._prefill_tokens()):
            caches.append(self._new_cache())
            logits.append(self._prefill([read[place] for place in group], pad_id, caches[-1]))
        self.logits, self._cache = torch.cat(logits), caches[0]
        if self._grows:
            places = {prompt: place for place, prompt in enumerate(read)}
            copies = torch.tensor([places[prompt] for prompt in ordered], device=self._device)
            layers = zip(*(cache.layers for cache in caches), strict=True)
            self._cache.layers = [GrowingLayer.stacked(parts, copies) for parts in layers]
            self.logits = self.logits[copies]
        lengths = torch.tensor([len(prompts[row]) for row in self.rows], device=self._device)
        self._positions = lengths[:, None] - 1
        columns = torch.arange(int(lengths.max()), device=self._device)
        self._mask = (columns[None] >= lengths.max() - lengths[:, None]).long()

    def advance(self, tokens: Tensor, keep: list[int]) -> None:
        """Feed `tokens`, shape (rows,), and set `logits` to those of the next tokens.

        Rows outside `keep` (places among the rows) may leave; they do once an eighth of the batch is done,
        because leaving copies the cache.
        """
        if len(self.rows) - len(keep) >= max(1, len(self.rows) // 8):
            places = torch.tensor(keep, device=self._device)
            tokens = tokens[places]
            self._select(places)
            self.rows = [self.rows[place] for place in keep]
        self._positions = self._positions + 1
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        self.logits = self._forward(tokens[:, None], self._mask, self._positions, self._cache)

    def _prefill_tokens(self) -> int:
        if not self._grows:
            return 2**62
        return 2048 if self._device.type == "cpu" else 16384

    def _new_cache(self) -> DynamicCache:
        return DynamicCache(config=self._model.config)

    def _prefill(self, prompts: Sequence[Sequence[int]], pad_id: int, cache: DynamicCache) -> Tensor:
        width = max(map(len, prompts))
        padding = [width - len(prompt) for prompt in prompts]
        rows = [[pad_id] * n + list(prompt) for n, prompt in zip(padding, prompts, strict=True)]
        mask = torch.tensor([[0] * n + [1] * (width - n) for n in padding], device=self._device)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        return self._forward(torch.tensor(rows, device=self._device), mask, positions, cache)

    def _forward(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()

    def _select(self, places: Tensor) -> None:
        self._positions, self._mask = self._positions[places], self._mask[places]
        if not self._grows:
            self._cache.batch_select_indices(places)
            return
        padding = int(self._mask.argmax(dim=1).min())
        self._mask = self._mask[:, padding:]
        for layer in self._cache.layers:
            if isinstance(layer, GrowingLayer):
                layer.select(places, padding)


def prefill_groups(lengths: Sequence[int], max_tokens: int) -> list[range]:
    """Consecutive ranges over ascending prompt lengths, each of at most `max_tokens` with its padding."""
    groups, start = [], 0
    for place, length in enumerate(lengths):
        if place > start and length * (place + 1 - start) > max_tokens:
            groups.append(range(start, place))
            start = place
    return [*groups, range(start, len(lengths))]


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

    A pure function of its arguments: batches of the same prompts and seed give the same tokens. AffineError
    when the model gives NaN.
    """
    results = [Decoded() for _ in prompts]
    open_rows = OpenRows(model, prompts, pad_id)
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
            if result.stopped:
                continue
            result.token_ids.append(token)
            result.logprobs.append(logprob)
            result.stopped = token in stop_ids
            if not result.stopped:
                keep.append(place)
        if not keep or step + 1 == sampling.max_new_tokens:
            break
        open_rows.advance(tokens, keep)
    return results
