"""Every hostile program is contained, and would not be without the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from affine_trainer.sandbox import Layers, Limits, ProgramRun, unsandboxed
from affine_trainer.sandbox.host import Worker
from tests.sandbox.corpus import HOSTILE, Program
from tests.sandbox.trap import Trap, set_trap

LIMITS = Limits(cpu_seconds=0.3, wall_seconds=60.0, memory_mib=256, output_bytes=100_000)
FREE = [program for program in HOSTILE if program.may_run_free]
INHERITED_BYTES = 40 << 20  # what the interpreter occupies before a program starts


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(Layers())
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    with set_trap() as trap:
        yield trap


def _limits(program: Program) -> Limits:
    """Little time for those that take it all, enough for those that first fill the memory."""
    if program.verdicts == ("wall_timeout",):
        return replace(LIMITS, wall_seconds=1.0)
    return replace(LIMITS, cpu_seconds=5.0) if "memory" in program.verdicts else LIMITS


def _run(worker: Worker, trap: Trap, program: Program) -> ProgramRun:
    return worker.run(trap.aim(program.text).encode("utf-8", "surrogatepass"), b"", _limits(program))


@pytest.mark.parametrize("program", HOSTILE, ids=lambda program: program.name)
def test_a_hostile_program_is_contained(worker: Worker, trap: Trap, program: Program) -> None:
    run = _run(worker, trap, program)
    assert trap.harm(run) is None
    assert run.verdict in program.verdicts, run
    assert run.peak_rss_bytes <= (LIMITS.memory_mib << 20) + INHERITED_BYTES
    assert worker.run(b"print(input())", b"still right", LIMITS).stdout == "still right\n"


@pytest.mark.parametrize(
    "layers",
    [
        Layers(spare_uid=False, namespaces=False),
        Layers(landlock=False, chroot=False, spare_uid=False, namespaces=False),
    ],
    ids=["standard", "basic"],
)
def test_lower_levels_contain_it_too(trap: Trap, layers: Layers) -> None:
    """All but those that only take time or memory: the limits are the same at every level."""
    greedy = {"memory", "cpu_timeout", "wall_timeout"}
    worker = Worker(layers)
    for program in HOSTILE:
        if not greedy & set(program.verdicts) or "ok" in program.verdicts:
            run = _run(worker, trap, program)
            assert trap.harm(run) is None, program.name
            assert run.verdict in program.verdicts, (program.name, run)
    worker.close()


def test_the_corpus_has_teeth_in_a_plain_subprocess() -> None:
    harmed = []
    for program in FREE:
        with set_trap() as trap:
            run = unsandboxed.run(trap.aim(program.text).encode(), b"", Limits(2.0, 10.0, 256, 100_000))
            harmed += [program.name] if trap.harm(run) else []
    assert len(harmed) >= 25, sorted({program.name for program in FREE} - set(harmed))


def test_the_corpus_has_teeth_when_the_filter_is_off() -> None:
    harmed = []
    worker = Worker(Layers(seccomp=False))
    for program in FREE:
        with set_trap() as trap:
            run = _run(worker, trap, program)
            harmed += [program.name] if trap.harm(run) else []
    worker.close()
    assert len(harmed) >= 10, harmed
