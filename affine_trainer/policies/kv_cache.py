"""What a model has read: cache layers that grow in place, and a conversation's part of them between turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer


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

    def columns_of(self, row: int, columns: Tensor) -> tuple[Tensor, Tensor]:
        """A copy of these columns of one row's keys and values, each (heads, columns, head size)."""
        buffers = self._key_buffer[row], self._value_buffer[row]
        keys, values = (buffer.index_select(1, columns) for buffer in buffers)
        return keys, values

    def select(self, rows: Tensor, first_column: int) -> None:
        """Keep these rows, without the columns before `first_column`."""
        columns = slice(first_column, self.get_seq_length())
        self._start(self._key_buffer[rows, :, columns], self._value_buffer[rows, :, columns])

    @classmethod
    def stacked(cls, parts: Sequence[DynamicLayer], rows: Tensor) -> GrowingLayer:
        """These `rows` (any of them more than once) of several layers, their columns aligned on the right."""
        every = ([row for part in parts for row in getattr(part, name)] for name in ("keys", "values"))
        keys, values = ([tensors[row] for row in rows.tolist()] for tensors in every)
        return cls.of_rows(keys, values)

    @classmethod
    def of_rows(cls, keys: Sequence[Tensor], values: Sequence[Tensor]) -> GrowingLayer:
        """A layer of single rows, each of shape (heads, columns, head size), aligned on the right."""
        layer = cls()
        layer.lazy_initialization(keys[0][None], values[0][None])
        layer._key_buffer, layer._value_buffer = (
            side_by_side(part, cls.spare_columns) for part in (keys, values)
        )
        used = slice(max(part.shape[1] for part in keys))
        layer.keys, layer.values = layer._key_buffer[:, :, used], layer._value_buffer[:, :, used]
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


@dataclass(frozen=True, slots=True)
class ReadTokens:
    """The first `count` tokens of a conversation as a model has read them: keys and values of each layer.

    Each tensor has shape (heads, count, head size).
    """

    count: int
    layers: tuple[tuple[Tensor, Tensor], ...]


def side_by_side(rows: Sequence[Tensor], spare_columns: int) -> Tensor:
    """Rows (heads, columns, head size) in one buffer, each ending at the widest row's last column."""
    heads, _, head_size = rows[0].shape
    width = max(row.shape[1] for row in rows)
    buffer = rows[0].new_empty((len(rows), heads, width + spare_columns, head_size))
    for place, row in zip(buffer, rows, strict=True):
        # Zeros, not empty memory: masked columns still enter products, where a stray NaN would spread.
        place[:, : width - row.shape[1]] = 0
        place[:, width - row.shape[1] : width] = row
    return buffer
