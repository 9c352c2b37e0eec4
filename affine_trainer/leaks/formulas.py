"""SAT formulas read back from a prompt, and their canonical form up to renaming and sign flips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from affine_trainer.records import sha256_of

Clauses = frozenset[frozenset[int]]
Colours = dict[int, int]

# A whole formula in brackets; other ways to write "or", "and" and "not" are met in data sets of others.
CLAUSE = re.compile(
    r"\(\s*((?:[¬~!-]|not\s)?\s*x\d+(?:\s*(?:∨|\||v|or)\s*(?:[¬~!-]|not\s)?\s*x\d+)*)\s*\)", re.I
)
LITERAL = re.compile(r"([¬~!-]|not\s)?\s*x(\d+)", re.I)
MAX_LEAVES = 256


class CanonicalFormula(NamedTuple):
    """A hash that equal formulas share; `proven` where, too, only equal formulas share it."""

    sha256: str
    proven: bool


def parse_formula(text: str) -> Clauses | None:
    """The set of clauses written in a prompt, each a set of +v and -v; None where there is no formula."""
    clauses = (
        frozenset(int(number) * (-1 if sign else 1) for sign, number in LITERAL.findall(clause))
        for clause in CLAUSE.findall(text)
    )
    return frozenset(clauses) or None


def formula_profile(clauses: Clauses) -> str:
    """What renaming variables and flipping signs leaves as it is, cheap to compute: clause sizes, and how
    often each variable occurs with its rarer and its more frequent sign."""
    counts: dict[int, int] = {}
    for clause in clauses:
        for literal in clause:
            counts[literal] = counts.get(literal, 0) + 1
    variables = {abs(literal) for literal in counts}
    signs = sorted(sorted((counts.get(v, 0), counts.get(-v, 0))) for v in variables)
    return sha256_of([sorted(map(len, clauses)), signs])


def canonical_formula(clauses: Clauses, max_leaves: int = MAX_LEAVES) -> CanonicalFormula:
    """The canonical form under any permutation of the variables and any set of sign flips.

    Individualisation and refinement (McKay 1981): literals are told apart by the clauses they stand in until
    nothing changes; where some still look alike, each of them is tried first, and the smallest result counts.
    Beyond `max_leaves` tries the hash of the refined colours is given instead, which unequal formulas may
    share (`proven` is False). Both depend on the formula alone, not on how it was written.
    """
    literals = sorted({sign * literal for clause in clauses for literal in clause for sign in (1, -1)})
    members = [sorted(clause) for clause in clauses]
    start = _refined(dict.fromkeys(literals, 0), members)
    leaves: list[list[list[int]]] = []
    if _search(start, members, leaves, max_leaves):
        return CanonicalFormula(sha256_of(min(leaves)), True)
    refined = sorted(sorted(start[literal] for literal in clause) for clause in members)
    return CanonicalFormula(sha256_of(["refined", refined]), False)


def _search(
    colours: Colours, clauses: Sequence[Sequence[int]], leaves: list[list[list[int]]], limit: int
) -> bool:
    """Collect the form of every complete ordering of the literals; False once there are more than `limit`."""
    cells: dict[int, list[int]] = {}
    for literal, colour in colours.items():
        cells.setdefault(colour, []).append(literal)
    open_cells = [(len(cell), colour) for colour, cell in cells.items() if len(cell) > 1]
    if not open_cells:
        leaves.append(_written(colours, clauses))
        return len(leaves) <= limit
    chosen = min(open_cells)[1]
    return all(
        _search(_refined({**colours, literal: -1}, clauses), clauses, leaves, limit)
        for literal in cells[chosen]
    )


def _refined(colours: Colours, clauses: Sequence[Sequence[int]]) -> Colours:
    """Split colours by the clauses that a literal stands in, and by its negation, until none splits."""
    while True:
        seen: dict[int, list[tuple[int, ...]]] = {literal: [] for literal in colours}
        for clause in clauses:
            colour = tuple(sorted(colours[literal] for literal in clause))
            for literal in clause:
                seen[literal].append(colour)
        signatures = {
            literal: (colours[literal], colours[-literal], tuple(sorted(found)))
            for literal, found in seen.items()
        }
        numbers = {value: number for number, value in enumerate(sorted(set(signatures.values())))}
        split = {literal: numbers[value] for literal, value in signatures.items()}
        if len(numbers) == len(set(colours.values())):
            return split
        colours = split


def _written(colours: Colours, clauses: Sequence[Sequence[int]]) -> list[list[int]]:
    """The clauses, literals named in the order of their colours; the first of a variable is positive."""
    names: dict[int, int] = {}
    for literal in sorted(colours, key=colours.__getitem__):
        if literal not in names:
            names[literal] = len(names) // 2 + 1
            names[-literal] = -names[literal]
    return sorted(sorted(names[literal] for literal in clause) for clause in clauses)
