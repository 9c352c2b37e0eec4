"""agentgym:sciworld: the ScienceWorld simulator itself, run by a Java that comes with pip."""

from affine_trainer.envs.sciworld.games import SciWorldGames
from affine_trainer.envs.sciworld.jvm import SimulatorError

__all__ = ["SciWorldGames", "SimulatorError"]
