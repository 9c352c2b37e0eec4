"""The simulator's own solutions, tidied where that costs no score, and kept in a file."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.sciworld.game import FULL_SCORE, SciWorldGame
from affine_trainer.envs.sciworld.tidy import tidied

IN_VAIN = ("The door is already", "You can't", "No known action", "Unknown action", "It's not clear")


class Turn(NamedTuple):
    """One action of a played path and what came of it."""

    action: str
    outcome: Outcome


class GoldPaths:
    """Paths by index. `solve` asks the simulator, which costs a second or so; `start` begins a play.

    The file has one JSON object a line. It is appended to, so a kill costs at most its last line.
    """

    def __init__(
        self, solve: Callable[[int], list[str]], start: Callable[[int], SciWorldGame], cache: Path | None
    ) -> None:
        self._solve = solve
        self._start = start
        self._cache = cache
        self._lock = threading.Lock()
        self._paths = _read(cache) if cache is not None and cache.exists() else {}

    def path(self, index: int) -> list[str]:
        """The actions that solve a game as far as the simulator knows; the last one ends it."""
        with self._lock:
            known = self._paths.get(index)
        if known is not None:
            return known
        actions = self._improved(index, self._solve(index))
        with self._lock:
            self._paths[index] = actions
            if self._cache is not None:
                _append(self._cache, index, actions)
        return actions

    def _improved(self, index: int, actions: Sequence[str]) -> list[str]:
        """The path with straight ways and without what is needless, as far as that costs no score."""
        turns = self._play(index, lambda opening: tidied(actions, opening))
        if _score(turns) < FULL_SCORE:
            turns = max(self._play(index, lambda opening: actions), turns, key=_score)
        for needless in (_repeating(turns) | _in_vain(turns), _in_vain(turns)):
            shorter = [turn.action for place, turn in enumerate(turns) if place not in needless]
            again = self._play(index, lambda opening, shorter=shorter: shorter)
            if _score(again) >= _score(turns):
                return [turn.action for turn in again]
        return [turn.action for turn in turns]

    def _play(self, index: int, plan: Callable[[str], Sequence[str]]) -> list[Turn]:
        """The actions planned from the first observation, up to the end of the game, and what they did."""
        game = self._start(index)
        turns: list[Turn] = []
        try:
            for action in plan(game.observe()):
                turns.append(Turn(action, game.act(action)))
                if turns[-1].outcome.done:
                    break
        finally:
            game.close()
        return turns


def _score(turns: Sequence[Turn]) -> float:
    return turns[-1].outcome.score if turns else 0.0


def _in_vain(turns: Sequence[Turn]) -> set[int]:
    """The places of the actions that did nothing, in the simulator's own words."""
    return {place for place, turn in enumerate(turns) if turn.outcome.observation.startswith(IN_VAIN)}


def _repeating(turns: Sequence[Turn]) -> set[int]:
    """The places of looks that showed what they had shown before, with no time let pass in between."""
    shown: set[tuple[str, str]] = set()
    places: set[int] = set()
    for place, turn in enumerate(turns):
        now = (turn.action, turn.outcome.observation)
        if turn.action.startswith(("look", "examine")) and turn.outcome.reward == 0 and now in shown:
            places.add(place)
        if turn.action.startswith("wait"):
            shown.clear()
        shown.add(now)
    return places


def _read(cache: Path) -> dict[int, list[str]]:
    """The complete lines of the file."""
    paths: dict[int, list[str]] = {}
    for line in cache.read_text().split("\n")[:-1]:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # a kill cut it off, and a later run went on after it
            continue
        paths[row["index"]] = row["actions"]
    return paths


def _append(cache: Path, index: int, actions: Sequence[str]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("a") as file:
        file.write(json.dumps({"index": index, "actions": actions}) + "\n")
