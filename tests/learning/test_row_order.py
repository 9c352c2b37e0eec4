"""The order of SFT's rows: complete, cheap to pad, mixed, and the same for the same seed and epoch."""

import random

from affine_trainer.learning.row_order import ReproducibleOrder


def test_an_epoch_visits_every_row_once_in_batches_of_like_length():
    draw = random.Random(0)
    lengths = [draw.choice([10, 50, 100]) + draw.randrange(10) for _ in range(203)]
    order = ReproducibleOrder(lengths, batch_size=8, seed=1)
    rows = list(order)
    assert sorted(rows) == list(range(203)) and len(order) == 203
    batches = [[lengths[row] for row in rows[start : start + 8]] for start in range(0, 203, 8)]
    padded = sum(len(batch) * max(batch) for batch in batches)
    assert padded < 1.25 * sum(lengths)
    longest = [max(batch) for batch in batches]
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)


def test_the_order_is_a_function_of_seed_and_epoch():
    lengths = list(range(60))
    first, again = (list(ReproducibleOrder(lengths, 4, seed=3)) for _ in range(2))
    assert first == again
    other = ReproducibleOrder(lengths, 4, seed=3)
    other.set_epoch(1)
    assert list(other) != first and list(ReproducibleOrder(lengths, 4, seed=4)) != first
