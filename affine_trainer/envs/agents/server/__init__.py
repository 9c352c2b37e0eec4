"""AgentGym's five environments on real servers over HTTP, behind the interface of the embedded ones."""

from affine_trainer.envs.agents.server.games import ServerGames
from affine_trainer.envs.agents.server.http import AnswerLostError, ServerError, ServerLimits

__all__ = ["AnswerLostError", "ServerError", "ServerGames", "ServerLimits"]
