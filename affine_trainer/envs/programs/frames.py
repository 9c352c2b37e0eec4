"""The frames that all families share: how a statement opens and where it says what is read."""

from __future__ import annotations

FRAMES: tuple[str, ...] = (
    "Read {reads}. {Description}.",
    "Given {reads}, {description}.",
    "The input is {reads}. {Description}.",
    "{Description}. The input is {reads}.",
    "You are given {reads}. Your task: {description}.",
    "Write a program for this task: {description}. It reads {reads}.",
)


def state(frame: str, reads: str, description: str) -> str:
    """The statement made of a frame, a noun phrase for the input and a description that opens with a verb."""
    capitalised = description[0].upper() + description[1:]
    return frame.format(reads=reads, description=description, Description=capitalised)
