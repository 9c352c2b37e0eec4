"""Made-up exercises for pretraining: straight-line programs from their description, number by number.

They use none of the program families. They are here so that the model learns to carry numbers and letters
from a sentence into code, which a few families with few parameters only teach it to remember.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """A statement, the program it describes, an input, and what the program prints on it."""

    statement: str
    program: str
    stdin: str
    stdout: str


@dataclass(frozen=True)
class Step:
    """One operation: its wordings, its line of code, and what it does; {n} is its number."""

    wordings: tuple[str, ...]
    code: str
    run: Callable[[int, int], int]


NUMBER_STEPS = (
    Step(("add {n}", "increase it by {n}", "plus {n}"), "{v} = {v} + {n}", lambda x, n: x + n),
    Step(("subtract {n}", "take away {n}", "minus {n}"), "{v} = {v} - {n}", lambda x, n: x - n),
    Step(("multiply by {n}", "times {n}", "take it {n} times"), "{v} = {v} * {n}", lambda x, n: x * n),
    Step(
        ("divide by {n}, rounded down", "the whole part of a division by {n}"),
        "{v} = {v} // {n}",
        lambda x, n: x // n,
    ),
    Step(
        ("take the remainder modulo {n}", "keep the rest of a division by {n}"),
        "{v} = {v} % {n}",
        lambda x, n: x % n,
    ),
    Step(
        ("if it is above {n}, make it {n}", "let it be at most {n}"),
        "{v} = min({v}, {n})",
        lambda x, n: min(x, n),
    ),
    Step(
        ("if it is below {n}, make it {n}", "let it be at least {n}"),
        "{v} = max({v}, {n})",
        lambda x, n: max(x, n),
    ),
)
OPENINGS = (
    ("Read an integer {v}. {Steps}. Print the result.", ", then "),
    ("Given an integer {v}, {steps}, and print it.", ", "),
    ("The input is a number {v}: {steps}; print what you get.", "; "),
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def number_recipe(rng: random.Random) -> Recipe:
    """One to three operations on an integer."""
    name = rng.choice(("n", "x", "a"))
    value = start = rng.randint(0, 60)
    words, lines = [], [f"{name} = int(input())"]
    for _ in range(rng.randint(1, 3)):
        step, number = rng.choice(NUMBER_STEPS), rng.choice((rng.randint(2, 9), rng.randint(2, 99)))
        words.append(rng.choice(step.wordings).format(n=number))
        lines.append(step.code.format(v=name, n=number))
        value = step.run(value, number)
    lines.append(f"print({name})")
    frame, joint = rng.choice(OPENINGS)
    steps = joint.join(words)
    statement = frame.format(v=name, steps=steps, Steps=steps[0].upper() + steps[1:])
    return Recipe(statement, "\n".join(lines), str(start), str(value))


def list_recipe(rng: random.Random) -> Recipe:
    """One operation on the numbers of a line, all or those on one side of a limit."""
    number, limit, extra = rng.randint(2, 9), rng.randint(3, 60), rng.randint(1, 60)
    what, item, apply = rng.choice(
        (
            (f"x times {number}", f"x * {number}", lambda x: x * number),
            (f"x plus {extra}", f"x + {extra}", lambda x: x + extra),
            (f"{extra} minus x", f"{extra} - x", lambda x: extra - x),
            (f"x modulo {number}", f"x % {number}", lambda x: x % number),
        )
    )
    which, test, keep = rng.choice(
        (
            ("each number x", "", lambda x: True),
            (f"each number x above {limit}", f" if x > {limit}", lambda x: x > limit),
            (f"each number x below {limit}", f" if x < {limit}", lambda x: x < limit),
        )
    )
    numbers = [rng.randint(0, 60) for _ in range(rng.randint(2, 4))]
    made = [apply(x) for x in numbers if keep(x)]
    values = f"[{item} for x in a{test}]"
    wanted, output, stdout = rng.choice(
        (
            (f"the sum of {what}", f"print(sum({values}))", str(sum(made))),
            (what, f"print(*{values})", " ".join(map(str, made))),
        )
    )
    statement = rng.choice(
        (
            f"Given a line of integers, print {wanted} for {which}.",
            f"Read a line of integers. For {which}, print {wanted}.",
        )
    )
    program = f"a = list(map(int, input().split()))\n{output}"
    return Recipe(statement, program, " ".join(map(str, numbers)), stdout)


def letter_recipe(rng: random.Random) -> Recipe:
    """One operation on a word."""
    word = "".join(rng.choice(LETTERS) for _ in range(rng.randint(3, 6)))
    old, new = rng.choice(word), rng.choice(LETTERS)
    number, mark = rng.randint(1, 3), rng.choice("!&~^#*+=?@$%-")
    statement, code, result = rng.choice(
        (
            (f"replace every '{old}' by '{new}'", f's.replace("{old}", "{new}")', word.replace(old, new)),
            (f"print it with '{mark}' between the letters", f'"{mark}".join(s)', mark.join(word)),
            (f"print it without the first {number} letters", f"s[{number}:]", word[number:]),
            (f"print the first {number} letters", f"s[:{number}]", word[:number]),
            ("print it backwards", "s[::-1]", word[::-1]),
            (f"print it {number + 1} times", f"s * {number + 1}", word * (number + 1)),
            (f"print it with '{mark}' at the end", f's + "{mark}"', word + mark),
        )
    )
    frame = rng.choice(("Given a word s, {}.", "Read a word s. {}.", "The input is a word s: {}."))
    if ". {" in frame:
        statement = statement[0].upper() + statement[1:]
    return Recipe(frame.format(statement), f"s = input()\nprint({code})", word, result)


def reversible_recipe(rng: random.Random) -> Recipe:
    """A program that prints its input, or what one easy step makes of it: only one input has its output."""
    number, factor, mark = rng.randint(1, 20), rng.randint(2, 9), rng.choice("!&~^#*+=?@$%-")
    kind = rng.choice(("integer", "list", "word", "fields"))
    if kind == "integer":
        value = rng.choice((rng.randint(0, 12), rng.randint(0, 60)))
        code, printed = rng.choice(
            (("n", value), (f"n + {number}", value + number), (f"n - {number}", value - number))
            + ((f"n * {factor}", value * factor),) * (value <= 12)
        )
        return Recipe("", f"n = int(input())\nprint({code})", str(value), str(printed))
    if kind == "list":
        values = [rng.randint(0, 30) for _ in range(rng.randint(2, 4))]
        code, made = rng.choice(
            (
                ("*a", values),
                ("*a[::-1]", values[::-1]),
                (f"*[x + {number} for x in a]", [x + number for x in values]),
                (f"*[x - {number} for x in a]", [x - number for x in values]),
            )
        )
        program = f"a = list(map(int, input().split()))\nprint({code})"
        return Recipe("", program, " ".join(map(str, values)), " ".join(map(str, made)))
    if kind == "word":
        word = "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))
        code, text = rng.choice(
            (
                ("s", word),
                ("s[::-1]", word[::-1]),
                (f's + "{mark}"', word + mark),
                (f'"{mark}" + s', mark + word),
                ("s * 2", word * 2),
                (f'"{mark}".join(s)', mark.join(word)),
            )
        )
        return Recipe("", f"s = input()\nprint({code})", word, text)
    fields = [str(rng.randint(0, 40)) for _ in range(rng.randint(2, 4))]
    other = rng.choice("!&~^#*+=?@$%-")
    program = f'a = input().split("{mark}")\nprint("{other}".join(a))'
    return Recipe("", program, mark.join(fields), other.join(fields))


def recipe(rng: random.Random) -> Recipe:
    """Any of the three kinds."""
    return rng.choice((number_recipe, number_recipe, list_recipe, letter_recipe))(rng)
