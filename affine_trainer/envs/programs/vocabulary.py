"""Parameter values that several families share; a mapping gives the words for each piece of code."""

from __future__ import annotations


def quoted(characters: str) -> dict[str, str]:
    """Each character as itself in a program and in quotation marks in a description."""
    return {character: f"'{character}'" for character in characters}


ALPHABET = "abcdefghijklmnopqrstuvwxyz"
LETTERS = quoted(ALPHABET)
MARKS = quoted("-*+.:/#_=~!%&@^|;?")
SEPARATORS = quoted(",;:/|-")
PLUS_MINUS = {"+": "plus", "-": "minus"}
OPERATORS = {"+": "plus", "-": "minus", "*": "times"}
COMPARISONS = {">": "greater than", "<": "less than", ">=": "at least", "<=": "at most"}
EXTREMES = {"max": "largest", "min": "smallest"}
WORD_FORMS = {"": "", "[::-1]": " from last to first", ".upper()": " in capitals"}
TWISTS = {"[::-1]": " from last to first", "[1:]": " without its first letter", " * 2": " twice"}
CUTS = {"[1:]": "all but the first", "[:-1]": "all but the last", "[2:]": "all but the first two"}
ORDERS = {"": "increasing", ", reverse=True": "decreasing"}
