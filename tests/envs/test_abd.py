"""ABD accepts any input that makes the program print what was shown, and rejects everything else."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from affine_trainer.config import Config
from affine_trainer.envs import grade_reply, task_set
from affine_trainer.envs.abd import grade_input
from affine_trainer.envs.program_rows import Row
from affine_trainer.envs.single_turn import Ungraded
from affine_trainer.errors import AffineError
from affine_trainer.rules import DEFAULT_RULES, RULES

EXACT = RULES["affine-2025-11-exact"]
ADD = "a = int(input())\nb = int(input())\nprint(a + b)"


def row(program, output):
    return Row("", program, "", output, (), 0.5, "", "")


def abd_grade(sandbox, program, output, reply, rules=DEFAULT_RULES):
    return grade_input(row(program, output), reply, sandbox, rules)


def test_the_own_input_of_generated_rows_passes(sandbox):
    for family, starts in (("generated-v1", (0, 1_000_000, 2_000_000, 10**9)), ("heldout-v1", (0,))):
        tasks = task_set("affine:abd", family, config=Config(), sandbox=sandbox)
        for start in starts:
            for task in tasks.tasks(range(start, start + 60)):
                grade = grade_reply(tasks, task, tasks.expert_reply(task))
                assert grade.success, (task.key, grade.why)


def test_an_input_with_a_line_too_few_fails(sandbox):
    tasks = task_set("affine:abd", "generated-v1", config=Config(), sandbox=sandbox)
    for task in tasks.tasks(range(60)):
        if "input()" in task.prompt[0].content:
            assert grade_reply(tasks, task, "<INPUT></INPUT>").reward == 0.0


@pytest.mark.parametrize(
    "reply", ["<INPUT>\n2\n3\n</INPUT>", "<INPUT>4\n1</INPUT>", "so <input>-1\n6\n\n</input>."]
)
def test_any_input_with_the_same_output_is_accepted(sandbox, reply):
    assert abd_grade(sandbox, ADD, "5\n", reply).success


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("2\n3", "no <INPUT>"),
        ("<INPUT>2 3</INPUT>", "fewer lines"),
        ("<INPUT>2\n4</INPUT>", "printed something else"),
        ("<INPUT>2\nthree</INPUT>", "wrote to stderr: ValueError"),
        ("<INPUT>\n```\n2\n3\n```\n</INPUT>", "code fence"),
    ],
)
def test_a_wrong_reply_fails_and_says_why(sandbox, reply, why):
    grade = abd_grade(sandbox, ADD, "5\n", reply)
    assert grade.reward == 0.0 and not grade.success
    assert why in grade.why


def test_an_empty_input_passes_where_the_program_reads_nothing(sandbox):
    assert abd_grade(sandbox, "print(7)", "7", "<INPUT></INPUT>").success


def test_output_on_stderr_fails_even_beside_the_right_output(sandbox):
    program = "import sys\nprint(5)\nprint('careful', file=sys.stderr)"
    assert "stderr: careful" in abd_grade(sandbox, program, "5", "<INPUT></INPUT>").why


def test_the_exit_code_alone_does_not_fail(sandbox):
    assert abd_grade(sandbox, "import sys\nprint(5)\nsys.exit(3)", "5", "<INPUT></INPUT>").success


def test_a_final_newline_is_added_unless_the_rules_are_older(sandbox):
    program = "import sys\nprint(len(sys.stdin.read()))"
    assert abd_grade(sandbox, program, "3", "<INPUT>ab</INPUT>").success
    assert abd_grade(sandbox, program, "0", "<INPUT></INPUT>").success
    assert abd_grade(sandbox, program, "2", "<INPUT>ab</INPUT>", RULES["affine-2025-09"]).success


def test_tags_in_a_thinking_block_alone_are_an_empty_input_under_the_exact_rules_only(sandbox):
    reply = "<think><INPUT>1</INPUT></think>"
    assert not abd_grade(sandbox, "print(7)", "7", reply).success
    assert abd_grade(sandbox, "print(7)", "7", reply, EXACT).success


def test_a_program_that_never_ends_is_stopped_and_fails(quick_sandbox):
    grade = abd_grade(quick_sandbox, "while True:\n    pass", "5", "<INPUT></INPUT>")
    assert grade.reward == 0.0
    assert "cpu_timeout" in grade.why


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stdin=st.text(st.characters(), max_size=40))
@example(stdin="\ud800\n2")
@example(stdin="1\n\0")
def test_any_input_is_graded(sandbox, stdin):
    assert abd_grade(sandbox, ADD, "5", f"<INPUT>{stdin}</INPUT>").reward in (0.0, 1.0)


def test_a_failing_sandbox_gives_no_grade(failing_sandbox):
    with pytest.raises(Ungraded, match="the sandbox failed"):
        abd_grade(failing_sandbox, ADD, "5", "<INPUT>2\n3</INPUT>")


def test_a_failing_sandbox_shows_as_an_ungraded_episode(failing_sandbox):
    tasks = task_set("affine:abd", "generated-v1", config=Config(), sandbox=failing_sandbox)
    [task] = tasks.tasks([0])
    environment = tasks.start(task)
    step = environment.step(tasks.expert_reply(task))
    assert environment.grade() is None
    assert step.terminated and step.reward == 0.0
    assert "the sandbox failed" in step.info["error"]


def test_an_environment_can_be_restored_to_before_and_after_its_reply(sandbox):
    tasks = task_set("affine:abd", "generated-v1", config=Config(), sandbox=sandbox)
    [task] = tasks.tasks([0])
    environment = tasks.start(task)
    before = environment.snapshot()
    assert environment.observe() == ""
    environment.step(tasks.expert_reply(task))
    graded, after = environment.grade(), environment.snapshot()
    environment.restore(before)
    assert environment.grade() is None
    environment.restore(after)
    assert environment.grade() == graded


def test_tasks_can_be_read_but_not_played_without_a_sandbox():
    tasks = task_set("affine:abd", "generated-v1", config=Config(), sandbox=None)
    [task] = tasks.tasks([0])
    with pytest.raises(AffineError, match="affine:abd@generated-v1/0 is graded by running a program"):
        tasks.start(task)
