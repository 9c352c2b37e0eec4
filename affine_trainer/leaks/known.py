"""Task ids that validators played in November 2025: public, so anybody may have trained on them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from affine_trainer.envs.sat import FAMILIES
from affine_trainer.leaks.problem import Problem

PUBLISHED = "2025-11"


class PublicIds(NamedTuple):
    """The public indices of one environment, and the family of task keys that counts as the validators'."""

    family: str
    indices: range


# Of webshop, babyai and textcraft a bare number is known; it is read as "up to and with", to miss none.
PUBLIC_IDS = {
    "affine:sat": PublicIds("validator", range(0, 500)),
    "affine:abd": PublicIds("rl-python", range(0, 240)),
    "affine:ded": PublicIds("rl-python", range(0, 240)),
    "agentgym:alfworld": PublicIds("server", range(2000, 2500)),
    "agentgym:sciworld": PublicIds("server", range(2000, 2500)),
    "agentgym:webshop": PublicIds("server", range(0, 501)),
    "agentgym:babyai": PublicIds("server", range(0, 501)),
    "agentgym:textcraft": PublicIds("server", range(0, 583)),
}


def public_id(problem: Problem) -> str | None:
    """`affine:sat@validator/17` where the problem is a public one, else None.

    Known by its task key; by the number that a file without task keys gives it; for SAT by the formula too.
    """
    ids = PUBLIC_IDS.get(problem.env)
    if ids is None:
        return None
    if problem.key is not None:
        family, _, index = problem.key.partition("@")[2].rpartition("/")
        if family == ids.family and int(index) in ids.indices:
            return problem.key
    elif problem.number is not None and problem.number in ids.indices:
        return f"{problem.env}@{ids.family}/{problem.number}"
    if problem.formula is not None:
        index = public_formulas().get(frozenset(problem.formula))
        return None if index is None else f"{problem.env}@{ids.family}/{index}"
    return None


@cache
def public_formulas() -> dict[frozenset[frozenset[int]], int]:
    """The public SAT instances by their sets of clauses."""
    make, indices = FAMILIES["validator"], PUBLIC_IDS["affine:sat"].indices
    return {frozenset(map(frozenset, make(index).clauses)): index for index in indices}
