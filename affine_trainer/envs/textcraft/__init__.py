"""Crafting from a list of commands: agentgym:textcraft as an engine of our own."""

from affine_trainer.envs.textcraft.game import TextCraftGame
from affine_trainer.envs.textcraft.games import TextCraftGames
from affine_trainer.envs.textcraft.generator import generated_book
from affine_trainer.envs.textcraft.recipe_files import load_recipes, write_recipes
from affine_trainer.envs.textcraft.rules import RULES, RULES_SHORT
from affine_trainer.envs.textcraft.tasks import CraftTask

__all__ = [
    "RULES",
    "RULES_SHORT",
    "CraftTask",
    "TextCraftGame",
    "TextCraftGames",
    "generated_book",
    "load_recipes",
    "write_recipes",
]
