"""What a model has read: cache layers that grow in place, and a conversation's part of them between turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

SPARE_COLUMNS = 64  # of room for what is sampled, made whenever the last is used up


@dataclass(frozen=True, slots=True)
class ReadTokens:
    """The first `count` tokens of a conversation as a model has read them.

    Each layer is the keys and values of one row of a finished batch, both (heads, columns, head size) and not
    written to any more; the tokens lie in the columns of `runs`, which are ranges (start, stop) in order.
    """

    count: int
    layers: tuple[tuple[Tensor, Tensor], ...]
    runs: tuple[tuple[int, int], ...]

    def alone(self) -> ReadTokens:
        """The same in tensors of its own, so that the batch it was read in can be let go."""
        layers = tuple(
            (
                torch.cat([keys[:, start:stop] for start, stop in self.runs], dim=1),
                torch.cat([values[:, start:stop] for start, stop in self.runs], dim=1),
            )
            for keys, values in self.layers
        )
        return ReadTokens(self.count, layers, ((0, self.count),))


class SlotBuffer:
    """Keys and values of one layer in `num_slots` rows of a batch, with room for columns to come.

    `keys` and `values`, shape (slots, heads, columns, head size), exist once something was written. Where
    more columns are needed than there is room for, only the slots that are written to go on; the others are
    kept as they are where `keep_all` is set, and let go where it is not.
    """

    def __init__(self, num_slots: int, width: int, *, keep_all: bool = False) -> None:
        self._num_slots, self._width, self._keep_all = num_slots, width, keep_all
        self._left: dict[int, tuple[Tensor, Tensor]] = {}
        self.keys: Tensor = torch.empty(0)
        self.values: Tensor = torch.empty(0)

    def write(self, slots: slice, start: int, keys: Tensor, values: Tensor) -> None:
        """Write columns from `start` on; more room is made for the first slots, up to the last of `slots`."""
        end = start + keys.shape[2]
        if not self.keys.numel():
            self._allocate(self._num_slots, keys[0], values[0], max(self._width, end))
        elif end > self.keys.shape[2]:
            self._grow(slots.indices(len(self.keys))[1], start, end)
        self.keys[slots, :, start:end] = keys
        self.values[slots, :, start:end] = values

    def put(self, slot: int, end: int, read: tuple[Tensor, Tensor], runs: Sequence[tuple[int, int]]) -> None:
        """Copy the `runs` of a row that was read so that they end at column `end`; zeros come before."""
        if not self.keys.numel():
            self._allocate(self._num_slots, *read, self._width)
        for buffer, row in zip((self.keys, self.values), read, strict=True):
            column = end
            for start, stop in reversed(runs):
                buffer[slot, :, column - (stop - start) : column] = row[:, start:stop]
                column -= stop - start
            buffer[slot, :, :column] = 0

    def clear(self, slots: slice, end: int) -> None:
        """Zeros before column `end`: masked columns still enter products, where a stray NaN would spread."""
        self.keys[slots, :, :end] = 0
        self.values[slots, :, :end] = 0

    def exchange(self, one: int, other: int, columns: slice, *, keep: bool) -> None:
        """Put slot `other` in the place of `one`, and the other way round too where `keep` is set."""
        for buffer in (self.keys, self.values):
            held = buffer[one, :, columns].clone() if keep else None
            buffer[one, :, columns] = buffer[other, :, columns]
            if held is not None:
                buffer[other, :, columns] = held

    def copy(self, source: int, slots: slice, columns: slice) -> None:
        """Put what slot `source` holds in these columns into each of `slots`."""
        for buffer in (self.keys, self.values):
            buffer[slots, :, columns] = buffer[source, :, columns]

    def row(self, slot: int) -> tuple[Tensor, Tensor]:
        """Keys and values of one slot, whether it went on or not (`keep_all`)."""
        return self._left[slot] if slot in self._left else (self.keys[slot], self.values[slot])

    def _grow(self, num_slots: int, start: int, end: int) -> None:
        old_keys, old_values = self.keys, self.values
        if self._keep_all:
            gone = range(num_slots, len(old_keys))
            for slot in gone:  # in tensors of their own: a view would keep all of the old ones
                self._left[slot] = (old_keys[slot, :, :start].clone(), old_values[slot, :, :start].clone())
        self._allocate(num_slots, old_keys[0], old_values[0], end)
        self.keys[:, :, :start] = old_keys[:num_slots, :, :start]
        self.values[:, :, :start] = old_values[:num_slots, :, :start]

    def _allocate(self, num_slots: int, keys: Tensor, values: Tensor, columns: int) -> None:
        """Room for `columns` and some more, in the shape and type of one row's (heads, any, head size)."""
        self.keys, self.values = (
            row.new_empty((num_slots, row.shape[0], columns + SPARE_COLUMNS, row.shape[2]))
            for row in (keys, values)
        )


class GrowingLayer(DynamicLayer):
    """A cache layer that is a window on a buffer: some slots, and the columns from `first` to `end`.

    New columns are written into the buffer's spare room instead of copying all of it every step.
    """

    is_sliding = False

    def __init__(self, buffer: SlotBuffer, slots: slice, first: int, end: int) -> None:
        super().__init__()
        self.buffer = buffer
        self._slots, self._first, self._end = slots, first, end
        if end > first:
            self._look()

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append columns; returns all keys and values of the window."""
        start, self._end = self._end, self._end + key_states.shape[2]
        self.buffer.write(self._slots, start, key_states, value_states)
        return self._look()

    def narrow(self, num_slots: int, first: int) -> None:
        """Look at the first `num_slots` slots alone, from column `first` on."""
        self._slots, self._first = slice(num_slots), first
        self._look()

    def _look(self) -> tuple[Tensor, Tensor]:
        columns = slice(self._first, self._end)
        keys = self.buffer.keys[self._slots, :, columns]
        values = self.buffer.values[self._slots, :, columns]
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        return keys, values
