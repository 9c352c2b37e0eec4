"""How the expert words its thoughts."""

from __future__ import annotations

import random

THOUGHTS: dict[str, tuple[str, ...]] = {
    "search": (
        "I look for the {thing}; it may be at {place}.",
        "The {thing} could be at {place}.",
        "I need the {thing}. I try {place}.",
    ),
    "search more": (
        "I need one more {thing}. I try {place}.",
        "Another {thing} may be at {place}.",
        "Where is the second {thing}? Maybe at {place}.",
    ),
    "open": ("It is closed, so I open it.", "I open {place} to look inside.", "I must open {place} first."),
    "fetch": ("I saw {item} at {place}.", "I get {item} from {place}.", "I remember {item} at {place}."),
    "take": ("I found {item}. I take it.", "Here is {item}; I take it.", "I take {item}."),
    "to treat": (
        "I have {item}. I {verb} it at {place}.",
        "I must {verb} {item} at {place}.",
        "Next I {verb} it, so I go to {place}.",
    ),
    "treat": ("Now I {verb} {item}.", "I {verb} it here.", "I am at {place}, so I {verb} {item}."),
    "deliver": (
        "I bring {item} to {place}.",
        "The place for {item} is {place}.",
        "Now I go to {place} with {item}.",
    ),
    "put": ("I put {item} here.", "I put it at {place}.", "This is where {item} goes."),
    "to lamp": ("I go to the lamp at {place}.", "I saw {item} at {place}.", "I need the light at {place}."),
    "use": ("I turn on {item}.", "Here is {item}. I use it.", "I have the {thing}; now I need light."),
    "lost": ("I look around.",),
}


class Thinker:
    """Draws one of several wordings; the same seed and thoughts give the same sentences."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def think(self, about: str, **words: str) -> str:
        return self._rng.choice(THOUGHTS[about]).format(**words)
