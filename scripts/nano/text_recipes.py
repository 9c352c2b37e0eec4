"""Made-up programs on words and fields for pretraining, put together from their description."""

from __future__ import annotations

import random

from affine_trainer.envs.programs.inputs import WORDS
from scripts.nano.number_recipes import Recipe, integers, made, number, operation, told

MARKS = "!&~^#*+=?@$%-:/|;._"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SEPARATORS = ",;:/|-"


def word_of(rng: random.Random) -> str:
    """A word of the shared list or a made-up one."""
    invented = "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))
    return rng.choice((rng.choice(WORDS), invented))


def word_steps(rng: random.Random, word: str) -> tuple[str, str]:
    """One operation on a word s: its code and its description."""
    old, new, mark, n = rng.choice(word), rng.choice(LETTERS), rng.choice(MARKS), rng.randint(1, 3)
    return rng.choice(
        (
            (f's.replace("{old}", "{new}")', f"s with every '{old}' replaced by '{new}'"),
            (f's.replace("{old}", "{mark}")', f"s with '{mark}' in place of each '{old}'"),
            (f'"{mark}".join(s)', f"the letters of s with '{mark}' between them"),
            (f"s[{n}:]", f"s without its first {n} letters"),
            (f"s[:{n}]", f"the first {n} letters of s"),
            (f"s[-{n}:]", f"the last {n} letters of s"),
            ("s[::-1]", "s from last to first"),
            (f"s * {n + 1}", f"s written {n + 1} times"),
            (f's + "{mark}"', f"s with '{mark}' behind it"),
            (f'"{mark}" + s', f"s with '{mark}' before it"),
            ("s.upper()", "s in capitals"),
            (f'"{mark}".join(sorted(s))', f"the letters of s in order with '{mark}' between them"),
            (f's.count("{old}")', f"how often '{old}' occurs in s"),
            (f"len(s) * {n + 2}", f"{n + 2} times the length of s"),
        )
    )


def word_recipe(rng: random.Random) -> Recipe:
    """One or two values of a word."""
    word = word_of(rng)
    steps = [word_steps(rng, word) for _ in range(rng.choice((1, 1, 2)))]
    words, printed = " and ".join(text for _, text in steps), ", ".join(code for code, _ in steps)
    task = rng.choice((f"print {words}", f"write {words}"))
    if len(steps) == 1 and rng.random() < 0.3:
        lines = ["def f(s):", f"    return {printed}", "print(f(input()))"]
    else:
        lines = ["s = input()", f"print({printed})"]
    return made(rng, "a word s", task, lines, word)


def letter_loop(rng: random.Random) -> Recipe:
    """A word built or scored letter by letter."""
    word = word_of(rng)
    letter, mark, n, m = rng.choice(word), rng.choice(MARKS), rng.randint(2, 9), rng.randint(1, 9)
    if rng.random() < 0.5:
        task = rng.choice(
            (
                f"put '{mark}' behind every '{letter}' of s and print it",
                f"print s with '{mark}' behind each '{letter}'",
            )
        )
        body = [f'    if c == "{letter}":', f'        r += c + "{mark}"', "    else:", "        r += c"]
        return made(rng, "a word s", task, ["s = input()", 'r = ""', "for c in s:", *body, "print(r)"], word)
    task = f"count {n} for each '{letter}' of s and {m} for each other letter, and print the total"
    body = [f'    if c == "{letter}":', f"        r += {n}", "    else:", f"        r += {m}"]
    return made(rng, "a word s", task, ["s = input()", "r = 0", "for c in s:", *body, "print(r)"], word)


def counted(rng: random.Random) -> Recipe:
    """A dictionary of letters: looked up or counted."""
    if rng.random() < 0.5:
        prices = {letter: rng.randint(1, 20) for letter in rng.sample(LETTERS, rng.randint(2, 3))}
        text = "".join(rng.choice(list(prices)) for _ in range(rng.randint(2, 6)))
        table = ", ".join(f'"{letter}": {price}' for letter, price in prices.items())
        words = ", ".join(f"{letter} is worth {price}" for letter, price in prices.items())
        lines = ["s = input()", f"d = {{{table}}}", "print(*[d[c] for c in s])"]
        return made(rng, "a string s", f"print the worth of each letter of s when {words}", lines, text)
    n, word = rng.randint(2, 9), word_of(rng)
    lines = ["d = {}", "for c in input():", f"    d[c] = d.get(c, 0) + {n}", "print(*d.values())"]
    task = f"count {n} for each time a letter occurs and print the counts in order of appearance"
    return made(rng, "a word", task, lines, word)


def fields(rng: random.Random) -> Recipe:
    """Words or integers between separators."""
    old, new, n = rng.choice(SEPARATORS), rng.choice(MARKS), number(rng)
    numbers = integers(rng, 2, 4, 40).split()
    if rng.random() < 0.5:
        task = rng.choice((f"print them with '{new}' between them", f"join them by '{new}' and print that"))
        lines = [f'a = input().split("{old}")', f'print("{new}".join(a))']
        return made(rng, f"integers with '{old}' between them", task, lines, old.join(numbers))
    op, n = operation(rng, "+ - *")
    lines = [f'a = [int(x) for x in input().split("{old}")]', f"print(*[x {op} {n} for x in a])"]
    task = f"print {told(rng, 'x', op, n)} for each number x"
    return made(rng, f"integers with '{old}' between them", task, lines, old.join(numbers))


def words_recipe(rng: random.Random) -> Recipe:
    """A line of words."""
    text = " ".join(word_of(rng) for _ in range(rng.randint(2, 3)))
    mark, n = rng.choice(MARKS), rng.randint(1, 2)
    code, words = rng.choice(
        (
            (f'print("{mark}".join(a[::-1]))', f"print the words from last to first with '{mark}' between"),
            ("print(*[len(s) for s in a])", "print the length of each word"),
            (f"print(*[s[:{n}] for s in a])", f"print the first {n} letters of each word"),
            ("print(*[s[::-1] for s in a])", "print each word backwards"),
            (f'print(*[s + "{mark}" for s in a])', f"print each word with '{mark}' behind it"),
            ("print(*sorted(a))", "print the words in alphabetical order"),
        )
    )
    return made(rng, "a line of words", words, ["a = input().split()", code], text)
