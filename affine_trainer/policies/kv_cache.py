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
        return self._key_buffer[row][:, columns], self._value_buffer[row][:, columns]

    def select(self, rows: Tensor, first_column: int) -> None:
        """Keep these rows, without the columns before `first_column`."""
        columns = slice(first_column, self.get_seq_length())
        self._start(self._key_buffer[rows, :, columns], self._value_buffer[rows, :, columns])

    @classmethod
    def stacked(cls, parts: Sequence[DynamicLayer], rows: Tensor) -> GrowingLayer:
        """These `rows` (any of them more than once) of several layers, their columns aligned on the right."""
        layer = cls()
        keys, values = (stack_right([getattr(part, name) for part in parts]) for name in ("keys", "values"))
        layer.update(keys[rows], values[rows])
        return layer

    @classmethod
    def of_rows(cls, keys: Sequence[Tensor], values: Sequence[Tensor]) -> GrowingLayer:
        """A layer of single rows, each of shape (heads, columns, head size), aligned on the right."""
        layer = cls()
        layer.update(*(stack_right([part[None] for part in parts]) for parts in (keys, values)))
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


def stack_right(parts: Sequence[Tensor]) -> Tensor:
    """Tensors (rows, heads, columns, head size) below each other, their columns aligned on the right."""
    # Zeros, not empty memory: masked columns still enter products, where a stray NaN would spread.
    width = max(part.shape[2] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, 0, width - part.shape[2], 0)) for part in parts])
