"""Which indices of a task family belong to pretraining, training, validation and evaluation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from affine_trainer.errors import AffineError
from affine_trainer.records import Split, seed_from

SPLIT_RANGES: dict[Split, range] = {
    "evaluation": range(0, 1_000_000),
    "validation": range(1_000_000, 2_000_000),
    "train": range(2_000_000, 1_000_000_000),
    "pretrain": range(1_000_000_000, 2_000_000_000),
}


def split_of(index: int) -> Split:
    """The split that owns `index`; AffineError outside [0, 2,000,000,000)."""
    for split, indices in SPLIT_RANGES.items():
        if index in indices:
            return split
    raise AffineError(f"task index {index} lies outside 0..1999999999; pick an index in that range")


def draw_indices(env: str, family: str, split: Split, count: int, seed: int) -> list[int]:
    """`count` distinct indices of a split, a pure function of the arguments.

    They are drawn one after another, so a smaller `count` gives a prefix of a larger one.
    AffineError when the split holds fewer than `count` indices.
    """
    num_tasks = len(SPLIT_RANGES[split])
    if not 0 <= count <= num_tasks:
        raise AffineError(f"{env}@{family} has {num_tasks} {split} tasks; asked for {count}")
    return list(islice(shuffled_indices(env, family, split, seed), count))


def shuffled_indices(env: str, family: str, split: Split, seed: int) -> Iterator[int]:
    """All indices of a split in the order of `draw_indices`, for whoever takes only some of them."""
    indices = SPLIT_RANGES[split]
    rng = random.Random(seed_from("indices", env, family, split, seed))
    drawn: set[int] = set()
    while len(drawn) < len(indices):
        index = rng.randrange(indices.start, indices.stop)
        if index not in drawn:
            drawn.add(index)
            yield index
