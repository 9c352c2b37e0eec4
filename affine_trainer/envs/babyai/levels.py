"""The forty BabyAI levels in AgentGym's order, and how one is built from minigrid without rendering."""

from __future__ import annotations

import os
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple


class Level(NamedTuple):
    """One level: its name as registered (without `BabyAI-`), and its class and arguments in minigrid."""

    name: str
    maker: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return self.name


# Level numbers are those of AgentGym's server: task index i is level i % 40 + 1 with seed i // 40.
LEVELS: dict[int, Level] = {
    1: Level("GoToRedBallGrey", "GoToRedBallGrey", {}),
    2: Level("GoToRedBall", "GoToRedBall", {}),
    3: Level("GoToRedBallNoDists", "GoToRedBallNoDists", {}),
    4: Level("GoToObjS6", "GoToObj", {"room_size": 6}),
    5: Level("GoToLocalS8N7", "GoToLocal", {"room_size": 8, "num_dists": 7}),
    6: Level("GoToObjMazeS7", "GoTo", {"num_dists": 1, "room_size": 7}),
    7: Level("GoToImpUnlock", "GoToImpUnlock", {}),
    8: Level("GoToSeqS5R2", "GoToSeq", {"room_size": 5, "num_rows": 2, "num_cols": 2, "num_dists": 4}),
    9: Level("GoToRedBlueBall", "GoToRedBlueBall", {}),
    10: Level("GoToDoor", "GoToDoor", {}),
    11: Level("GoToObjDoor", "GoToObjDoor", {}),
    12: Level("Open", "Open", {}),
    13: Level("OpenRedDoor", "OpenRedDoor", {}),
    14: Level("OpenDoorLoc", "OpenDoor", {"select_by": "loc"}),
    15: Level(
        "OpenRedBlueDoorsDebug",
        "OpenTwoDoors",
        {"first_color": "red", "second_color": "blue", "strict": True},
    ),
    16: Level("OpenDoorsOrderN4Debug", "OpenDoorsOrder", {"debug": True, "num_doors": 4}),
    17: Level("Pickup", "Pickup", {}),
    18: Level("UnblockPickup", "UnblockPickup", {}),
    19: Level("PickupLoc", "PickupLoc", {}),
    20: Level("PickupDistDebug", "PickupDist", {"debug": True}),
    21: Level("PickupAbove", "PickupAbove", {}),
    22: Level("PutNextLocalS6N4", "PutNextLocal", {"room_size": 6, "num_objs": 4}),
    23: Level("PutNextS7N4Carrying", "PutNext", {"room_size": 7, "objs_per_room": 4, "start_carrying": True}),
    24: Level("Unlock", "Unlock", {}),
    25: Level("UnlockLocalDist", "UnlockLocal", {"distractors": True}),
    26: Level("KeyInBox", "KeyInBox", {}),
    27: Level("UnlockPickupDist", "UnlockPickup", {"distractors": True}),
    28: Level("BlockedUnlockPickup", "BlockedUnlockPickup", {}),
    29: Level("UnlockToUnlock", "UnlockToUnlock", {}),
    30: Level("ActionObjDoor", "ActionObjDoor", {}),
    31: Level("FindObjS7", "FindObjS5", {"room_size": 7}),
    32: Level("KeyCorridorS6R3", "KeyCorridor", {"room_size": 6, "num_rows": 3}),
    33: Level("OneRoomS20", "OneRoomS8", {"room_size": 20}),
    34: Level("MoveTwoAcrossS8N9", "MoveTwoAcross", {"room_size": 8, "objs_per_room": 9}),
    35: Level("SynthS5R2", "Synth", {"room_size": 5, "num_rows": 2}),
    36: Level("SynthLoc", "SynthLoc", {}),
    37: Level("SynthSeq", "SynthSeq", {}),
    38: Level("MiniBossLevel", "MiniBossLevel", {}),
    39: Level("BossLevel", "BossLevel", {}),
    40: Level("BossLevelNoUnlock", "BossLevelNoUnlock", {}),
}


def level_of(index: int) -> int:
    """The level number of a task index."""
    return index % len(LEVELS) + 1


def seed_of(index: int) -> int:
    """The level seed of a task index."""
    return index // len(LEVELS)


def build(index: int) -> Any:
    """The minigrid environment of a task, reset; it makes no images and returns no observations."""
    level = LEVELS[level_of(index)]
    board = getattr(_minigrid_levels(), level.maker)(**level.options)
    board.gen_obs = dict  # each step would encode a view that nobody reads; view.py makes ours
    board.reset(seed=seed_of(index))
    return board


@lru_cache(maxsize=1)
def _minigrid_levels() -> ModuleType:
    """minigrid's BabyAI levels, imported on first use: the import takes a second and loads pygame."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from minigrid.envs import babyai
    from minigrid.envs.babyai.core import roomgrid_level

    # A level tells each rejected draw to stdout through this name; redirecting stdout itself would not be
    # safe with environments in threads.
    roomgrid_level.__dict__["print"] = lambda *args, **kwargs: None
    return babyai
