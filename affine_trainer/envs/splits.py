"""Which indices of a task family belong to pretraining, training, validation and evaluation."""

from __future__ import annotations

import random

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
    indices = SPLIT_RANGES[split]
    if not 0 <= count <= len(indices):
        raise AffineError(f"{env}@{family} has {len(indices)} {split} tasks; asked for {count}")
    rng = random.Random(seed_from("indices", env, family, split, seed))
    drawn: dict[int, None] = {}  # a dict keeps the order of drawing
    while len(drawn) < count:
        drawn[rng.randrange(indices.start, indices.stop)] = None
    return list(drawn)
