"""agentgym:alfworld, embedded: a household simulator of our own that speaks as the real text engine does."""

from affine_trainer.envs.alfworld.games import AlfWorldGames
from affine_trainer.envs.alfworld.narrator import NEWER, OLDER, OLDER_SERVED, Wording
from affine_trainer.envs.alfworld.rules import RULES, RULES_SHORT

__all__ = ["NEWER", "OLDER", "OLDER_SERVED", "RULES", "RULES_SHORT", "AlfWorldGames", "Wording"]
