"""The search ranks by the words of titles, descriptions and first features, always in the same order."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from affine_trainer.envs.webshop.catalogue import catalogue
from affine_trainer.envs.webshop.search import SearchIndex

SHOP = catalogue()
QUERIES = [f"{product.style} {product.kind} {product.attributes[0]}" for product in SHOP.products[::7]]


def test_a_rare_word_counts_for_more_than_a_common_one():
    index = SearchIndex(["red shirt", "red skirt", "red hat", "blue kilt"])
    assert index.search("red kilt", 4)[0] == 3


def test_a_longer_document_with_the_same_words_comes_later():
    assert SearchIndex(["a plain red shirt for all days", "red shirt"]).search("red shirt", 2) == (1, 0)


def test_equal_scores_keep_the_order_of_the_documents():
    assert SearchIndex(["red", "blue", "red"]).search("red", 3) == (0, 2)


def test_plurals_case_and_punctuation_do_not_matter():
    index = SearchIndex(["Red Shirts", "hat"])
    assert index.search("RED, shirt!", 2) == index.search("red shirts", 2) == (0,)


def test_a_dress_is_not_a_dres():
    assert SearchIndex(["dress", "dres"]).search("dress", 2) == (0,)


@pytest.mark.parametrize("keywords", ["", "   ", "zzzz", "[]", "\x00", "№"])
def test_words_that_nothing_has_find_nothing(keywords):
    assert SHOP.search(keywords, 50) == ()


def test_the_line_asked_for_comes_first():
    for product in SHOP.products[::11]:
        found = SHOP.search(f"{product.style} {product.kind}", 4)
        assert {(hit.style, hit.kind) for hit in found} == {(product.style, product.kind)}


def test_threads_get_what_one_thread_gets():
    alone = [SHOP.search(query, 50) for query in QUERIES]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: SHOP.search(query, 50), QUERIES)) == alone


def test_a_search_takes_milliseconds_and_an_endless_one_no_longer():
    start = time.process_time()
    for number in range(100):
        SHOP.search(f"machine washable slim fit red shirt size small {number}", 50)
    SHOP.search("shirt with red " * 100_000, 50)
    assert time.process_time() - start < 2.0
