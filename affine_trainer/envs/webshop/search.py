"""BM25 over short texts: an inverted index with ready-made weights, read-only once built."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

# The usual parameters of the search library behind the real shop.
K1 = 0.9
B = 0.4
MOST_TERMS = 64  # of a query; more add nothing but time


def terms(text: str) -> list[str]:
    """Lower-case words and numbers, a plural's final s cut off."""
    return [_stem(word) for word in re.findall(r"[a-z0-9]+", text.lower())]


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class SearchIndex:
    """Documents are known by their position; equal scores go by position, so an answer never varies."""

    def __init__(self, documents: Sequence[str]) -> None:
        counts = [Counter(terms(document)) for document in documents]
        lengths = [sum(count.values()) for count in counts]
        mean = sum(lengths) / len(lengths)
        frequency = Counter(term for count in counts for term in count)
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, count in enumerate(counts):
            norm = K1 * (1 - B + B * lengths[number] / mean)
            for term, times in count.items():
                rarity = math.log(1 + (len(counts) - frequency[term] + 0.5) / (frequency[term] + 0.5))
                self._postings[term].append((number, rarity * times / (times + norm)))
        self._cached = lru_cache(maxsize=4096)(self._ranked)

    def search(self, keywords: str, limit: int) -> tuple[int, ...]:
        """Positions of the best documents that share a term with the keywords, best first."""
        return self._cached(tuple(terms(keywords)[:MOST_TERMS]), limit)

    def _ranked(self, query: tuple[str, ...], limit: int) -> tuple[int, ...]:
        scores: dict[int, float] = defaultdict(float)
        for term in query:
            for number, weight in self._postings.get(term, ()):
                scores[number] += weight
        return tuple(heapq.nsmallest(limit, scores, key=lambda number: (-scores[number], number)))
