"""Which receptacles stand in a room, drawn so that no room of one split is met in another."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import lru_cache

from affine_trainer.envs.alfworld.rooms import NUM_PLACES, ROOMS
from affine_trainer.records import Split, seed_from

NUM_BUCKETS = 16
BUCKETS: dict[Split, range] = {
    "evaluation": range(0, 2),
    "validation": range(2, 4),
    "pretrain": range(4, 8),
    "train": range(8, NUM_BUCKETS),
}


@lru_cache(maxsize=20_000)
def bucket_of(room: str, counts: tuple[int, ...]) -> int:
    """The bucket of a room by its receptacle counts alone, so equal rooms belong to one split."""
    return seed_from("agentgym:alfworld", "room", room, counts) % NUM_BUCKETS


def draw_places(rng: random.Random, room: str, split: Split, needed: Iterable[str]) -> list[tuple[str, int]]:
    """(kind, number) of every receptacle of a room of this split, at least one of each `needed` kind.

    In the order in which a player reads them: by kind, the highest number first.
    """
    needed = set(needed)
    kinds = ROOMS[room]
    while True:
        counts = tuple(rng.randint(max(low, kind in needed), high) for kind, (low, high) in kinds.items())
        if sum(counts) in NUM_PLACES and bucket_of(room, counts) in BUCKETS[split]:
            break
    return [
        (kind, number) for kind, count in zip(kinds, counts, strict=True) for number in range(count, 0, -1)
    ]
