"""The rows of a batch that are being sampled: what each has read, and the logits of what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from affine_trainer.policies.kv_cache import GrowingLayer, ReadTokens


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to go on from; the first `read.count` of them were read in an earlier turn."""

    token_ids: Sequence[int]
    read: ReadTokens | None = None

    @property
    def unread(self) -> tuple[int, ...]:
        return tuple(self.token_ids[self.read.count if self.read else 0 :])


class OpenRows:
    """The rows of a batch that are still being sampled: their cache, padding mask and positions.

    The prompts are read in groups of similar length, so that little padding is computed, and equal ones once
    where the cache is one that grows. Finished rows leave the batch, since on a CPU a step costs what its
    rows cost, and columns that are padding in every remaining row leave the cache with them. `rows` holds
    the prompts' numbers in the order of `logits`.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Prompt], pad_id: int) -> None:
        self._model = model
        self._device = model.device
        # Sliding windows and recurrent states keep transformers' own layers, and one group.
        self.grows = can_grow(model)
        self.rows = sorted(range(len(prompts)), key=lambda row: _order(prompts[row]))
        ordered = [prompts[row] for row in self.rows]
        # Rows that begin at nothing and ask the same share one reading.
        keys = [tuple(p.token_ids) if self.grows and p.read is None else row for row, p in enumerate(ordered)]
        firsts: dict[object, Prompt] = {}
        for key, prompt in zip(keys, ordered, strict=True):
            firsts.setdefault(key, prompt)
        read = list(firsts.values())
        parts = [
            self._prefill([read[place] for place in group], pad_id)
            for group in prefill_groups([len(p.unread) for p in read], self._prefill_tokens())
        ]
        self.logits = torch.cat([logits for logits, _, _ in parts])
        self._mask = torch.cat(_aligned([mask for _, mask, _ in parts]))
        self._cache = parts[0][2]
        if self.grows and (len(parts) > 1 or len(read) < len(ordered) or not _grows(self._cache)):
            places = {key: place for place, key in enumerate(firsts)}
            copies = torch.tensor([places[key] for key in keys], device=self._device)
            layers = zip(*(cache.layers for _, _, cache in parts), strict=True)
            self._cache.layers = _as_layers(GrowingLayer.stacked(group, copies) for group in layers)
            self.logits, self._mask = self.logits[copies], self._mask[copies]
        self._positions = self._mask.sum(dim=1, keepdim=True) - 1

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

    def read_tokens(self, place: int, count: int) -> ReadTokens:
        """A copy of what the row at `place` has read of its first `count` tokens; layers that grow only."""
        columns = self._mask[place].nonzero()[:count, 0]
        layers = (layer for layer in self._cache.layers if isinstance(layer, GrowingLayer))
        return ReadTokens(count, tuple(layer.columns_of(place, columns) for layer in layers))

    def _prefill_tokens(self) -> int:
        if not self.grows:
            return 2**62
        return 2048 if self._device.type == "cpu" else 16384

    def _prefill(self, prompts: Sequence[Prompt], pad_id: int) -> tuple[Tensor, Tensor, DynamicCache]:
        """Logits behind the prompts (rows, vocabulary), the mask of the columns read, and their cache."""
        unread = [prompt.unread for prompt in prompts]
        width = max(map(len, unread))
        padding = [width - len(ids) for ids in unread]
        ids = [[pad_id] * n + list(tokens) for n, tokens in zip(padding, unread, strict=True)]
        new = torch.tensor([[0] * n + [1] * (width - n) for n in padding], device=self._device)
        cache, old = self._begun(prompts)
        mask = torch.cat([old, new], dim=1)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, old.shape[1] :]
        return self._forward(torch.tensor(ids, device=self._device), mask, positions, cache), mask, cache

    def _begun(self, prompts: Sequence[Prompt]) -> tuple[DynamicCache, Tensor]:
        """The cache of what was read in earlier turns, and the mask of its columns."""
        cache = DynamicCache(config=self._model.config)
        counts = [prompt.read.count if prompt.read else 0 for prompt in prompts]
        width = max(counts)
        rows = [[0] * (width - n) + [1] * n for n in counts]
        mask = torch.tensor(rows, device=self._device, dtype=torch.long).reshape(len(prompts), width)
        if width:
            known = next(prompt.read for prompt in prompts if prompt.read)
            read = [prompt.read.layers if prompt.read else _nothing(known) for prompt in prompts]
            cache.layers = _as_layers(
                GrowingLayer.of_rows([row[0] for row in layer], [row[1] for row in layer])
                for layer in zip(*read, strict=True)
            )
        return cache, mask

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
        if not self.grows:
            self._cache.batch_select_indices(places)
            return
        padding = int(self._mask.argmax(dim=1).min())
        self._mask = self._mask[:, padding:]
        for layer in self._cache.layers:
            if isinstance(layer, GrowingLayer):
                layer.select(places, padding)


def can_grow(model: PreTrainedModel) -> bool:
    """Whether every layer of the model's cache is plain: no sliding window, no recurrent state."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _grows(cache: DynamicCache) -> bool:
    return all(isinstance(layer, GrowingLayer) for layer in cache.layers)


def prefill_groups(lengths: Sequence[int], max_tokens: int) -> list[range]:
    """Consecutive ranges over ascending prompt lengths, each of at most `max_tokens` with its padding."""
    groups, start = [], 0
    for place, length in enumerate(lengths):
        if place > start and length * (place + 1 - start) > max_tokens:
            groups.append(range(start, place))
            start = place
    return [*groups, range(start, len(lengths))]


def _order(prompt: Prompt) -> tuple[int, int, tuple[int, ...]]:
    return len(prompt.unread), len(prompt.token_ids), tuple(prompt.token_ids)


def _aligned(masks: Sequence[Tensor]) -> list[Tensor]:
    width = max(mask.shape[1] for mask in masks)
    return [torch.nn.functional.pad(mask, (width - mask.shape[1], 0)) for mask in masks]


def _as_layers(layers: Iterable[GrowingLayer]) -> list[Any]:
    return list(layers)


def _nothing(known: ReadTokens) -> tuple[tuple[Tensor, Tensor], ...]:
    return tuple((keys[:, :0], values[:, :0]) for keys, values in known.layers)
