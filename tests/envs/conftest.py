"""The sandboxes that the graders' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from affine_trainer.sandbox import Limits, ProgramRun, Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Two workers, started once; unsandboxed where this machine offers no isolation at all."""
    with Sandbox(workers=2, allow_unsandboxed=True) as shared:
        yield shared


@pytest.fixture(scope="session")
def quick_sandbox() -> Iterator[Sandbox]:
    """One worker that gives a program half a second of CPU time."""
    with Sandbox(workers=1, limits=Limits(cpu_seconds=0.5), allow_unsandboxed=True) as shared:
        yield shared


class FailingSandbox(Sandbox):
    """Runs nothing: every run ends as one whose worker died twice."""

    def run(self, program: str, stdin: str, limits: Limits | None = None) -> ProgramRun:
        return ProgramRun("sandbox_error", -1, "", "the worker died", False, False, 0.0, 0.0, 0, "none")


@pytest.fixture
def failing_sandbox() -> Iterator[Sandbox]:
    """A sandbox that fails by itself, whatever it is given to run."""
    with FailingSandbox(workers=1) as failing:
        yield failing
