"""The project's own generator of small programming problems, for `affine:abd` and `affine:ded`."""

from affine_trainer.envs.programs.family import Family
from affine_trainer.envs.programs.rows import Case, ProgramRow, generate
from affine_trainer.envs.programs.table import FAMILIES, TOPICS

__all__ = ["FAMILIES", "TOPICS", "Case", "Family", "ProgramRow", "generate"]
