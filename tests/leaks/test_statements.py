"""Statements that say nearly the same, and those that do not."""

import itertools
import random

import pytest

from affine_trainer.leaks.statements import most_similar, shingles

STATEMENT = (
    "You are given a list of n integers on one line. Print the sum of all values that are divisible by "
    "three, or the word none if there are no such values at all."
)
REWORDED = STATEMENT.replace("at all.", "whatsoever.")
UNRELATED = (
    "Read a word and print it backwards, with every vowel in upper case and all other letters in lower case."
)


def test_a_reworded_statement_is_found_and_an_unrelated_one_is_not():
    assert most_similar([STATEMENT], [UNRELATED, REWORDED])[STATEMENT].text == REWORDED
    assert most_similar([STATEMENT], [UNRELATED]) == {}


def test_the_similarity_is_the_jaccard_index_of_the_shingles():
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    rng = random.Random(1)
    texts = [" ".join(rng.choices(words, k=rng.randint(2, 9))) for _ in range(40)]
    texts = list(dict.fromkeys(texts))
    asked, known = texts[:15], texts[15:]
    found = most_similar(asked, known, least=0.01)
    for text in asked:
        values = [
            len(shingles(text) & shingles(other)) / len(shingles(text) | shingles(other)) for other in known
        ]
        best = max(values)
        assert found[text].similarity == pytest.approx(best) if best else text not in found


def test_wording_around_every_statement_does_not_make_them_alike():
    around = "Solve the following problem in Python 3. {} Return only the code, in one fenced block, please."
    nouns = itertools.product(("dogs", "cats", "hens", "cows"), repeat=3)
    asked = [f"Count {a} then {b} but never {c} twice over in that field today" for a, b, c in nouns]
    known = [around.format(text) for text in asked]
    found = most_similar([*asked, UNRELATED], known)
    assert found[asked[0]].text == known[0]
    assert UNRELATED not in found
