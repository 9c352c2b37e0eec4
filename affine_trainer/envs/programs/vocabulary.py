"""Parameter values that several families share; a mapping gives the words for each piece of code."""

from __future__ import annotations

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
MARKS = "-*+.:/#_=~!%"
PLUS_MINUS = {"+": "plus", "-": "minus"}
OPERATORS = {"+": "plus", "-": "minus", "*": "times"}
COMPARISONS = {">": "greater than", "<": "less than", ">=": "at least", "<=": "at most"}
EXTREMES = {"max": "largest", "min": "smallest"}
ORDERS = {"": "increasing", ", reverse=True": "decreasing"}
