"""A player that reads the commands, works backwards from the goal, and keeps count of what it has."""

from __future__ import annotations

import random
import re

from affine_trainer.envs.agents.game import Move
from affine_trainer.envs.textcraft.planning import Cookbook, Fetch, Make, plan
from affine_trainer.envs.textcraft.recipes import Recipe, by_output, read_command
from affine_trainer.records import seed_from

GOAL = re.compile(r"Goal: craft (.*)\.")
GET_THOUGHTS = (
    "I need {amount} {name} for the {use}.",
    "The {use} takes {name}, and no command makes it, so I get {amount}.",
    "{name} is missing: I get {amount} for the {use}.",
    "There is no command for {name}. I get {amount}.",
)
MAKE_THOUGHTS = (
    "I have what {name} takes, so I craft it for the {use}.",
    "The {use} needs {name}, which I can craft now.",
    "Next comes {name}: its parts are here.",
    "Now I can craft {name}, a part of the {use}.",
)
KIND_THOUGHTS = ("Any {generic} will do, so I use {kind}.", "{kind} counts as {generic}.")
LAST_THOUGHTS = (
    "I have everything for the {name}.",
    "All parts are here, so I craft the {name}.",
    "Now the {name} itself.",
    "Nothing is missing for the {name}, so I craft it.",
)
LOST_THOUGHT = "I do not know how to go on, so I look at what I have."


class CraftingExpert:
    """Knows only what the observations say. Which items are generic it tells by their names.

    It plans anew at every move from what it carries, so a refused or lost action does not derail it.
    """

    def __init__(self) -> None:
        self._goal = ""
        self._cookbook = Cookbook({}, self._kinds)
        self._carried: dict[str, int] = {}
        self._missing: set[str] = set()  # what could not be found
        self._said: Fetch | Make | None = None
        self._rng = random.Random(0)

    def move(self, observation: str) -> Move:
        if goal := GOAL.search(observation):
            self._read_task(observation, goal[1])
        elif self._said is not None:
            self._take_note(observation, self._said)
        self._said = self._next_step()
        if self._said is None:
            return Move(LOST_THOUGHT, "inventory")
        return Move(self._thought(self._said), self._said.command)

    def _read_task(self, observation: str, goal: str) -> None:
        lines = [line for line in observation.splitlines() if line.startswith("craft ")]
        self._goal = goal
        self._cookbook = Cookbook(by_output(map(read_command, lines)), self._kinds)
        self._rng = random.Random(seed_from("thoughts", observation))

    def _next_step(self) -> Fetch | Make | None:
        """None when the commands do not lead to the goal, or only by what cannot be found."""
        if self._goal not in self._cookbook.recipes:
            return None
        step = plan(self._goal, self._cookbook, self._carried)[0]
        return None if isinstance(step, Fetch) and step.name in self._missing else step

    def _take_note(self, observation: str, said: Fetch | Make) -> None:
        """Book what the last action did."""
        if isinstance(said, Fetch) and observation.startswith("Got "):
            self._carried[said.name] = self._carried.get(said.name, 0) + said.amount
        elif isinstance(said, Fetch) and observation.startswith("Could not find "):
            self._missing.add(said.name)
        elif isinstance(said, Make) and observation.startswith("Crafted "):
            for part in said.recipe.parts:
                self._carried[part.name] -= part.amount
            self._carried[said.recipe.output] = self._carried.get(said.recipe.output, 0) + said.written.makes

    def _kinds(self, name: str) -> list[str]:
        """`oak planks` is a kind of `planks`, unless it is made of planks.

        Of what could not be found, everything that shares a word with it may be a kind.
        """
        words = set(name.split())
        return [
            output
            for output, recipes in self._cookbook.recipes.items()
            if (output.endswith(f" {name}") or (name in self._missing and words & set(output.split())))
            and not any(part.name == name for recipe in recipes for part in recipe.parts)
        ]

    def _thought(self, step: Fetch | Make) -> str:
        if isinstance(step, Fetch):
            said = self._rng.choice(GET_THOUGHTS)
            return _sentence(said.format(amount=step.amount, name=step.name, use=step.use))
        if step.recipe.output == self._goal:
            said = self._rng.choice(LAST_THOUGHTS).format(name=self._goal)
        else:
            said = self._rng.choice(MAKE_THOUGHTS).format(name=step.recipe.output, use=step.use)
        return _sentence(" ".join([said, *self._swap(step.written, step.recipe)]))

    def _swap(self, written: Recipe, recipe: Recipe) -> list[str]:
        """A word on the first generic ingredient, if there is one."""
        for generic, kind in zip(written.parts, recipe.parts, strict=True):
            if generic.name != kind.name:
                said = self._rng.choice(KIND_THOUGHTS)
                return [_sentence(said.format(generic=generic.name, kind=kind.name))]
        return []


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
