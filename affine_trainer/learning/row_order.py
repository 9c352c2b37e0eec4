"""The order in which SFT sees its rows: by length within a batch, at random between batches."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from affine_trainer.records import seed_from

BATCHES_SORTED_TOGETHER = 8  # more: less padding; fewer: batches that mix more kinds of rows


class ReproducibleOrder(Sampler[int]):
    """Batches of rows of similar length, in an order that is a function of (seed, epoch).

    Rows are shuffled, sorted by length within groups of a few batches, and the batches shuffled again:
    transformers' own sampler leaves them sorted, so that one kind of task is trained on for many steps, and
    draws from torch's global generator, whose state a resumed epoch does not start from.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(seed_from(self.seed, self.epoch))
        rows = draw.sample(range(len(self.lengths)), len(self.lengths))
        batches = []
        for group in _cut(rows, self.batch_size * BATCHES_SORTED_TOGETHER):
            batches += _cut(sorted(group, key=self.lengths.__getitem__), self.batch_size)
        draw.shuffle(batches)
        batches.sort(key=lambda batch: len(batch) < self.batch_size)  # a smaller one comes last
        return (row for batch in batches for row in batch)


def _cut(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
