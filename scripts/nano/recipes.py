"""Made-up exercises for pretraining: programs to write, to run, and to find the input of.

They use none of the program families. They are here so that the model learns to carry numbers and letters
from a sentence into code, and code into what it prints, which a few families only teach it to remember.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from affine_trainer.envs.programs.reference import run_reference
from scripts.nano.number_recipes import (
    Recipe,
    accumulator,
    branch,
    chain,
    expression,
    integers,
    made,
    mapped_list,
    number,
    repetition,
)
from scripts.nano.text_recipes import (
    MARKS,
    SEPARATORS,
    counted,
    fields,
    letter_loop,
    word_of,
    word_recipe,
    words_recipe,
)

SMALLEST_TRIED = range(100)  # the integers among which an expert looks for the smallest that fits

RECIPES: tuple[Callable[[random.Random], Recipe], ...] = (
    chain,
    chain,
    expression,
    branch,
    repetition,
    mapped_list,
    mapped_list,
    accumulator,
    word_recipe,
    letter_loop,
    counted,
    fields,
    words_recipe,
)


def recipe(rng: random.Random) -> Recipe:
    """Any of them."""
    return rng.choice(RECIPES)(rng)


def reversible_recipe(rng: random.Random) -> Recipe:
    """A program and an output whose simplest input can be told from them."""
    return rng.choice((integer_to_find, integer_to_find, list_to_find, text_to_find, text_to_find))(rng)


def integer_to_find(rng: random.Random) -> Recipe:
    """Any recipe on one integer; the input is the smallest that has this output."""
    found = rng.choice((chain, expression, branch, repetition))(rng)
    if "map(" in found.program:
        return integer_to_find(rng)
    return Recipe(found.statement, found.program, smallest_input(found), found.stdout)


def smallest_input(found: Recipe) -> str:
    """The smallest natural number for which the program prints the same."""
    fitting: Iterator[str] = (
        str(n) for n in SMALLEST_TRIED if run_reference(found.program, str(n)) == found.stdout
    )
    return next(fitting)


def list_to_find(rng: random.Random) -> Recipe:
    """All numbers of a line changed by one or two invertible steps, perhaps in another order."""
    p, q, sign = rng.randint(2, 12), number(rng), rng.choice("+-")
    item = rng.choice((f"x * {p}", f"x {sign} {q}", f"x * {p} {sign} {q}", f"{q} - x", "x"))
    turned = rng.choice(("", "", "[::-1]"))
    lines = ["a = list(map(int, input().split()))"]
    if rng.random() < 0.5:
        lines.append(f"print(*[{item} for x in a{turned}])")
    else:
        lines += ["b = []", f"for x in a{turned}:", f"    b.append({item})", "print(*b)"]
    return made(rng, "a line of integers", "print", lines, integers(rng, 2, 5, 30))


def text_to_find(rng: random.Random) -> Recipe:
    """A word, words or fields rewritten so that nothing is lost."""
    mark, other = rng.sample(MARKS, 2)
    old = rng.choice(SEPARATORS)
    word = word_of(rng)
    kind = rng.choice(("word", "words", "fields"))
    if kind == "word":
        code = rng.choice(("s", "s[::-1]", f's + "{mark}"', f'"{mark}" + s', "s * 2", f'"{mark}".join(s)'))
        code = rng.choice((code, code, f'"{mark}".join(s[::-1])', "s[1:] + s[0]", "s[-1] + s[:-1]"))
        return made(rng, "a word s", "print", ["s = input()", f"print({code})"], word)
    if kind == "words":
        code = rng.choice((f'"{mark}".join(a)', f'"{mark}".join(a[::-1])'))
        stdin = " ".join(word_of(rng) for _ in range(rng.randint(2, 3)))
        return made(rng, "words", "print", ["a = input().split()", f"print({code})"], stdin)
    numbers = integers(rng, 2, 4, 40).split()
    program = [f'a = input().split("{old}")', f'print("{other}".join(a))']
    return made(rng, "fields", "print", program, old.join(numbers))
