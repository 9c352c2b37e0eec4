"""Splits own disjoint index ranges, and draws from them are distinct, pure and prefix-stable."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affine_trainer.envs.splits import SPLIT_RANGES, draw_indices, split_of
from affine_trainer.errors import AffineError

SPLITS = st.sampled_from(sorted(SPLIT_RANGES))


def test_no_index_belongs_to_two_splits():
    for one, other in itertools.combinations(SPLIT_RANGES.values(), 2):
        assert one.stop <= other.start or other.stop <= one.start


@pytest.mark.parametrize(
    ("index", "split"),
    [
        (0, "evaluation"),
        (999_999, "evaluation"),
        (1_000_000, "validation"),
        (2_000_000, "train"),
        (10**9, "pretrain"),
    ],
)
def test_the_borders_of_the_ranges_belong_to_the_split_that_starts_there(index, split):
    assert split_of(index) == split


@pytest.mark.parametrize("index", [-1, 2_000_000_000])
def test_an_index_that_no_split_owns_is_refused(index):
    with pytest.raises(AffineError, match=str(index)):
        split_of(index)


@given(SPLITS, st.integers(0, 2**31 - 1), st.integers(0, 300), st.integers(0, 300))
def test_a_shorter_draw_is_a_prefix_of_a_longer_one(split, seed, short, extra):
    longer = draw_indices("affine:sat", "small", split, short + extra, seed)
    assert draw_indices("affine:sat", "small", split, short, seed) == longer[:short]


@given(SPLITS, st.integers(0, 2**31 - 1))
def test_drawn_indices_are_distinct_and_of_their_split(split, seed):
    drawn = draw_indices("affine:sat", "small", split, 500, seed)
    assert len(set(drawn)) == 500
    assert {split_of(index) for index in drawn} == {split}


def test_a_draw_depends_on_environment_family_and_seed():
    draws = [
        tuple(draw_indices(env, family, "train", 20, seed))
        for env in ("affine:sat", "affine:abd")
        for family in ("a", "b")
        for seed in (0, 1)
    ]
    assert len(set(draws)) == len(draws)


def test_a_draw_is_the_same_on_every_machine():
    assert draw_indices("affine:sat", "small", "evaluation", 3, 0) == [260231, 758765, 921614]


def test_more_indices_than_a_split_holds_are_refused():
    with pytest.raises(AffineError, match="1000000 validation tasks; asked for 1000001"):
        draw_indices("affine:sat", "small", "validation", 1_000_001, 0)
