"""agentgym:babyai: the levels of minigrid's BabyAI, told and played in the words of AgentGym's server."""

from affine_trainer.envs.babyai.games import BabyAIGames
from affine_trainer.envs.babyai.levels import LEVELS, Level
from affine_trainer.envs.babyai.rules import RULES, RULES_SHORT

__all__ = ["LEVELS", "RULES", "RULES_SHORT", "BabyAIGames", "Level"]
