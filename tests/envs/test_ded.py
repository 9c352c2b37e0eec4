"""DED accepts programs that pass every case, rejects mutated ones, and never passes what it cannot grade."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from affine_trainer.config import Config
from affine_trainer.envs import grade_reply, task_set
from affine_trainer.envs.cases import TestCase, parse_cases
from affine_trainer.envs.ded import grade_program, write_program
from affine_trainer.envs.program_rows import Row
from affine_trainer.envs.single_turn import Ungraded
from affine_trainer.rules import DEFAULT_RULES, RULES

EXACT = RULES["affine-2025-11-exact"]
DOUBLE = "print(2 * int(input()))"


def row(*cases):
    return Row("double it", "", "", "", cases, 0.5, "", "")


def stdin_case(stdin, stdout):
    return TestCase("stdin_stdout", stdin, stdout)


def call_case(arguments, output, fn_name="f"):
    return TestCase("function_call", arguments, output, fn_name)


def fenced(program):
    return f"Here:\n```python\n{program}\n```"


def ded_grade(sandbox, cases, program, rules=DEFAULT_RULES):
    return grade_program(row(*cases), fenced(program), sandbox, rules)


def mutated(program):
    """The program with its output spoiled, whatever it prints."""
    return f"import builtins\nprint = lambda *a, **k: builtins.print('!', *a, **k)\n{program}"


def test_the_own_program_of_generated_rows_passes_and_a_mutated_one_fails(sandbox):
    for family, starts in (("generated-v1", (0, 1_000_000, 2_000_000, 10**9)), ("heldout-v1", (0,))):
        tasks = task_set("affine:ded", family, config=Config(), sandbox=sandbox)
        for start in starts:
            for task in tasks.tasks(range(start, start + 25)):
                reply = tasks.expert_reply(task)
                grade = grade_reply(tasks, task, reply)
                assert grade.success, (task.key, grade.why)
                program = reply.removeprefix("```python\n").removesuffix("\n```")
                assert not grade_reply(tasks, task, fenced(mutated(program))).success, task.key


def test_all_cases_must_pass(sandbox):
    right, wrong = stdin_case("2", "4"), stdin_case("3", "9")
    assert ded_grade(sandbox, [right, right], DOUBLE).success
    grade = ded_grade(sandbox, [right, wrong, right], DOUBLE)
    assert grade.reward == 0.0
    assert grade.why == "case 2 of 3: the program printed something else"


def test_grading_stops_at_the_first_failing_case(quick_sandbox):
    endless = "n = int(input())\nwhile n == 1:\n    pass\nprint(n)"
    grade = ded_grade(quick_sandbox, [stdin_case("2", "3"), stdin_case("1", "1")], endless)
    assert grade.why.startswith("case 1 of 2")


def test_lists_in_a_case_are_lines_and_the_input_ends_in_a_newline(sandbox):
    program = "import sys\nprint(repr(sys.stdin.read()))"
    assert ded_grade(sandbox, [stdin_case(["1", ["2", 3]], repr("1\n2\n3\n"))], program).success
    assert ded_grade(sandbox, [stdin_case("1\n", repr("1\n"))], program).success
    assert ded_grade(sandbox, [stdin_case("1", ["1", "2"])], "print(1)\nprint(2)").success


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("print(2 * int(input()), 'is the answer')", "printed something else"),
        ("import sys\nprint(4)\nprint('debug', file=sys.stderr)", "stderr: debug"),
        ("import sys\nprint(4)\nsys.exit(1)", "ended with error (exit code 1)"),
        ("print(4", "stderr: SyntaxError"),
        ("", "printed something else"),
    ],
)
def test_a_wrong_program_fails_and_says_why(sandbox, program, why):
    grade = ded_grade(sandbox, [stdin_case("2", "4")], program)
    assert grade.reward == 0.0
    assert why in grade.why


def test_trailing_blanks_do_not_matter_but_leading_ones_do(sandbox):
    assert ded_grade(sandbox, [stdin_case("2", "4\n5")], "print('4 ')\nprint('5\\n\\n')").success
    assert not ded_grade(sandbox, [stdin_case("2", "4")], "print(' 4')").success


def test_blank_stderr_is_as_good_as_none(sandbox):
    program = "import sys\nprint(4)\nprint(file=sys.stderr)"
    assert ded_grade(sandbox, [stdin_case("2", "4")], program).success


@pytest.mark.parametrize(
    ("arguments", "output", "body"),
    [
        ([2, 3], [5], "return a + b"),
        (["a", "b"], ["ab"], "return a + b"),
        ([2, 3], [[2, 3]], "return [a, b]"),
        ([2, 3], [True], "return a < b"),
        ([2, 3], [None], "pass"),
        ([2, 3], "5", "return a + b"),
    ],
)
def test_a_function_is_called_with_the_arguments_and_its_value_printed(sandbox, arguments, output, body):
    program = f"def f(a, b):\n    {body}"
    assert ded_grade(sandbox, [call_case(arguments, output)], program).success
    assert not ded_grade(sandbox, [call_case(arguments, ["other"])], program).success


def test_a_function_call_runs_the_guarded_main_part_too(sandbox):
    program = "def f(a):\n    return a\nif __name__ == '__main__':\n    print('main')"
    assert ded_grade(sandbox, [call_case([1], ["main\n1"])], program).success


@pytest.mark.parametrize(
    "written",
    [None, "broken", '[{"type": "telepathy"}]', '[{"type": "function_call", "input": [1], "output": [1]}]'],
)
def test_a_task_without_a_known_case_is_not_graded(sandbox, written):
    with pytest.raises(Ungraded, match="no test case of a known kind"):
        ded_grade(sandbox, parse_cases(written), DOUBLE)


def test_unknown_cases_beside_known_ones_are_left_out(sandbox):
    cases = [TestCase("telepathy", "1", "1"), stdin_case("2", "4")]
    assert ded_grade(sandbox, cases, DOUBLE).why == "all 1 cases pass"


def test_the_exact_rules_keep_the_quirks_and_report_the_vacuous_pass(sandbox):
    grade = ded_grade(sandbox, [TestCase("telepathy", "1", "1")], "nonsense(", EXACT)
    assert grade.success and "vacuous pass" in grade.why
    assert not ded_grade(sandbox, [], DOUBLE, EXACT).success
    assert ded_grade(sandbox, [stdin_case("2", "4")], "print(4)\nraise SystemExit(1)", EXACT).success
    assert not ded_grade(
        sandbox, [call_case([2, 3], [[2, 3]])], "def f(a, b):\n    return [a, b]", EXACT
    ).success


def test_only_the_exact_rules_call_a_solve_that_nobody_calls(sandbox):
    program = "def solve():\n    return 2 * int(input())"
    assert ded_grade(sandbox, [stdin_case("2", "4")], program, EXACT).success
    assert not ded_grade(sandbox, [stdin_case("2", "4")], program).success


def test_a_program_that_never_ends_is_stopped_and_fails(quick_sandbox):
    grade = ded_grade(quick_sandbox, [stdin_case("2", "4")], "print(4)\nwhile True:\n    pass")
    assert grade.why == "case 1 of 1: the program ended with cpu_timeout"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=st.text(st.characters(), max_size=40))
@example(reply="\ud800 print(4)")
@example(reply="\0")
def test_any_reply_is_graded(sandbox, reply):
    assert grade_program(row(stdin_case("2", "4")), reply, sandbox, DEFAULT_RULES).reward in (0.0, 1.0)


def test_a_failing_sandbox_gives_no_grade(failing_sandbox):
    with pytest.raises(Ungraded, match="the sandbox failed"):
        ded_grade(failing_sandbox, [stdin_case("2", "4")], DOUBLE)


def test_a_row_without_a_program_has_no_expert_reply():
    assert write_program(row()) is None
