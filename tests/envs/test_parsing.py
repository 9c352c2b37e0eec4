"""The parsers read replies as the validators do, and never fail on any text."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from affine_trainer.envs.comparison import same_answer, same_output
from affine_trainer.envs.parsing import extract_input, extract_program, has_enough_lines, parse_assignment

REPLY_PARTS = (
    "<INPUT>",
    "</INPUT>",
    "<think>",
    "</think>",
    "```",
    "```python\n",
    "\n",
    " ",
    "x1=True",
    "x12=0",
    "a",
)
REPLIES = st.one_of(st.text(), st.lists(st.sampled_from(REPLY_PARTS)).map("".join))
LINES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="<`"), min_size=1
)


@pytest.mark.parametrize(
    ("reply", "assignment"),
    [
        ("x1=True, x2=False", {1: True, 2: False}),
        ("x1=1,x2=0", {1: True, 2: False}),
        ("x1=True then x1=False", {1: False}),
        ("x1 = True", {}),
        ("X1=True x2=true", {}),
        ("<think>x1=True</think> x2=False", {1: True, 2: False}),
        ("x10=True", {10: True}),
        ("x1=Trueish x2=10", {1: True, 2: True}),
        ("UNSAT", {}),
    ],
)
def test_an_assignment_is_read_to_the_letter(reply, assignment):
    assert parse_assignment(reply) == assignment


@given(st.dictionaries(st.integers(0, 10**6), st.booleans()))
def test_a_written_assignment_is_read_back(assignment):
    assert parse_assignment(", ".join(f"x{v}={value}" for v, value in assignment.items())) == assignment


@given(REPLIES)
@example("x" + "9" * 5000 + "=True")
def test_any_text_gives_an_assignment_of_numbered_variables(reply):
    assert all(variable >= 0 for variable in parse_assignment(reply))


@pytest.mark.parametrize(
    ("reply", "stdin"),
    [
        ("<INPUT>\n3\n1 2 3\n</INPUT>", "3\n1 2 3"),
        ("<input>5</input>", "5"),
        ("<INPUT>1</INPUT> no: <INPUT>2</INPUT>", "2"),
        ("<INPUT>  1  \n2\t\n\n</INPUT>", "1\n2"),
        ("<INPUT>\n1\n\n2\n</INPUT>", "1\n\n2"),
        ("<INPUT></INPUT>", ""),
        ("<INPUT>4", None),
        ("no tags", None),
        ("<think><INPUT>1</INPUT></think><INPUT>2</INPUT>", "2"),
        ("<INPUT>2</INPUT><thinking>or <INPUT>1</INPUT></thinking>", "2"),
        ("<think><INPUT>1</INPUT></think>", None),
        ("<think>never closed <INPUT>1</INPUT>", "1"),
        ("<THINK><INPUT>1</INPUT></THINK>", "1"),
    ],
)
def test_the_input_is_taken_from_the_last_tags_outside_thinking(reply, stdin):
    assert extract_input(reply) == stdin


def test_tags_in_thinking_alone_are_an_empty_input_where_the_rules_say_so():
    assert extract_input("<think><INPUT>1</INPUT></think>", tags_in_thinking_count=True) == ""
    assert extract_input("no tags", tags_in_thinking_count=True) is None


@given(st.text(), st.lists(LINES, min_size=1))
def test_input_lines_come_back_whatever_is_said_before(before, lines):
    assert extract_input(f"{before}<INPUT>\n" + "\n".join(lines) + "\n</INPUT>") == "\n".join(lines)


@given(REPLIES)
def test_an_extracted_input_has_no_blank_ends(reply):
    stdin = extract_input(reply)
    assert stdin is None or (stdin == stdin.strip() and not re.search(r"[ \t]\n", stdin))


@pytest.mark.parametrize(
    ("program", "stdin", "enough"),
    [
        ("a = input()\nb = input()", "1\n2", True),
        ("a = input()\nb = input()", "1", False),
        ("a = input()", "", False),
        ("print(1)", "", True),
        ("import sys\nsys.stdin.read()", "", True),
        ("for _ in range(int(input())):\n    input()", "2\na\nb", True),
        ("for _ in range(int(input())):\n    input()", "3\na\nb", False),
        ("for _ in range(int(input())):\n    pass", "0", True),
        ("for _ in range(int(input())):\n    input()", "two\na", True),
        ("for _ in range(int(input())):\n    pass", "9" * 5000, False),
        ("for _ in range(int(input())):\n    pass", "²", True),
    ],
)
def test_the_gate_counts_lines_against_the_text_of_the_program(program, stdin, enough):
    assert has_enough_lines(program, stdin) is enough


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("```python\nprint(1)\n```", "print(1)"),
        ("```python\nprint(1)\n``` better: ```python\nprint(2)\n```", "print(2)"),
        ("```python\nprint(1)\n```\n```text\n1\n```", "print(1)"),
        ("```py\nprint(1)\n```\n```py\nprint(2)\n```", "print(2)"),
        ("```\nprint(1)\n```", "print(1)"),
        ("say ```print(1)``` or ```print(2)```", "print(1)"),
        ("```Python print(1)```", "print(1)"),
        ("  print(1)  ", "print(1)"),
        ("```python\nprint(1)", "```python\nprint(1)"),
        ("", ""),
    ],
)
def test_the_program_is_taken_from_the_best_fence(reply, program):
    assert extract_program(reply) == program


@given(REPLIES, st.lists(LINES, min_size=1))
def test_a_fenced_program_is_found_after_any_closed_text(before, lines):
    program = "\n".join(lines)
    assert extract_program(f"{before.replace('`', '')}\n```python\n{program}\n```") == program


@given(REPLIES)
def test_any_text_gives_a_program_without_blank_ends(reply):
    program = extract_program(reply)
    assert program == program.strip()


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("5\n", "5\n", True),
        ("5", "5\n", True),
        ("5", "  5", True),
        ("a\r\nb", "a\nb\n", True),
        ("a \nb", "a\nb ", True),
        ("a\nb", "a\n b", False),
        ("a\nb", "a\n\nb", False),
        ("5", "5.0", False),
        ("", "\n", True),
    ],
)
def test_abd_outputs_are_compared_trimmed(expected, printed, same):
    assert same_output(expected, printed) is same


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("5", "5\n\n", True),
        ("a \nb", "a\nb  ", True),
        ("a\r\nb", "a\nb", True),
        ("5", " 5", False),
        ("a\nb", "a\n\nb", False),
        ("a b", "a  b", False),
        ("Yes", "YES", False),
    ],
)
def test_ded_answers_are_compared_right_stripped(expected, printed, same):
    assert same_answer(expected, printed) is same


@given(st.text(), st.text())
def test_comparisons_are_symmetric(one, other):
    assert same_output(one, other) == same_output(other, one)
    assert same_answer(one, other) == same_answer(other, one)


@given(st.text())
def test_every_text_matches_itself_with_blanks_at_its_end(text):
    assert same_output(text, text + " \n\n")
    assert same_answer(text, text + " \n\n")
