"""One problem as the audit sees it: where it stands, how it is named, and what it asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from affine_trainer.envs.parsing import extract_program
from affine_trainer.leaks.formulas import Clauses, parse_formula
from affine_trainer.leaks.programs import ProgramForms, program_forms
from affine_trainer.records import sha256_of

# What a model learns from, what its training is steered by, and what it is judged by.
Role = Literal["training", "validation", "evaluation"]
ROLES: tuple[Role, ...] = ("training", "validation", "evaluation")
OTHER = "other"  # the environment of a row that none was recognised for

FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is a line of `place`, or empty; `key` and `content` (a hash of what is asked) where known.

    `asked` is a hash of what the prompt asks, read from its text: for SAT the set of clauses, for ABD program
    and output, else the statement or first observation. `number` is an id without a family.
    """

    place: str
    role: Role
    where: str
    env: str
    key: str | None = None
    content: str | None = None
    asked: str | None = None
    number: int | None = None
    formula: Clauses | None = None
    program: ProgramForms | None = None
    statement: str | None = None

    @property
    def name(self) -> str:
        """`affine:abd@heldout-v1`, or the environment alone where no key names the family."""
        return self.key.rpartition("/")[0] if self.key else self.env

    @property
    def interactive(self) -> bool:
        return self.env.startswith("agentgym:")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where problems are read from; `around` is the wording before and behind a statement, by environment."""

    place: str
    role: Role
    around: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def read_problem(
    origin: Origin,
    where: str,
    env: str | None,
    prompt: str,
    reply: str,
    *,
    key: str | None = None,
    content: str | None = None,
    number: int | None = None,
) -> Problem:
    """A problem from the text that poses it and an answer to it (either may be empty).

    `prompt` is the message that asks, or the first observation of an interactive task. Without `env` it is
    recognised by the text, else OTHER. Tasks of the user's own are known by key and content alone.
    """
    if env and env.startswith("custom:"):  # what their texts leave open is their authors' to know
        return Problem(origin.place, origin.role, where, env, key=key, content=content, number=number)
    formula = parse_formula(prompt) if env in (None, "affine:sat") else None
    env = env or recognised(formula, prompt, reply)
    found = {"key": key, "content": content, "number": number}
    if env == "affine:sat" and formula:
        asked = sha256_of(sorted(map(sorted, formula)))
        return Problem(origin.place, origin.role, where, env, asked=asked, formula=formula, **found)
    statement, program = None, None
    if env == "affine:abd" and (shown := shown_program(prompt)):
        asked, program = sha256_of(shown), program_forms(shown[0])
    else:
        statement = one_line(_without(origin.around.get(env), prompt))
        asked = sha256_of(statement.lower()) if statement else None
    if env == "affine:ded" and reply:
        program = program_forms(extract_program(reply))
    told = statement if env in ("affine:ded", OTHER) else None
    return Problem(
        origin.place, origin.role, where, env, asked=asked, program=program, statement=told, **found
    )


def recognised(formula: Clauses | None, prompt: str, reply: str) -> str:
    """The environment that a prompt and its answer look like."""
    if formula:
        return "affine:sat"
    if "<input>" in prompt.lower() and FENCE.search(prompt):
        return "affine:abd"
    return "affine:ded" if "```" in reply and program_forms(extract_program(reply)) else OTHER


def shown_program(prompt: str) -> tuple[str, str] | None:
    """Program and output that an ABD prompt shows: the first two fences, trimmed at line ends; else None."""
    fences: Sequence[str] = FENCE.findall(prompt)
    if len(fences) < 2:
        return None
    program, output = (
        "\n".join(line.rstrip() for line in text.strip("\n").split("\n")) for text in fences[:2]
    )
    return program, output


def one_line(text: str) -> str:
    """The words of a text with single spaces between them."""
    return " ".join(text.split())


def _without(around: tuple[str, str] | None, prompt: str) -> str:
    before, behind = around or ("", "")
    return prompt.removeprefix(before).removesuffix(behind)
