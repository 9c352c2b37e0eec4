"""The dated rule profiles: how a validator posed and graded a task at a given time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from affine_trainer.errors import AffineError


@dataclass(frozen=True, slots=True)
class Rules:
    """What differs between the profiles that `--rules` names.

    sat_by_task_id: a SAT instance of the `validator` family is a function of its task id.
    final_newline: an ABD input that holds anything is given a final newline before the run.
    validator_exact: the reference's quirks are kept, faults included. DED ignores the exit code and runs a
        `solve()` that nobody calls; a DED task whose cases are all of unknown type passes, one without cases
        fails; the return value of a function is compared with JSON text, so lists never match; ABD accepts
        tags that stand in a thinking block, as an empty input.
    temperature: of the model call; 0 since 18 November 2025.
    task_seeds: the model call carries the seed of its task, as `task_seed` gives it.
    """

    name: str
    since: str
    sat_by_task_id: bool = True
    final_newline: bool = True
    validator_exact: bool = False
    temperature: float = 0.0
    task_seeds: bool = True


DEFAULT_RULES = Rules("affine-2025-11", since="2025-11-14")

RULES: dict[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules(
            "affine-2025-09",
            since="2025-09-01",
            sat_by_task_id=False,
            final_newline=False,
            temperature=0.7,
            task_seeds=False,
        ),
        Rules("affine-2025-10", since="2025-10-01", sat_by_task_id=False, temperature=0.7, task_seeds=False),
        DEFAULT_RULES,
        Rules("affine-2025-11-exact", since="2025-11-14", validator_exact=True),
    )
}


def task_seed(env: str, task_id: int) -> int:
    """The 32-bit seed that the validators of December 2025 sent with the model call for a task."""
    return int.from_bytes(hashlib.sha256(f"{env}:{task_id}".encode()).digest()[:8], "big") % 2**32


def rules_named(name: str) -> Rules:
    """The profile of this name; AffineError listing the names when there is none."""
    if name not in RULES:
        raise AffineError(f"there are no rules named {name!r}; --rules takes {', '.join(RULES)}")
    return RULES[name]
