"""One open game in the simulator, made deterministic: the same actions give the same observations."""

from __future__ import annotations

from typing import NamedTuple

from affine_trainer.envs.sciworld.jvm import JavaException, Jvm, Reference, SimulatorError
from affine_trainer.records import seed_from

INTERFACE = "scienceworld.runtime.pythonapi.PythonInterface"
RANDOM = "scala.util.Random"
IDENTITIES = "util.UniqueIdentifier"
PATH_FINDER = "scienceworld.goldagent.PathFinder"
NO_SIMPLIFICATION = ""  # what the AgentGym server plays
FIRST_ACTION = "look around"  # the server's reset does it, as a turn
NOT_UNDERSTOOD = "No known action matches that input."
MOST_CHARACTERS = 2_000  # of an action; the parser tries every word
IDENTITIES_PER_TURN = 100_000


class Reading(NamedTuple):
    """What one turn gave; `moves` is the simulator's count of ticks, free actions not counted."""

    observation: str
    score: int
    completed: bool
    moves: int


class World:
    """A loaded game. Any number of them share a process: the simulator's global state (its random numbers
    and object identities) is set before each turn as a function of game and turn, under the process's lock.
    """

    def __init__(self, jvm: Jvm, task: str, variation: int) -> None:
        """Load the game and look around, which may earn points. SimulatorError when the process fails."""
        self._jvm = jvm
        self._game = (task, variation)
        self._turn = 0
        self._closed = False
        with jvm.lock:
            self._interface = jvm.new(INTERFACE)
            jvm.num_worlds += 1
            self._random = jvm.singleton(RANDOM)
            _load(jvm, self._interface, self._game, with_gold_path=False)
            # It holds the objects of every variation of every task, 10 MB, and is not needed any more.
            jvm.call(self._interface, "taskMaker_$eq", None)
            self.task_description: str = jvm.call(self._interface, "getTaskDescription")
        self.opening = self.step(FIRST_ACTION)

    def step(self, text: str) -> Reading:
        """One turn. Whatever the text, only a failing process raises (SimulatorError)."""
        text = text[:MOST_CHARACTERS].encode("utf-8", "replace").decode()
        jvm, interface = self._jvm, self._interface
        with jvm.lock:
            self._set_global_state()
            self._turn += 1
            try:
                observation = jvm.call(interface, "step", text)
            except JavaException:
                observation = NOT_UNDERSTOOD
            score = round(100 * jvm.call(interface, "getScore"))
            completed = jvm.call(interface, "getCompleted")
            return Reading(observation, score, completed, jvm.call(interface, "getNumMoves"))

    def valid_actions(self) -> list[str]:
        """Every action that the simulator holds for possible now, some hundreds; takes ten turns' time."""
        with self._jvm.lock:
            self._set_global_state()
            found = self._jvm.call(self._interface, "getValidActionObjectCombinations")
            return sorted(set(self._jvm.strings(found)))

    def _set_global_state(self) -> None:
        self._jvm.call(self._random, "setSeed", seed_from("sciworld", *self._game, self._turn))
        self._jvm.call(f"z:{IDENTITIES}", "count_$eq", (self._turn + 1) * IDENTITIES_PER_TURN)

    def close(self) -> None:
        """Give the memory back; may be called twice, and when the process is gone."""
        with self._jvm.lock:
            if not self._closed and self._jvm.alive:
                self._jvm.free(self._interface)
                self._jvm.free(self._random)
                self._jvm.num_worlds -= 1
            self._closed = True


def gold_path(jvm: Jvm, task: str, variation: int) -> list[str]:
    """The simulator's own solution, a function of task and variation; empty where it has none.

    SimulatorError when the search ends the process, as it does by itself on an internal doubt.
    """
    with jvm.lock:
        interface, path_finder = jvm.new(INTERFACE), jvm.singleton(PATH_FINDER)
        # Kept from game to game, routes would depend on which games came before.
        routes = jvm.call(path_finder, "precomputedExhaustivePaths")
        jvm.call(routes, "clear")
        try:
            _load(jvm, interface, (task, variation), with_gold_path=True)
            return jvm.strings(jvm.call(interface, "getGoldActionSequence"))
        finally:
            for reference in (interface, path_finder, routes):
                jvm.free(reference)


def _load(jvm: Jvm, interface: Reference, game: tuple[str, int], *, with_gold_path: bool) -> None:
    try:
        jvm.call(interface, "load", *game, NO_SIMPLIFICATION, with_gold_path)
    except JavaException as error:
        raise SimulatorError(
            f"the simulator could not load {game[0]} variation {game[1]}: {error}"
        ) from error
