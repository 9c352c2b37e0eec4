"""Runs programs that a model wrote: hostile until proven otherwise (see docs/sandbox.md)."""

from affine_trainer.sandbox.check import isolation_level
from affine_trainer.sandbox.pool import Sandbox
from affine_trainer.sandbox.probes import layers_for
from affine_trainer.sandbox.protocol import Layers
from affine_trainer.sandbox.verdicts import Level, Limits, ProgramRun, Verdict

__all__ = [
    "Layers",
    "Level",
    "Limits",
    "ProgramRun",
    "Sandbox",
    "Verdict",
    "isolation_level",
    "layers_for",
]
