"""All program families by name, and the topics they belong to."""

from __future__ import annotations

from affine_trainer.envs.programs.arithmetic import ARITHMETIC
from affine_trainer.envs.programs.dictionaries import DICTIONARIES
from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.lists import LISTS
from affine_trainer.envs.programs.number_theory import NUMBER_THEORY
from affine_trainer.envs.programs.parsing import PARSING
from affine_trainer.envs.programs.recursion import RECURSION
from affine_trainer.envs.programs.simulation import SIMULATION
from affine_trainer.envs.programs.sorting import SORTING
from affine_trainer.envs.programs.strings import STRINGS

TOPICS: dict[str, tuple[Family, ...]] = {
    "arithmetic": ARITHMETIC,
    "strings": STRINGS,
    "lists": LISTS,
    "sorting": SORTING,
    "dictionaries": DICTIONARIES,
    "number theory": NUMBER_THEORY,
    "recursion": RECURSION,
    "simulation": SIMULATION,
    "parsing": PARSING,
}

FAMILIES: dict[str, Family] = {family.name: family for families in TOPICS.values() for family in families}
