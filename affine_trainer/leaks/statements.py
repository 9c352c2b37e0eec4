"""Problem statements that say nearly the same: word shingles and their exact Jaccard similarity."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WORD = re.compile(r"\w+|[^\w\s]")
SHINGLE_WORDS = 3
MIN_SIMILARITY = 0.8
# A shingle in more than this share of all statements is wording around the problem, not the problem.
MAX_DOCUMENT_SHARE = 0.2
FEW_STATEMENTS = 50

Shingles = frozenset[tuple[str, ...]]


class Similar(NamedTuple):
    """The most similar known statement: its text and the Jaccard similarity (1: the same shingles)."""

    text: str
    similarity: float


def shingles(text: str) -> Shingles:
    """All runs of SHINGLE_WORDS words of a text, letter case aside; a shorter text is one shingle."""
    words = [word.lower() for word in WORD.findall(text)]
    last = max(len(words) - SHINGLE_WORDS, 0)
    return frozenset(tuple(words[start : start + SHINGLE_WORDS]) for start in range(last + 1))


def most_similar(
    asked: Sequence[str], known: Sequence[str], least: float = MIN_SIMILARITY
) -> Mapping[str, Similar]:
    """For each text of `asked` the most similar of `known`, where that reaches `least`.

    Jaccard similarity of the shingle sets (Broder 1997), exact through an inverted index. Shingles that
    more than a fifth of either side's statements share, once it has enough of them, are left out.
    """
    asked, known = list(dict.fromkeys(asked)), list(dict.fromkeys(known))
    sets = {text: shingles(text) for text in dict.fromkeys((*asked, *known))}
    common = _common([sets[text] for text in asked]) | _common([sets[text] for text in known])
    sets = {text: found - common or found for text, found in sets.items()}
    places: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, text in enumerate(known):
        for shingle in sets[text]:
            places[shingle].append(number)
    found = {}
    for text in asked:
        shared: Counter[int] = Counter()
        for shingle in sets[text]:
            shared.update(places.get(shingle, ()))
        best = max(
            ((_jaccard(count, sets[text], sets[known[number]]), -number) for number, count in shared.items()),
            default=(0.0, 0),
        )
        if best[0] >= least:
            found[text] = Similar(known[-best[1]], best[0])
    return found


def _jaccard(shared: int, one: Shingles, other: Shingles) -> float:
    return shared / (len(one) + len(other) - shared)


def _common(sets: Sequence[Shingles]) -> Shingles:
    if len(sets) < FEW_STATEMENTS:
        return frozenset()
    counts: Counter[tuple[str, ...]] = Counter()
    for found in sets:
        counts.update(found)
    return frozenset(shingle for shingle, count in counts.items() if count > MAX_DOCUMENT_SHARE * len(sets))
