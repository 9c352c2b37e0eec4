"""Programs are equal up to names, or up to names and constants, and unequal otherwise."""

import pytest

from affine_trainer.leaks.programs import program_forms

COUNTING = """
def count(items, wanted):
    total = 0
    for item in items:
        if item == wanted:
            total += 1
    return total

n, k = map(int, input().split())
print(count(list(map(int, input().split())), k))
"""
RENAMED = '''
# the same with other names, layout and comments
def occurrences(xs, x):
    """How often."""
    t = 0
    for y in xs:
        if y == x: t += 1
    return t
a, b = map(int, input().split())
print(occurrences(list(map(int, input().split())), b))
'''


def forms(source):
    found = program_forms(source)
    assert found is not None
    return found


def test_a_program_with_renamed_variables_is_the_same_program():
    assert forms(COUNTING) == forms(RENAMED)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = int(input())\ny = 2\nprint(x + y)", "x = int(input())\ny = 2\nprint(y + x)"),
        ("a, b = 1, 2\nprint(a)", "a, b = 1, 2\nprint(b)"),
        ("print(sum(range(3)))", "print(max(range(3)))"),
        ("s = input()\nprint(s.upper())", "s = input()\nprint(s.lower())"),
        ("def f(x):\n    return x\nx = 1\nprint(f(x))", "def f(x):\n    return y\ny = 1\nprint(f(y))"),
        (COUNTING, COUNTING.replace("==", "!=")),
    ],
)
def test_programs_that_do_something_else_differ_in_both_forms(one, other):
    assert forms(one).renamed != forms(other).renamed
    assert forms(one).shape != forms(other).shape


def test_constants_count_in_one_form_and_not_in_the_other():
    one, other = forms("print(int(input()) + 3)"), forms("print(int(input()) + -50)")
    assert one.renamed != other.renamed
    assert one.shape == other.shape
    assert forms("print('a')").shape != forms("print(1)").shape


def test_names_are_told_apart_scope_by_scope():
    shared = "def f(n):\n    return n\ndef g(n):\n    return n + 1\nprint(f(1), g(2))"
    apart = "def f(n):\n    return n\ndef g(m):\n    return m + 1\nprint(f(1), g(2))"
    assert forms(shared) == forms(apart)


def test_own_attributes_and_methods_are_names_too():
    one = "class A:\n    def put(self, v):\n        self.last = v\na = A()\na.put(1)\nprint(a.last)"
    other = "class Box:\n    def set(self, w):\n        self.top = w\nb = Box()\nb.set(1)\nprint(b.top)"
    assert forms(one) == forms(other)


def test_globals_comprehensions_and_handlers_are_renamed_as_they_bind():
    one = "def f():\n global t\n t = [i for i in (1, 2)]\ntry:\n  f()\nexcept OSError as e:\n  print(e, t)"
    other = "def g():\n global u\n u = [j for j in (1, 2)]\ntry:\n  g()\nexcept OSError as h:\n  print(h, u)"
    assert forms(one) == forms(other)


@pytest.mark.parametrize("source", ["print(", "\0", "x = " + "(" * 500 + ")" * 500])
def test_what_is_no_python_has_no_form(source):
    assert program_forms(source) is None
