"""SAT formulas read back, and equal up to renaming of variables and flips of signs."""

import itertools
import random

import pytest

from affine_trainer.envs.sat import FAMILIES, write_formula
from affine_trainer.leaks.formulas import canonical_formula, formula_profile, parse_formula


def clauses_of(family, index):
    return frozenset(map(frozenset, FAMILIES[family](index).clauses))


def disguised(clauses, seed):
    """The same formula with variables renamed (to other numbers, too) and signs flipped at random."""
    rng = random.Random(seed)
    variables = sorted({abs(literal) for clause in clauses for literal in clause})
    names = rng.sample(range(1, 3 * len(variables)), len(variables))
    to = {v: name * rng.choice((1, -1)) for v, name in zip(variables, names, strict=True)}
    return frozenset(frozenset(to[abs(x)] * (1 if x > 0 else -1) for x in clause) for clause in clauses)


@pytest.mark.parametrize("family", ["validator", "guide", "small", "tiny"])
def test_a_written_formula_is_read_back(family):
    for index in range(20):
        text = f"Solve this:\n{write_formula(FAMILIES[family](index))}\nAnswer with x1=True, ..."
        assert parse_formula(text) == clauses_of(family, index)


def test_other_ways_of_writing_it_are_read():
    wanted = frozenset({frozenset({1, -2}), frozenset({-3})})
    for text in ("(x1 ∨ ¬x2) ∧ (¬x3)", "(x1 | ~x2) & (!x3)", "(x1 OR NOT x2) AND (NOT x3)"):
        assert parse_formula(text) == wanted
    assert parse_formula("What is (2 + 3) times x1?") is None


@pytest.mark.parametrize("family", ["validator", "guide", "small", "tiny"])
def test_renaming_and_flipping_leave_profile_and_canonical_form_as_they_are(family):
    for index in range(12):
        formula = clauses_of(family, index)
        other = disguised(formula, index)
        assert formula_profile(formula) == formula_profile(other)
        assert canonical_formula(formula) == canonical_formula(other)
        assert canonical_formula(formula).proven


def equal_by_trying(one, other):
    """Whether some renaming and flipping makes two formulas over x1..x3 equal: all 48 are tried."""
    for order in itertools.permutations((1, 2, 3)):
        for signs in itertools.product((1, -1), repeat=3):
            to = {v: name * sign for v, name, sign in zip((1, 2, 3), order, signs, strict=True)}
            moved = frozenset(frozenset(to[abs(x)] * (1 if x > 0 else -1) for x in clause) for clause in one)
            if moved == other:
                return True
    return False


def test_the_canonical_form_agrees_with_trying_every_renaming():
    rng = random.Random(0)
    pool = [
        frozenset(v * sign for v, sign in zip(variables, signs, strict=True))
        for variables in ((1, 2), (1, 3), (2, 3), (1, 2, 3))
        for signs in itertools.product((1, -1), repeat=len(variables))
    ]
    formulas = [frozenset(rng.sample(pool, 3)) for _ in range(60)]
    formulas = [
        formula for formula in formulas if {abs(x) for clause in formula for x in clause} == {1, 2, 3}
    ]
    agreed = {True: 0, False: 0}
    for one, other in itertools.combinations(formulas, 2):
        equal = equal_by_trying(one, other)
        assert (canonical_formula(one) == canonical_formula(other)) is equal
        agreed[equal] += 1
    assert min(agreed.values()) > 20, "the test must have seen both"


def test_one_flipped_literal_is_another_formula():
    formula = clauses_of("validator", 3)
    changed = next(iter(sorted(map(sorted, formula))))
    other = (formula - {frozenset(changed)}) | {frozenset({-changed[0], *changed[1:]})}
    assert canonical_formula(formula) != canonical_formula(other)


def test_where_the_search_would_take_too_long_the_form_says_that_it_proves_nothing():
    ring = frozenset(frozenset({v, v % 8 + 1}) for v in range(1, 9))
    form = canonical_formula(ring, max_leaves=2)
    assert not form.proven
    assert form == canonical_formula(disguised(ring, 1), max_leaves=2)
    assert canonical_formula(ring).proven
