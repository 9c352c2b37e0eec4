"""The programs of corpus/*.txt: a line `#: name`, then lines `#: key value`, then the text of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "corpus"
FAILURES = ("error", "memory", "cpu_timeout", "wall_timeout", "output_limit", "violation")
CONTAINED = ("ok", *FAILURES)  # `sandbox_error` never is: a program must not be able to cause it


class Program(NamedTuple):
    """One program. `may_run_free`: outside a sandbox it harms the trap only, and does so for certain."""

    name: str
    text: str
    stdin: str = ""
    verdicts: tuple[str, ...] = CONTAINED
    may_run_free: bool = False


def _program(block: str) -> Program:
    head = [line for line in block.split("\n") if line.startswith("#: ")]
    text = "\n".join(block.split("\n")[len(head) :]).rstrip("\n") + "\n"
    program = Program(head[0][3:], text)
    for line in head[1:]:
        if line == "#: may run free":
            program = program._replace(may_run_free=True)
        elif line == "#: ends in any failure":
            program = program._replace(verdicts=FAILURES)
        elif line.startswith("#: ends in "):
            program = program._replace(verdicts=tuple(line.removeprefix("#: ends in ").split(", ")))
        elif line.startswith("#: stdin "):
            program = program._replace(stdin=json.loads(line.removeprefix("#: stdin ")))
        else:
            raise ValueError(f"{head[0]}: what does {line!r} mean?")
    return program


def _programs(path: Path) -> list[Program]:
    blocks = path.read_text(encoding="utf-8").split("\n\n#: ")
    return [_program(block if block.startswith("#: ") else f"#: {block}") for block in blocks]


BENIGN = [
    *(program for path in sorted(FOLDER.glob("benign*.txt")) for program in _programs(path)),
    Program("byte order mark and coding line", "\ufeff# -*- coding: utf-8 -*-\nprint('é')\n"),
]

HOSTILE = [
    *(program for path in sorted(FOLDER.glob("hostile_*.txt")) for program in _programs(path)),
    Program("null bytes", "print(1)\0print(2)", verdicts=("error",)),
    Program("half a surrogate in the source", "print('\ud800')", verdicts=("error",)),
    Program("deeply nested source", "(" * 100_000 + ")" * 100_000, verdicts=FAILURES),
    Program("a very long line", "x = " + "1+" * 200_000 + "1"),
]
