"""Benign programs do in the sandbox what they do in a plain interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from affine_trainer.sandbox import Layers
from affine_trainer.sandbox.host import Worker
from tests.sandbox.corpus import BENIGN, Program
from tests.sandbox.trial import difference


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(Layers())
    yield worker
    worker.close()


@pytest.mark.parametrize("program", BENIGN, ids=lambda program: program.name)
def test_a_benign_program_does_what_it_does_outside(worker: Worker, tmp_path: Path, program: Program) -> None:
    assert difference(worker, program, tmp_path) is None
