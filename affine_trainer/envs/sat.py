"""affine:sat: planted k-SAT formulas, posed as text and graded by the assignment in the reply."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from affine_trainer.envs.parsing import parse_assignment
from affine_trainer.envs.prompts import Template
from affine_trainer.envs.single_turn import SingleTurn
from affine_trainer.envs.splits import draw_indices, split_of
from affine_trainer.errors import AffineError
from affine_trainer.records import UNLIMITED, Grade, Split, Task, seed_from, sha256_of
from affine_trainer.rules import Rules

ENV = "affine:sat"
# Clauses per variable where random k-SAT turns unsatisfiable (Mertens, Mezard and Zecchina 2006).
THRESHOLD_RATIO = {3: 4.267, 4: 9.931, 5: 21.117}
VALIDATOR_RATIO = 4.26

Clause = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Formula:
    """A conjunction of clauses over x1..xn; a literal is +v or -v. `planted` maps 1..n to a solution."""

    clauses: tuple[Clause, ...]
    planted: dict[int, bool]

    @property
    def num_variables(self) -> int:
        return len(self.planted)

    @property
    def clause_size(self) -> int:
        return max(map(len, self.clauses))

    def unsatisfied(self, assignment: dict[int, bool]) -> int:
        """How many clauses the assignment leaves false; a variable without a value satisfies nothing."""
        return sum(
            not any(assignment.get(abs(literal)) is (literal > 0) for literal in clause)
            for clause in self.clauses
        )


def planted_formula(rng: random.Random, n: int, k: int, m: int) -> Formula:
    """`m` clauses of `k` distinct variables; one literal of each agrees with a random solution.

    The order of the draws is the validator's, so Random(task_id), n=15, k=10, m=63 gives its instances.
    """
    planted = {variable: rng.choice([True, False]) for variable in range(1, n + 1)}
    clauses: list[Clause] = []
    for _ in range(m):
        variables = rng.sample(list(planted), k)
        agreeing = rng.choice(variables)
        signs = [planted[v] if v == agreeing else rng.choice([True, False]) for v in variables]
        clauses.append(tuple(v if sign else -v for v, sign in zip(variables, signs, strict=True)))
    return Formula(tuple(clauses), planted)


def validator_formula(index: int) -> Formula:
    """The instance of a task id: n=15, k=10, m=63."""
    return planted_formula(random.Random(index), 15, 10, int(VALIDATOR_RATIO * 15))


def guide_formula(index: int) -> Formula:
    """n 10-20, k 3-5, as many clauses as the threshold ratio of k allows."""
    rng = random.Random(seed_from(ENV, "guide", index))
    n, k = rng.randint(10, 20), rng.randint(3, 5)
    return planted_formula(rng, n, k, int(THRESHOLD_RATIO[k] * n))


def small_formula(index: int) -> Formula:
    """n 4-6, k 3, m 16-18 but under the threshold: about 100 tokens of formula for the embedded model.

    Measured over 20,000 of them: all-True satisfies 17.4 %, a random assignment 17.2 %, and giving each
    variable the sign it has most often 78 %.
    """
    rng = random.Random(seed_from(ENV, "small", index))
    n = rng.randint(4, 6)
    return planted_formula(rng, n, 3, min(rng.randint(16, 18), int(THRESHOLD_RATIO[3] * n)))


def tiny_formula(index: int) -> Formula:
    """n 3-5, k 2-3, m 2-15, for pretraining only; never as many clauses as a formula of `small`."""
    rng = random.Random(seed_from(ENV, "tiny", index))
    return planted_formula(rng, rng.randint(3, 5), rng.randint(2, 3), rng.randint(2, 15))


FAMILIES: dict[str, Callable[[int], Formula]] = {
    "validator": validator_formula,
    "guide": guide_formula,
    "small": small_formula,
    "tiny": tiny_formula,
}


def write_formula(formula: Formula) -> str:
    """`(x1 ∨ ¬x2 ∨ x3) ∧ ...`, clauses and literals in their order."""
    return " ∧ ".join(
        "(" + " ∨ ".join(f"{'' if literal > 0 else '¬'}x{abs(literal)}" for literal in clause) + ")"
        for clause in formula.clauses
    )


def write_assignment(values: Iterable[tuple[int, bool]]) -> str:
    """`x1=True, x2=False, ...`"""
    return ", ".join(f"x{variable}={value}" for variable, value in values)


def grade_assignment(formula: Formula, reply: str) -> Grade:
    """1.0 if the assignment in the reply satisfies every clause, else 0.0."""
    assignment = parse_assignment(reply)
    if not assignment:
        return Grade(0.0, False, "no assignment such as x1=True in the reply")
    broken = formula.unsatisfied(assignment)
    if broken:
        return Grade(0.0, False, f"{broken} of {len(formula.clauses)} clauses are not satisfied")
    return Grade(1.0, True, f"all {len(formula.clauses)} clauses are satisfied")


class SatTasks:
    """All tasks of one SAT family; an index is the family's seed, and the task id of `validator`."""

    env = ENV
    max_turns = 1
    max_reply_tokens = max_open = UNLIMITED

    def __init__(self, family: str, template: Template, rules: Rules) -> None:
        if family == "validator" and not rules.sat_by_task_id:
            raise AffineError(
                f"under the rules {rules.name} {ENV}@validator was drawn anew for each query, "
                "not by task id; use later rules or another family"
            )
        self.family = family
        self._template = template

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return draw_indices(self.env, self.family, split, count, seed)

    def tasks(self, indices: Sequence[int]) -> list[Task]:
        return [self._task(index) for index in indices]

    def start(self, task: Task) -> SingleTurn:
        formula = self.formula(task.index)
        return SingleTurn(task, lambda reply: grade_assignment(formula, reply))

    def expert_reply(self, task: Task) -> str:
        """The planted solution, written as an answer."""
        return write_assignment(self.formula(task.index).planted.items())

    def formula(self, index: int) -> Formula:
        """The formula of an index."""
        return FAMILIES[self.family](index)

    def _task(self, index: int) -> Task:
        split_of(index)  # refuses an index that no split owns
        formula = self.formula(index)
        n, k = formula.num_variables, formula.clause_size
        prompt = self._template.fill(formula=write_formula(formula), n=n, k=k)
        content = sorted(sorted(clause) for clause in formula.clauses)
        return Task(
            self.env, self.family, index, prompt, difficulty(formula), sha256_of({"n": n, "cnf": content})
        )


def difficulty(formula: Formula) -> float:
    """The chance that a random assignment fails, were the clauses independent: 1 - prod(1 - 2^-k)."""
    passes = 1.0
    for clause in formula.clauses:
        passes *= 1.0 - 0.5 ** len(clause)
    return 1.0 - passes
