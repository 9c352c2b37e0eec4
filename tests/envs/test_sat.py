"""SAT instances are the validator's bit for bit, and grading accepts solutions and nothing else."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysat.solvers import Solver

from affine_trainer.config import Config
from affine_trainer.envs import grade_reply, task_set
from affine_trainer.envs.prompts import load_templates
from affine_trainer.envs.sat import FAMILIES, THRESHOLD_RATIO, SatTasks, grade_assignment, write_assignment
from affine_trainer.errors import AffineError
from affine_trainer.rules import RULES

SPLIT_STARTS = (0, 1_000_000, 2_000_000, 1_000_000_000)


def sat_tasks(family):
    return task_set("affine:sat", family, config=Config(), sandbox=None)


def instance_as_described(task_id):
    """The draws of the rule text, one by one: 15 signs, then 63 clauses of 10."""
    rng = random.Random(task_id)
    solution = {}
    for i in range(1, 16):
        solution[i] = rng.choice([True, False])
    clauses = []
    for _ in range(63):
        chosen = rng.sample([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], 10)
        special = rng.choice(chosen)
        literals = []
        for variable in chosen:
            positive = solution[variable] if variable == special else rng.choice([True, False])
            literals.append(f"x{variable}" if positive else f"¬x{variable}")
        clauses.append("(" + " ∨ ".join(literals) + ")")
    return solution, " ∧ ".join(clauses)


def all_true(formula):
    return write_assignment((variable, True) for variable in formula.planted)


def all_true_rate(family, indices):
    tasks = sat_tasks(family)
    formulas = [tasks.formula(index) for index in indices]
    return sum(grade_assignment(formula, all_true(formula)).success for formula in formulas) / len(formulas)


@pytest.mark.parametrize("task_id", [0, 1, 17, 499, 123_456, 1_999_999_999])
def test_a_validator_instance_follows_the_described_draws(task_id):
    solution, text = instance_as_described(task_id)
    tasks = sat_tasks("validator")
    [task] = tasks.tasks([task_id])
    assert text in task.prompt[0].content
    assert tasks.formula(task_id).planted == solution


def test_the_first_clause_of_validator_task_zero_never_changes():
    assert sat_tasks("validator").formula(0).clauses[0] == (-15, 9, -12, -10, -3, -5, 2, -14, -7, -6)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_planted_solution_passes_in_500_tasks_of_each_family(family):
    tasks = sat_tasks(family)
    for task in tasks.tasks(range(500)):
        assert grade_reply(tasks, task, tasks.expert_reply(task)).reward == 1.0, task.key


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_solver_and_the_grader_agree_on_what_solves_a_formula(family):
    tasks = sat_tasks(family)
    rng = random.Random(1)
    for index in range(60):
        formula = tasks.formula(index)
        with Solver(name="minisat22", bootstrap_with=[list(clause) for clause in formula.clauses]) as solver:
            assert solver.solve()
            model = [(abs(literal), literal > 0) for literal in solver.get_model()]
            guess = [(variable, rng.random() < 0.5) for variable in formula.planted]
            guess_holds = solver.solve(assumptions=[v if value else -v for v, value in guess])
        assert grade_assignment(formula, write_assignment(model)).success
        assert grade_assignment(formula, write_assignment(guess)).success == guess_holds


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_solution_with_a_violated_clause_is_rejected(family):
    tasks = sat_tasks(family)
    for index in range(200):
        formula = tasks.formula(index)
        violated = formula.planted | {abs(literal): literal < 0 for literal in formula.clauses[0]}
        grade = grade_assignment(formula, write_assignment(violated.items()))
        assert grade.reward == 0.0
        assert "not satisfied" in grade.why


def test_a_missing_variable_satisfies_nothing():
    formula = sat_tasks("validator").formula(3)
    first = formula.clauses[0]
    others = [
        (variable, value) for variable, value in formula.planted.items() if variable not in map(abs, first)
    ]
    assert not grade_assignment(formula, write_assignment(others)).success


@pytest.mark.parametrize("reply", ["UNSAT", "", "x1 = True, x2 = False", "true for all"])
def test_a_reply_without_an_assignment_scores_nothing(reply):
    grade = grade_assignment(sat_tasks("validator").formula(0), reply)
    assert grade.reward == 0.0
    assert "no assignment" in grade.why


@given(st.text())
def test_any_reply_is_graded_zero_or_one(reply):
    grade = grade_assignment(sat_tasks("tiny").formula(0), reply)
    assert grade.reward in (0.0, 1.0)
    assert grade.success == (grade.reward == 1.0)


def test_all_true_passes_about_94_percent_of_the_validator_family():
    assert all_true_rate("validator", range(3000)) == pytest.approx(0.942, abs=0.012)


def test_all_true_passes_at_most_a_fifth_of_the_small_family():
    assert all_true_rate("small", range(3000)) < 0.2


def test_guide_formulas_have_the_clauses_of_their_threshold():
    tasks = sat_tasks("guide")
    formulas = [tasks.formula(index) for index in range(200)]
    assert {formula.num_variables for formula in formulas} == set(range(10, 21))
    assert {formula.clause_size for formula in formulas} == {3, 4, 5}
    for formula in formulas:
        assert len(formula.clauses) == int(THRESHOLD_RATIO[formula.clause_size] * formula.num_variables)
        assert all(len({abs(literal) for literal in clause}) == len(clause) for clause in formula.clauses)


def test_small_formulas_stay_under_the_threshold_and_short():
    tasks = sat_tasks("small")
    for task in tasks.tasks(range(500)):
        formula = tasks.formula(task.index)
        assert 4 <= formula.num_variables <= 6
        assert len(formula.clauses) <= THRESHOLD_RATIO[3] * formula.num_variables
        assert len(re.findall(r"\d|[^\d\n]+", task.prompt[0].content)) <= 150


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_task_is_a_function_of_its_index(family):
    indices = [start + 5 for start in SPLIT_STARTS]
    assert sat_tasks(family).tasks(indices) == sat_tasks(family).tasks(indices)


def test_no_small_formula_is_asked_in_two_splits():
    tasks = sat_tasks("small")
    hashes = {
        task.content_sha256 for start in SPLIT_STARTS for task in tasks.tasks(range(start, start + 500))
    }
    assert len(hashes) == 4 * 500


def test_the_content_hash_ignores_the_order_of_clauses_and_the_wording():
    tasks = sat_tasks("tiny")
    hashes: dict[str, set] = {}
    for task in tasks.tasks(range(3000)):
        content = frozenset(frozenset(clause) for clause in tasks.formula(task.index).clauses)
        hashes.setdefault(task.content_sha256, set()).add(content)
    assert len(hashes) < 3000
    assert all(len(contents) == 1 for contents in hashes.values())


def test_rules_older_than_task_ids_refuse_the_validator_family():
    template = load_templates(None)["sat"]
    with pytest.raises(AffineError, match="not by task id"):
        SatTasks("validator", template, RULES["affine-2025-09"])
    assert SatTasks("small", template, RULES["affine-2025-09"]).tasks([0])
