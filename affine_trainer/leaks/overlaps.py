"""What two places share: the same problem (a leak), or one that is nearly the same (a warning)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from affine_trainer.leaks.formulas import Clauses, canonical_formula, formula_profile
from affine_trainer.leaks.problem import ROLES, Problem
from affine_trainer.leaks.statements import Similar, most_similar

Kind = Literal[
    "same key",
    "same content",
    "same text",
    "formula up to renaming and signs",
    "formula perhaps up to renaming and signs",
    "program up to names",
    "program up to names and constants",
    "similar statement",
    "same first observation",
]
EXACT: frozenset[Kind] = frozenset({"same key", "same content", "same text"})
MAX_EXAMPLES = 5
Trait = Callable[[Problem], Any]


@dataclass(frozen=True, slots=True)
class Match:
    """A problem that is held back, and one that was seen before and is like it."""

    seen: Problem
    held: Problem
    kind: Kind
    similarity: float = 1.0


def find_matches(problems: Sequence[Problem]) -> list[Match]:
    """For every problem of a later role at most one match in each place of an earlier role, the closest kind.

    Roles in order: training, validation, evaluation. A key names the same problem wherever it stands.
    """
    by_place: defaultdict[tuple[int, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        by_place[ROLES.index(problem.role), problem.place].append(problem)
    matches = []
    for (first, seen), (second, held) in combinations(sorted(by_place.items(), key=lambda item: item[0]), 2):
        if first[0] != second[0]:
            matches += compare_places(seen, held)
    return matches


def compare_places(seen: Sequence[Problem], held: Sequence[Problem]) -> list[Match]:
    """The closest match in `seen` of every problem of `held` that has one."""
    found: list[Match] = []
    waiting = list(held)
    for kind, trait in EXACT_TRAITS:
        waiting = _take(kind, trait, seen, waiting, found)
    waiting = _contained(seen, waiting, found)
    waiting = _same_formulas(seen, waiting, found)
    for kind, trait in NEAR_TRAITS:
        waiting = _take(kind, trait, seen, waiting, found)
    _similar(seen, waiting, found)
    return found


def _asked(problem: Problem) -> tuple[str, str] | None:
    """What is asked, by its text; of an interactive task the text is a view, and the rest may differ."""
    return None if problem.asked is None or problem.interactive else (problem.env, problem.asked)


def _opening(problem: Problem) -> tuple[str, str] | None:
    return (problem.env, problem.asked) if problem.asked and problem.interactive else None


def _in_env(problem: Problem, value: str | None) -> tuple[str, str] | None:
    return None if value is None else (problem.env, value)


EXACT_TRAITS: Sequence[tuple[Kind, Trait]] = (
    ("same key", lambda problem: problem.key),
    ("same content", lambda problem: _in_env(problem, problem.content)),
    ("same text", _asked),
)
NEAR_TRAITS: Sequence[tuple[Kind, Trait]] = (
    ("same first observation", _opening),
    ("program up to names", lambda problem: problem.program and _in_env(problem, problem.program.renamed)),
    (
        "program up to names and constants",
        lambda problem: problem.program and _in_env(problem, problem.program.shape),
    ),
)


def _take(
    kind: Kind, trait: Trait, seen: Sequence[Problem], waiting: Sequence[Problem], found: list[Match]
) -> list[Problem]:
    """Match equal traits; returns what is left."""
    known = {value: problem for problem in reversed(seen) if (value := trait(problem))}
    left = []
    for problem in waiting:
        value = trait(problem)
        if value and value in known:
            found.append(Match(known[value], problem, kind))
        else:
            left.append(problem)
    return left


def _same_formulas(seen: Sequence[Problem], waiting: Sequence[Problem], found: list[Match]) -> list[Problem]:
    """Formulas that renaming variables and flipping signs makes equal.

    Canonical forms are computed only where the cheap profiles agree.
    """
    profiles: dict[Clauses, str] = {}
    for problem in (*seen, *waiting):
        if problem.formula is not None and problem.formula not in profiles:
            profiles[problem.formula] = formula_profile(problem.formula)
    shared = {profiles[problem.formula] for problem in seen if problem.formula is not None}
    shared &= {profiles[problem.formula] for problem in waiting if problem.formula is not None}
    forms = {
        formula: canonical_formula(formula) for formula, profile in profiles.items() if profile in shared
    }

    def form(proven: bool) -> Trait:
        def trait(problem: Problem) -> str | None:
            known = forms.get(problem.formula) if problem.formula is not None else None
            return known.sha256 if known and known.proven is proven else None

        return trait

    left = _take("formula up to renaming and signs", form(True), seen, waiting, found)
    return _take("formula perhaps up to renaming and signs", form(False), seen, left, found)


def _statements(problems: Iterable[Problem]) -> dict[str, Problem]:
    return {problem.statement: problem for problem in problems if problem.statement}


def _contained(seen: Sequence[Problem], waiting: Sequence[Problem], found: list[Match]) -> list[Problem]:
    """A statement that stands, word for word, within a prompt of a file without task keys."""
    foreign = _statements(problem for problem in seen if problem.key is None)
    similar = most_similar(
        [problem.statement for problem in waiting if problem.statement], list(foreign), 0.5
    )
    left = []
    for problem in waiting:
        best = similar.get(problem.statement or "")
        if best and problem.statement and problem.statement.lower() in best.text.lower():
            found.append(Match(foreign[best.text], problem, "same text"))
        else:
            left.append(problem)
    return left


def _similar(seen: Sequence[Problem], waiting: Sequence[Problem], found: list[Match]) -> None:
    known = _statements(seen)
    similar: Mapping[str, Similar] = most_similar(
        [problem.statement for problem in waiting if problem.statement], list(known)
    )
    for problem in waiting:
        if best := similar.get(problem.statement or ""):
            found.append(Match(known[best.text], problem, "similar statement", best.similarity))


def counted(matches: Iterable[Match], problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The matches by places, environment and kind: how many, of how many, and the first few of each."""
    sizes = Counter((problem.place, problem.env) for problem in problems)
    groups: defaultdict[tuple[str, str, str, Kind], list[Match]] = defaultdict(list)
    for match in matches:
        groups[match.seen.place, match.held.place, match.held.env, match.kind].append(match)
    return [
        {
            "seen": seen,
            "held": held,
            "environment": env,
            "kind": kind,
            "exact": kind in EXACT,
            "count": len(group),
            "of": sizes[held, env],
            "share": len(group) / sizes[held, env],
            "examples": [_example(match) for match in sorted(group, key=_closest)[:MAX_EXAMPLES]],
        }
        for (seen, held, env, kind), group in sorted(groups.items(), key=lambda item: item[0])
    ]


def _closest(match: Match) -> float:
    return -match.similarity


def _example(match: Match) -> dict[str, Any]:
    return {
        "seen": named(match.seen),
        "held": named(match.held),
        **({"similarity": match.similarity} if match.kind == "similar statement" else {}),
    }


def named(problem: Problem) -> dict[str, Any]:
    """Where a problem stands and what it is called."""
    return {"place": problem.place, "where": problem.where, "key": problem.key}
