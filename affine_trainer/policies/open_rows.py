"""The rows of a batch that are being sampled: what each has read, and the logits of what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
import transformers
from packaging.version import Version
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from affine_trainer.policies.kv_cache import SPARE_COLUMNS, GrowingLayer, ReadTokens, SlotBuffer

# The models' word for it, renamed in 5.24.
CACHE_ARGUMENT = "cache" if Version(transformers.__version__) >= Version("5.24") else "past_key_values"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to go on from; the first `read.count` of them were read in an earlier turn.

    The last `begun` of them are the beginning of the reply itself.
    """

    token_ids: Sequence[int]
    read: ReadTokens | None = None
    begun: int = 0

    @property
    def unread(self) -> tuple[int, ...]:
        return tuple(self.token_ids[self.read.count if self.read else 0 :])

    @property
    def num_read(self) -> int:
        return self.read.count if self.read else 0


class OpenRows:
    """The rows of a batch that are still being sampled: their cache, padding mask and positions.

    The prompts are read in groups of similar length, so that little padding is computed. Where the cache is
    one that grows, equal prompts are read once, and a prompt that another begins with as a part of it. A row
    that is finished leaves at once, since on a CPU a step costs what its rows cost: the last open row takes
    its slot. Columns that are padding in every open row are looked at no more. `rows` holds the prompts'
    numbers in the order of `logits`.
    """

    def __init__(
        self, model: PreTrainedModel, prompts: Sequence[Prompt], pad_id: int, *, keep_read: bool = False
    ) -> None:
        self._model = model
        self._device = model.device
        # Sliding windows and recurrent states keep transformers' own layers, and one group.
        self.grows = can_grow(model)
        self._keep_read = keep_read and self.grows
        plan = SlotPlan(prompts, share=self.grows)
        self._slots = plan.rows
        self.rows = self._slots
        self._read(plan, pad_id)
        self._positions = self._mask[:, : self._end].sum(dim=1, keepdim=True) - 1

    def advance(self, tokens: Tensor, keep: list[int]) -> None:
        """Feed `tokens`, shape (rows,), and set `logits` to those of the next tokens.

        Rows outside `keep` (places among the rows, ascending) may leave. They do at once where that moves
        single rows, and otherwise when an eighth of the batch is done, because leaving copies the cache.
        """
        least = 1 if self.grows else max(1, len(self.rows) // 8)
        if len(self.rows) - len(keep) >= least:
            tokens = tokens[self._make_way(keep)]
        count = len(self.rows)
        if self._end == self._mask.shape[1]:
            self._mask = torch.nn.functional.pad(self._mask, (0, SPARE_COLUMNS))
        self._mask[:count, self._end] = 1
        self._positions[:count] += 1
        self._end += 1
        window = self._mask[:count, self._first : self._end]
        self.logits = self._forward(tokens[:, None], window, self._positions[:count], self._cache)

    def read_tokens(self, row: int, count: int) -> ReadTokens:
        """What the row of this prompt has read of its first `count` tokens, finished or not.

        Only where `keep_read` was asked for and the cache grows, and when nothing is sampled any more.
        """
        slot = self._slots.index(row)
        columns = self._mask[slot, : self._end].nonzero()[:count, 0]
        breaks = (columns.diff() > 1).nonzero()[:, 0].tolist()
        starts = columns[[0, *(place + 1 for place in breaks)]].tolist()
        stops = columns[[*breaks, len(columns) - 1]].tolist()
        runs = tuple((start, stop + 1) for start, stop in zip(starts, stops, strict=True))
        return ReadTokens(count, tuple(buffer.row(slot) for buffer in self._buffers), runs)

    def _read(self, plan: SlotPlan, pad_id: int) -> None:
        """Read the prompts, a slot each: all end at the same column, whatever group they are read in."""
        prompts = plan.whole
        groups = prefill_groups([len(p.unread) for p in prompts], *self._prefill_cost())
        widths = [len(prompts[group[-1]].unread) for group in groups]
        self._first = 0
        self._end = max(
            width + max(prompts[place].num_read for place in group)
            for group, width in zip(groups, widths, strict=True)
        )
        slots = len(plan.rows)
        self._mask = torch.zeros((slots, self._end + SPARE_COLUMNS), dtype=torch.long, device=self._device)
        self._cache = DynamicCache(config=self._model.config)
        self._buffers = [
            SlotBuffer(slots, self._end, keep_all=self._keep_read) for _ in self._cache.layers if self.grows
        ]
        parts = [
            self._prefill(prompts[group.start : group.stop], slice(group.start, group.stop), pad_id)
            for group in groups
        ]
        later = [self._beginning(prompt, prompts[at], at) for prompt, at in plan.beginnings]
        for group in prefill_groups([1] * len(later), *self._prefill_cost()):
            where = slice(len(prompts) + group.start, len(prompts) + group.stop)
            parts.append(self._prefill(later[group.start : group.stop], where, pad_id))
        self.logits = torch.cat(parts)
        for source, copies in plan.copies:
            self._copy(source, copies)
        self._look()

    def _copy(self, source: int, slots: slice) -> None:
        """Give each of `slots`, the next behind those that have logits, what slot `source` holds."""
        self._mask[slots] = self._mask[source]
        for buffer in self._buffers:
            buffer.copy(source, slots, slice(self._end))
        self.logits = torch.cat([self.logits, self.logits[source].expand(slots.stop - slots.start, -1)])

    def _beginning(self, prompt: Prompt, owner: Prompt, slot: int) -> Prompt:
        """The prompt with all but its last token as the slot of its owner has read them."""
        count, start = len(prompt.token_ids) - 1, self._end - len(owner.token_ids)
        rows = tuple(buffer.row(slot) for buffer in self._buffers)
        return replace(prompt, read=ReadTokens(count, rows, ((start, start + count),)))

    def _prefill(self, prompts: Sequence[Prompt], slots: slice, pad_id: int) -> Tensor:
        """Logits behind the prompts, shape (rows, vocabulary); `slots` of mask and buffers are filled."""
        unread = [prompt.unread for prompt in prompts]
        width = max(map(len, unread))
        start = self._end - width
        ids = [[pad_id] * (width - len(tokens)) + list(tokens) for tokens in unread]
        first = start - max(prompt.num_read for prompt in prompts)
        known = [[0] * (start - first - p.num_read) + [1] * p.num_read for p in prompts]
        to_read = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in unread]
        mask = torch.tensor([a + b for a, b in zip(known, to_read, strict=True)], device=self._device)
        self._mask[slots, first : self._end] = mask
        cache = DynamicCache(config=self._model.config)
        for number, buffer in enumerate(self._buffers):
            _put_read(buffer, number, prompts, slots.start, start)
            cache.layers[number] = GrowingLayer(buffer, slots, first, start)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, start - first :]
        logits = self._forward(torch.tensor(ids, device=self._device), mask, positions, cache)
        for buffer in self._buffers:
            buffer.clear(slots, first)
        if not self.grows:
            self._cache = cache
        return logits

    def _look(self) -> None:
        """Let the cache's layers be windows on all slots."""
        if self.grows:
            layers: list[Any] = [
                GrowingLayer(buffer, slice(None), self._first, self._end) for buffer in self._buffers
            ]
            self._cache.layers = layers

    def _make_way(self, keep: Sequence[int]) -> list[int]:
        """Bring the rows of `keep` to the front, moving as few as can be; their old places in order."""
        order, kept = list(range(len(self.rows))), set(keep)
        if self.grows:
            holes = [place for place in range(len(keep)) if place not in kept]
            columns = slice(self._first, self._end)
            for hole, mover in zip(holes, [p for p in keep if p >= len(keep)], strict=True):
                for buffer in self._buffers:
                    buffer.exchange(hole, mover, columns, keep=self._keep_read)
                order[hole], order[mover] = mover, hole
        else:
            order = [*keep, *(place for place in order if place not in kept)]
            self._cache.batch_select_indices(torch.tensor(keep, device=self._device))
        every = [*order, *range(len(order), len(self._slots))]
        self._slots = [self._slots[place] for place in every]
        self.rows = self._slots[: len(keep)]
        self._mask, self._positions = self._mask[every], self._positions[every]
        if self.grows:
            self._first = int(self._mask[: len(keep), : self._end].argmax(dim=1).min())
            for layer in self._cache.layers:
                if isinstance(layer, GrowingLayer):
                    layer.narrow(len(keep), self._first)
        return order[: len(keep)]

    def _prefill_cost(self) -> tuple[int, int]:
        """The most tokens of a forward pass, and how many tokens take as long as a pass by itself."""
        if not self.grows:
            return 2**62, 2**62
        return (2048, 64) if self._device.type == "cpu" else (16384, 1024)

    def _forward(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            **{CACHE_ARGUMENT: cache},
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()


class SlotPlan:
    """Which prompts are read, and the slot of a batch that each prompt's row gets.

    First come the prompts that are read whole, then those that one of these begins with, then the copies of
    either. Without `share` every prompt is read by itself.

    - `rows`: the prompts' numbers by slot;
    - `whole`: the prompts of the first slots, the fewest unread tokens first;
    - `beginnings`: the prompts of the slots behind them, each with the slot of one that begins with it;
    - `copies`: for a slot that is read, the slots behind all others that hold the same.
    """

    def __init__(self, prompts: Sequence[Prompt], *, share: bool) -> None:
        # Rows that begin at the same reading, or at nothing, and ask the same share one reading.
        alike: dict[object, list[int]] = {}
        for row in reading_order(prompts):
            prompt = prompts[row]
            alike.setdefault((tuple(prompt.token_ids), id(prompt.read)) if share else row, []).append(row)
        distinct = {key: prompts[rows[0]] for key, rows in alike.items()}
        owners = nested(distinct) if share else {}
        read = [*(key for key in distinct if key not in owners), *owners]
        slots = {key: slot for slot, key in enumerate(read)}
        self.rows = [alike[key][0] for key in read]
        self.whole = [distinct[key] for key in read[: len(read) - len(owners)]]
        self.beginnings = [(distinct[key], slots[owner]) for key, owner in owners.items()]
        self.copies: list[tuple[int, slice]] = []
        for key in read:
            if more := alike[key][1:]:
                self.copies.append((slots[key], slice(len(self.rows), len(self.rows) + len(more))))
                self.rows += more


def _put_read(buffer: SlotBuffer, layer: int, prompts: Sequence[Prompt], first_slot: int, end: int) -> None:
    """Put what was read of each prompt in front of column `end`, zeros where others have something there."""
    if not any(prompt.read for prompt in prompts):
        return
    for slot, prompt in enumerate(prompts, first_slot):
        if prompt.read:
            buffer.put(slot, end, prompt.read.layers[layer], prompt.read.runs)
    for slot, prompt in enumerate(prompts, first_slot):
        if not prompt.read:
            buffer.clear(slice(slot, slot + 1), end)


def can_grow(model: PreTrainedModel) -> bool:
    """Whether every layer of the model's cache is plain: no sliding window, no recurrent state."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def nested(prompts: Mapping[object, Prompt]) -> dict[object, object]:
    """For each prompt that another one begins with, the longest such other; by key, unread prompts only."""
    unread = [(tuple(p.token_ids), key) for key, p in prompts.items() if p.read is None]
    ordered = sorted(unread, key=lambda pair: pair[0])
    owners: dict[object, object] = {}
    for (tokens, key), (longer, following) in reversed(list(pairwise(ordered))):
        # In this order what begins with a prompt comes right behind it.
        if len(tokens) > 1 and longer[: len(tokens)] == tokens:
            owners[key] = owners.get(following, following)
    return owners


def prefill_groups(lengths: Sequence[int], max_tokens: int, overhead: int) -> list[range]:
    """Consecutive ranges over ascending prompt lengths that are read together, padded to the longest.

    Of all ways to cut in which a range has at most `max_tokens` with its padding, the one of least cost: a
    forward pass costs its tokens and as much as `overhead` more.
    """
    cheapest, begins = [0], [0]
    for stop, length in enumerate(lengths, start=1):
        costs = [
            (cheapest[start] + overhead + length * (stop - start), start)
            for start in range(stop - 1, max(0, stop - max(1, max_tokens // length)) - 1, -1)
        ]
        cost, start = min(costs)
        cheapest.append(cost)
        begins.append(start)
    groups, stop = list[range](), len(lengths)
    while stop:
        groups.insert(0, range(begins[stop], stop))
        stop = begins[stop]
    return groups


def reading_order(prompts: Sequence[Prompt]) -> list[int]:
    """The numbers of the prompts, the fewest unread tokens first, equal ones in a row."""
    keys = [(len(p.unread), len(p.token_ids), tuple(p.token_ids)) for p in prompts]
    return sorted(range(len(prompts)), key=keys.__getitem__)
