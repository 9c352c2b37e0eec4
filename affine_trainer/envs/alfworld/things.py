"""All things of a household by kind, and the kinds that some actions ask for."""

from __future__ import annotations

from affine_trainer.envs.alfworld.house import BATHWARE, LAMPS, LIVINGWARE
from affine_trainer.envs.alfworld.kitchen import FOOD, KITCHENWARE
from affine_trainer.envs.alfworld.thing import Thing

THINGS: dict[str, Thing] = {each.kind: each for each in (*FOOD, *KITCHENWARE, *BATHWARE, *LIVINGWARE, *LAMPS)}

SLICEABLE = frozenset({"apple", "bread", "lettuce", "potato", "tomato"})
KNIVES = frozenset({"butterknife", "knife"})
VESSELS = frozenset({"bowl", "box", "cup", "mug", "pan", "plate", "pot"})
