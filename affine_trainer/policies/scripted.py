"""Trivial policies: constant and random replies, whose scores stand beside every model's."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from affine_trainer.records import Completion, Conversation, Message, Sampling, seed_from

VARIABLE = re.compile(r"x(\d+)")
FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)


@dataclass(frozen=True)
class ScriptedPolicy:
    """Answers from the last message alone; the generator that `answer` gets is seeded by seed and task."""

    name: str
    answer: Callable[[str, random.Random], str]

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        """One reply a conversation, appended to it; a Completion without tokens."""
        completions = []
        for position, conversation in enumerate(conversations):
            asked_by = conversation.task.key if conversation.task else position
            rng = random.Random(seed_from(sampling.seed, asked_by, len(conversation.messages)))
            text = self.answer(conversation.messages[-1].content, rng)
            conversation.messages.append(Message("assistant", text))
            completions.append(Completion(text, (), (), "stop"))
        return completions


def all_true(prompt: str, rng: random.Random) -> str:
    """SAT: every variable that the prompt mentions is True."""
    return ", ".join(f"x{variable}=True" for variable in _variables(prompt))


def random_assignment(prompt: str, rng: random.Random) -> str:
    """SAT: every variable that the prompt mentions is True or False with equal chance."""
    return ", ".join(f"x{variable}={rng.choice([True, False])}" for variable in _variables(prompt))


def empty_input(prompt: str, rng: random.Random) -> str:
    """ABD: nothing between the tags."""
    return "<INPUT></INPUT>"


def copied_output(prompt: str, rng: random.Random) -> str:
    """ABD: the expected output, the last fenced block of the prompt, as the input."""
    blocks = FENCED.findall(prompt)
    return f"<INPUT>\n{blocks[-1] if blocks else ''}\n</INPUT>"


def silent_program(prompt: str, rng: random.Random) -> str:
    """DED: a program that prints nothing."""
    return "```python\npass\n```"


def echo_program(prompt: str, rng: random.Random) -> str:
    """DED: a program that prints its input."""
    return "```python\nimport sys\nprint(sys.stdin.read())\n```"


def _variables(prompt: str) -> list[int]:
    return sorted(set(map(int, VARIABLE.findall(prompt))))


def nothing(prompt: str, rng: random.Random) -> str:
    """Any environment: the word `nothing`."""
    return "nothing"


SAYS_NOTHING = ScriptedPolicy("says-nothing", nothing)
TRIVIAL_POLICIES: Mapping[str, tuple[ScriptedPolicy, ...]] = {
    "affine:sat": (ScriptedPolicy("all-true", all_true), ScriptedPolicy("random", random_assignment)),
    "affine:abd": (
        ScriptedPolicy("empty-input", empty_input),
        ScriptedPolicy("copied-output", copied_output),
    ),
    "affine:ded": (
        ScriptedPolicy("silent-program", silent_program),
        ScriptedPolicy("echo-program", echo_program),
    ),
}
