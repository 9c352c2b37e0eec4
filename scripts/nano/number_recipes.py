"""Made-up programs on integers for pretraining, put together from their description number by number."""

from __future__ import annotations

import random
from dataclasses import dataclass

from affine_trainer.envs.programs.frames import FRAMES, state
from affine_trainer.envs.programs.reference import run_reference

# Operator -> how a value is described after it, and how the step is told as a command.
AFTER = {
    "+": ("{x} plus {n}", "{x} increased by {n}", "{x} + {n}", "the sum of {x} and {n}"),
    "-": ("{x} minus {n}", "{x} decreased by {n}", "{x} - {n}", "what is {n} less than {x}"),
    "*": ("{x} times {n}", "{n} times {x}", "{n} {x}", "{x} multiplied by {n}"),
    "//": ("{x} divided by {n}, rounded down", "{x} // {n}", "the whole part of {x} divided by {n}"),
    "%": (
        "the remainder of {x} by {n}",
        "{x} modulo {n}",
        "{x} % {n}",
        "what {x} leaves when divided by {n}",
    ),
}
COMMAND = {
    "+": ("add {n}", "increase {x} by {n}", "plus {n}"),
    "-": ("subtract {n}", "take {n} away", "minus {n}"),
    "*": ("multiply by {n}", "take {x} {n} times", "times {n}"),
    "//": ("divide by {n}, rounded down", "take the whole part of a division by {n}"),
    "%": ("take the remainder by {n}", "reduce {x} modulo {n}"),
}
TEST = {
    ">": ("greater than {n}", "above {n}", "more than {n}"),
    "<": ("less than {n}", "below {n}", "smaller than {n}"),
    ">=": ("at least {n}", "not below {n}"),
    "<=": ("at most {n}", "not above {n}"),
}


@dataclass(frozen=True)
class Recipe:
    """A statement, the program it describes, an input, and what the program prints on it."""

    statement: str
    program: str
    stdin: str
    stdout: str


def number(rng: random.Random, operator: str = "+") -> int:
    """An operand: small for products and divisions."""
    if operator in ("*", "//"):
        return rng.randint(2, 12)
    return rng.randint(2, 30) if operator == "%" else rng.choice((rng.randint(1, 15), rng.randint(1, 99)))


def operation(rng: random.Random, operators: str = "+ - * // %") -> tuple[str, int]:
    """An operator and its operand."""
    operator = rng.choice(operators.split())
    return operator, number(rng, operator)


def told(rng: random.Random, x: str, operator: str, n: object) -> str:
    """`x operator n` in words."""
    return rng.choice(AFTER[operator]).format(x=x, n=n)


def ordered(rng: random.Random, operator: str, n: int, x: str) -> str:
    """The command that turns x into `x operator n`."""
    return rng.choice(COMMAND[operator]).format(n=n, x=x)


def compared(rng: random.Random, low: int = 3, high: int = 60) -> tuple[str, str]:
    """A comparison as code (`> 7`) and in words."""
    sign, n = rng.choice(list(TEST)), rng.randint(low, high)
    return f"{sign} {n}", rng.choice(TEST[sign]).format(n=n)


def integers(rng: random.Random, least: int = 2, most: int = 5, high: int = 60) -> str:
    """A line of integers."""
    return " ".join(str(rng.randint(0, high)) for _ in range(rng.randint(least, most)))


def made(rng: random.Random, reads: str, task: str, lines: list[str], stdin: str) -> Recipe:
    """The recipe with one of the frames around its task."""
    program = "\n".join(lines)
    return Recipe(state(rng.choice(FRAMES), reads, task), program, stdin, run_reference(program, stdin))


def chain(rng: random.Random) -> Recipe:
    """One to three operations on an integer, step by step or in a function."""
    name = rng.choice("nxa")
    steps = [operation(rng) for _ in range(rng.randint(1, 3))]
    words = rng.choice((", then ", ", ", " and ")).join(ordered(rng, op, n, name) for op, n in steps)
    task = rng.choice((f"{words}, and print the result", f"{words}; print what you get"))
    start = str(rng.randint(0, 60))
    if rng.random() < 0.3:
        body = [f"    {name} = {name} {op} {n}" for op, n in steps[:-1]]
        last = f"    return {name} {steps[-1][0]} {steps[-1][1]}"
        lines = [f"def f({name}):", *body, last, "print(f(int(input())))"]
    else:
        form = rng.choice(("{v} = {v} {op} {n}", "{v} {op}= {n}"))
        lines = [f"{name} = int(input())", *(form.format(v=name, op=op, n=n) for op, n in steps)]
        lines.append(f"print({name})")
    return made(rng, f"an integer {name}", task, lines, start)


def expression(rng: random.Random) -> Recipe:
    """One or two values computed from an integer or a pair."""
    if rng.random() < 0.4:
        (op, n), (second, m) = operation(rng, "+ - *"), operation(rng, "+ - *")
        joint = rng.choice("+-")
        task = f"print {told(rng, 'a', op, n)} {'plus' if joint == '+' else 'minus'} "
        task += f"({told(rng, 'b', second, m)})"
        lines = ["a, b = map(int, input().split())", f"print((a {op} {n}) {joint} (b {second} {m}))"]
        return made(rng, "two integers a and b on one line", task, lines, integers(rng, 2, 2, 30))
    pairs = [operation(rng) for _ in range(rng.randint(1, 2))]
    words = " and ".join(told(rng, "n", op, n) for op, n in pairs)
    printed = ", ".join(f"n {op} {n}" for op, n in pairs)
    task = rng.choice((f"print {words}", f"output {words} on one line"))
    return made(rng, "an integer n", task, ["n = int(input())", f"print({printed})"], str(rng.randint(0, 60)))


