"""All program families by name, and the topics they belong to."""

from __future__ import annotations

from affine_trainer.envs.programs.arithmetic import ARITHMETIC
from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.lists import LISTS
from affine_trainer.envs.programs.strings import STRINGS

TOPICS: dict[str, tuple[Family, ...]] = {
    "arithmetic": ARITHMETIC,
    "strings": STRINGS,
    "lists": LISTS,
}

FAMILIES: dict[str, Family] = {family.name: family for families in TOPICS.values() for family in families}
