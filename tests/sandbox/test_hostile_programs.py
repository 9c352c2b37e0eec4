"""Every hostile program is contained, and would not be without the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from affine_trainer.sandbox import Layers, Level, Limits, layers_for, unsandboxed
from affine_trainer.sandbox.host import Worker
from tests.sandbox.corpus import HOSTILE, Program
from tests.sandbox.trap import Trap, set_trap
from tests.sandbox.trial import NOT_GREEDY, attack, complaint

FREE = [program for program in HOSTILE if program.may_run_free]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(Layers())
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    with set_trap() as trap:
        yield trap


@pytest.mark.parametrize("program", HOSTILE, ids=lambda program: program.name)
def test_a_hostile_program_is_contained(worker: Worker, trap: Trap, program: Program) -> None:
    assert complaint(worker, trap, program) is None


@pytest.mark.parametrize("level", ["standard", "basic"])
def test_lower_levels_contain_it_too(trap: Trap, level: Level) -> None:
    worker = Worker(layers_for(level))
    complaints = {program.name: complaint(worker, trap, program) for program in NOT_GREEDY}
    worker.close()
    assert {name: text for name, text in complaints.items() if text} == {}


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
            run = attack(worker, trap, program)
            harmed += [program.name] if trap.harm(run) else []
    worker.close()
    assert len(harmed) >= 10, harmed
