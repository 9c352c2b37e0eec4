"""agentgym:alfworld: household tasks of six kinds in generated rooms whose contents must be found."""

from __future__ import annotations

from affine_trainer.envs.agents.game import Game, GameInfo
from affine_trainer.envs.alfworld.expert import AlfWorldExpert
from affine_trainer.envs.alfworld.game import AlfWorldGame
from affine_trainer.envs.alfworld.narrator import NEWER, Wording
from affine_trainer.envs.alfworld.scene import difficulty, draw_scene
from affine_trainer.envs.splits import draw_indices
from affine_trainer.records import UNLIMITED, Split


class AlfWorldGames:
    """`wording` picks the version of the real engine whose sentences are spoken.

    `list_actions` adds all that is possible to the first observation, as AgentGym's client does.
    """

    env = "agentgym:alfworld"
    family = "embedded"
    max_open = UNLIMITED

    def __init__(self, wording: Wording = NEWER, list_actions: bool = False) -> None:
        self._wording = wording
        self._list_actions = list_actions

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        return draw_indices(self.env, self.family, split, count, seed)

    def info(self, index: int) -> GameInfo:
        scene = draw_scene(index, self.family)
        goal = scene.goal
        content = {
            "goal": [goal.kind, goal.thing, goal.target],
            "room": [scene.room, *scene.places],
            "things": [
                [thing, scene.places[place]] for thing, place in zip(scene.things, scene.where, strict=True)
            ],
        }
        return GameInfo(content, goal.kind, difficulty(scene))

    def start(self, index: int) -> AlfWorldGame:
        return AlfWorldGame(draw_scene(index, self.family), self._wording, self._list_actions)

    def expert(self, game: Game) -> AlfWorldExpert:
        return AlfWorldExpert(self._wording.put)
