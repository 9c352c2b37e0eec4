"""One play of a household task."""

from __future__ import annotations

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.alfworld.commands import possible_actions, read_command
from affine_trainer.envs.alfworld.narrator import NOTHING_HAPPENS, Wording, narrate, room_overview
from affine_trainer.envs.alfworld.progress import progress
from affine_trainer.envs.alfworld.scene import Scene
from affine_trainer.envs.alfworld.world import World
from affine_trainer.records import SnapshotKind


class AlfWorldGame:
    """Ends when the goal holds, and pays 1 for the action that made it so; afterwards nothing happens."""

    snapshot_kind: SnapshotKind = "exact"

    def __init__(self, scene: Scene, wording: Wording, list_actions: bool) -> None:
        self.wording = wording
        self._world = World(scene)
        self._list_actions = list_actions

    @property
    def success(self) -> bool:
        return self.progress == 1.0

    @property
    def progress(self) -> float:
        return progress(self._world)

    def observe(self) -> str:
        scene = self._world.scene
        text = f"{room_overview(self._world)}\nYour task is to: {scene.goal.worded(scene.wording)}"
        return f"{text}\nAVAILABLE ACTIONS: {','.join(self.actions())}" if self._list_actions else text

    def act(self, action: str) -> Outcome:
        if self.success:
            return Outcome(NOTHING_HAPPENS, 0.0, 1.0, True)
        command = read_command(action)
        feedback = command and narrate(self._world, command, self.wording)
        won = self.success
        return Outcome(feedback or NOTHING_HAPPENS, float(won), float(won), won)

    def actions(self) -> list[str]:
        return possible_actions(self._world, self.wording.put)

    def snapshot(self) -> bytes:
        return self._world.dump()

    def restore(self, state: bytes) -> None:
        self._world.load(state)

    def close(self) -> None:
        """Nothing is held open."""