def branch(rng: random.Random) -> Recipe:
    """An if with two arms; the test is a comparison or a remainder."""
    (op, n), (other, m) = operation(rng), operation(rng)
    if rng.random() < 0.5:
        code, words = compared(rng)
        test, words = f"n {code}", f"n is {words}"
    else:
        k = rng.randint(2, 9)
        r = rng.randrange(k)
        test, words = f"n % {k} == {r}", f"n leaves {r} when divided by {k}"
    task = f"if {words}, print {told(rng, 'n', op, n)}, otherwise {told(rng, 'n', other, m)}"
    if rng.random() < 0.5:
        lines = [f"if {test}:", f"    print(n {op} {n})", "else:", f"    print(n {other} {m})"]
    else:
        lines = [f"if {test}:", f"    n = n {op} {n}", "else:", f"    n = n {other} {m}", "print(n)"]
    return made(rng, "an integer n", task, ["n = int(input())", *lines], str(rng.randint(0, 70)))


def repetition(rng: random.Random) -> Recipe:
    """A loop over a fixed count, or one that ends at a bound and may count its rounds."""
    op, n = operation(rng, "+ - *")
    start = str(rng.randint(0, 20))
    if rng.random() < 0.5:
        times = rng.randint(2, 5)
        task = f"{times} times {ordered(rng, op, n, 'x')}, then print x"
        lines = ["x = int(input())", f"for i in range({times}):", f"    x = x {op} {n}", "print(x)"]
        return made(rng, "an integer x", task, lines, start)
    bound, step = rng.randint(20, 90), rng.randint(2, 20)
    task = f"while x is below {bound}, {ordered(rng, '+', step, 'x')}; print x"
    lines = ["x = int(input())", f"while x < {bound}:", f"    x += {step}"]
    if rng.random() < 0.5:
        lines = [lines[0], "r = 0", *lines[1:], "    r += 1", "print(x, r)"]
        return made(rng, "an integer x", f"{task} and the number of steps", lines, start)
    return made(rng, "an integer x", task, [*lines, "print(x)"], start)


LIST_PRINTS = {
    "*b": ("", "on one line"),
    "sum(b)": ("the sum of", ""),
    "max(b)": ("the largest of", ""),
    "min(b)": ("the smallest of", ""),
    "len(b)": ("the number of", ""),
    "*b[::-1]": ("", "from last to first"),
    "*sorted(b)": ("", "in increasing order"),
    "*b[1:]": ("", "without the first"),
    "*b[:2]": ("the first two of", ""),
}


def mapped_list(rng: random.Random) -> Recipe:
    """Numbers chosen, changed, and summed up or listed; in a comprehension or in a loop."""
    op, n = operation(rng)
    test, words = compared(rng, 3, 40) if rng.random() < 0.4 else ("", "")
    printed = rng.choice(list(LIST_PRINTS))
    before, after = LIST_PRINTS[printed]
    chosen = f"over all numbers x {words}" if words else "over all numbers x"
    task = " ".join(part for part in ("print", before, told(rng, "x", op, n), chosen, after) if part)
    stdin = integers(rng)
    kept = [x for x in map(int, stdin.split()) if not test or eval(f"{x} {test}")]
    if not kept:  # nothing to take an extreme of: show another
        return mapped_list(rng)
    lines = ["a = list(map(int, input().split()))"]
    if rng.random() < 0.5:
        lines += [f"b = [x {op} {n} for x in a{f' if x {test}' if test else ''}]"]
    else:
        append = f"b.append(x {op} {n})"
        inner = [f"    if x {test}:", f"        {append}"] if test else [f"    {append}"]
        lines += ["b = []", "for x in a:", *inner]
    return made(rng, "a line of integers", task, [*lines, f"print({printed})"], stdin)


def accumulator(rng: random.Random) -> Recipe:
    """A value that each number of a line changes, perhaps in one of two ways."""
    start, (op, n) = number(rng), operation(rng, "+ - *")
    sign = rng.choice("+-")
    verb = {"+": "add", "-": "subtract"}[sign]
    head = rng.choice((f"start with {start}", f"let r be {start}", f"begin at {start}"))
    lines = ["a = list(map(int, input().split()))", f"r = {start}", "for x in a:"]
    if rng.random() < 0.5:
        task = f"{head}, {verb} {told(rng, 'x', op, n)} for each number x, and print the end"
        lines += [f"    r {sign}= x {op} {n}"]
    else:
        test, words = compared(rng, 3, 40)
        step = number(rng)
        task = f"{head}; for each number x that is {words} {verb} x, for the others add {step}; print it"
        lines += [f"    if x {test}:", f"        r {sign}= x", "    else:", f"        r += {step}"]
    return made(rng, "a line of integers", task, [*lines, "print(r)"], integers(rng, 2, 4, 40))
