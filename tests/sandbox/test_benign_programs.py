"""Benign programs do in the sandbox what they do in a plain interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from affine_trainer.sandbox import Limits, Sandbox
from tests.sandbox.corpus import BENIGN, Program


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as sandbox:
        yield sandbox


def _plain(program: Program, folder: Path) -> subprocess.CompletedProcess[bytes]:
    (folder / "prog.py").write_text(program.text, encoding="utf-8")
    (folder / "stdin").write_text(program.stdin, encoding="utf-8", newline="")
    command = [sys.executable, "-B", "prog.py"]
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    with open(folder / "stdin", "rb") as stdin:
        return subprocess.run(command, stdin=stdin, capture_output=True, env=environment, cwd=folder)


@pytest.mark.parametrize("program", BENIGN, ids=lambda program: program.name)
def test_a_benign_program_does_what_it_does_outside(
    sandbox: Sandbox, tmp_path: Path, program: Program
) -> None:
    plain = _plain(program, tmp_path)
    run = sandbox.run(program.text, program.stdin, Limits(cpu_seconds=10.0))
    assert (run.stdout, run.exit_code) == (plain.stdout.decode(), plain.returncode), run.stderr
    assert run.verdict == ("ok" if plain.returncode == 0 else "error")
    last_line = plain.stderr.decode().strip().split("\n")[-1]
    assert run.stderr.strip().split("\n")[-1] == last_line
