"""One play of one crafting task, with the grammar and the answers of the TextCraft server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.textcraft.planning import plan
from affine_trainer.envs.textcraft.recipes import Part, Recipe, item_id
from affine_trainer.envs.textcraft.tasks import CraftTask
from affine_trainer.records import SnapshotKind

CRAFT = re.compile(r"craft (.*) using (.*)")
GET = re.compile(r"get ([0-9]+) (.*)")
COUNTED = re.compile(r"([0-9]+) (.*)")
MOST_DIGITS = 100  # a number longer than that is not understood
SAMPLED_AMOUNTS = range(1, 10)


class RefusedError(Exception):
    """An action that changes nothing; the message is the observation."""


class TextCraftGame:
    """Obtaining the goal pays 1 and ends the play; nothing else pays.

    As on the server, an action is read from its beginning and in lower case, the number in front of a
    crafted item is not checked, and the numbers of its ingredients must be those of crafting once.
    """

    snapshot_kind: SnapshotKind = "exact"

    def __init__(self, task: CraftTask) -> None:
        self._task = task
        self._book = task.book
        self._carried: dict[str, int] = {}  # in the order of obtaining, which the inventory shows
        self._solved = False

    @property
    def success(self) -> bool:
        return self._solved

    @property
    def progress(self) -> float:
        """The share of the moves from nothing to the goal that what is carried saves."""
        if self._solved:
            return 1.0
        left = len(plan(self._task.goal, self._task.cookbook, self._carried))
        return max(0.0, 1.0 - left / self._task.num_moves)

    def observe(self) -> str:
        return self._task.observation

    def act(self, action: str) -> Outcome:
        try:
            observation, obtained = self._perform(action)
        except RefusedError as refusal:
            observation, obtained = str(refusal), None
        reward = float(obtained == self._task.goal)
        self._solved = self._solved or reward > 0
        return Outcome(observation, reward, float(self._solved), self._solved)

    def actions(self) -> list[str]:
        """The inventory, what can be crafted now by the shown commands, and the items they need to fetch."""
        parts = {part.name: None for recipe in self._task.shown for part in recipe.parts}
        fetched = [name for name in parts if self._book.fetchable(name)]
        gets = [f"get {amount} {name}" for name in fetched for amount in SAMPLED_AMOUNTS]
        crafts = [made.command for recipe in self._task.shown if (made := self._with_carried(recipe))]
        return ["inventory", *crafts, *gets]

    def snapshot(self) -> bytes:
        return json.dumps({"carried": list(self._carried.items()), "solved": self._solved}).encode()

    def restore(self, state: bytes) -> None:
        saved = json.loads(state)
        self._carried = {name: amount for name, amount in saved["carried"]}
        self._solved = saved["solved"]

    def close(self) -> None:
        """Nothing is held."""

    def _perform(self, action: str) -> tuple[str, str | None]:
        """The observation, and the item that was obtained if any."""
        if match := CRAFT.match(action):
            return self._craft(match[1], match[2])
        if (match := GET.match(action)) and len(match[1]) <= MOST_DIGITS:
            return self._get(int(match[1]), match[2])
        if action.startswith("inventory"):
            return self._inventory(), None
        raise RefusedError(f"Could not execute {action}")

    def _inventory(self) -> str:
        carried = "".join(f"[{name}] ({amount}) " for name, amount in self._carried.items())
        return f"Inventory: {carried or 'You are not carrying anything.'}"

    def _get(self, amount: int, said: str) -> tuple[str, str]:
        name = said.replace("_", " ")
        if not self._book.fetchable(name):
            raise RefusedError(f"Could not find {said}")
        self._add(name, amount)
        return f"Got {amount} {said}", name

    def _craft(self, made: str, using: str) -> tuple[str, str]:
        counted = _counted(made)
        output = counted or Part(1, made.replace("_", " "))
        parts = [self._read_part(text.strip()) for text in using.split(",")]
        if any(self._carried.get(part.name, -1) < part.amount for part in parts):
            raise RefusedError(f"Could not find enough items to craft {self._id(output.name)}")
        recipe = self._book.match(output.name, parts)
        if recipe is None:
            raise RefusedError(f"Could not find a valid recipe for {self._tagged(output)}")
        self._remove(recipe, parts)
        self._add(recipe.output, recipe.makes)
        return f"Crafted {recipe.makes} {item_id(recipe.output)}", recipe.output

    def _read_part(self, text: str) -> Part:
        part = _counted(text)
        if part is None:
            raise RefusedError(f"Wrong item format: {text}")
        return part

    def _id(self, name: str) -> str | None:
        return None if name in self._book.tags else item_id(name)

    def _tagged(self, part: Part) -> str:
        """How the server prints an item with its number."""
        tag = item_id(part.name) if part.name in self._book.tags else None
        item = f"ItemTag(tag={tag!r}, item_id={self._id(part.name)!r})"
        return f"ItemTagWithCount(item_tag={item}, count={part.amount})"

    def _add(self, name: str, amount: int) -> None:
        self._carried[name] = self._carried.get(name, 0) + amount

    def _remove(self, recipe: Recipe, parts: Sequence[Part]) -> None:
        """Take the parts, which may name an item twice, or none of them."""
        left = dict(self._carried)
        for part in parts:
            left[part.name] = left.get(part.name, 0) - part.amount
            if left[part.name] < 0:
                raise RefusedError(f"Could not find enough items to craft {item_id(recipe.output)}")
            if left[part.name] == 0:
                del left[part.name]
        self._carried = left

    def _with_carried(self, recipe: Recipe) -> Recipe | None:
        """The recipe in terms of carried items; None when some are missing."""
        parts = []
        for wanted in recipe.parts:
            kinds = self._book.tags.get(wanted.name, (wanted.name,))
            kind = next((name for name in kinds if self._carried.get(name, 0) >= wanted.amount), None)
            if kind is None:
                return None
            parts.append(Part(wanted.amount, kind))
        return Recipe(recipe.output, recipe.makes, tuple(parts))


def _counted(text: str) -> Part | None:
    """`4 oak planks` as the server reads it: whatever follows the number is the name."""
    match = COUNTED.match(text)
    if match is None or len(match[1]) > MOST_DIGITS:
        return None
    return Part(int(match[1]), match[2].replace("_", " "))
