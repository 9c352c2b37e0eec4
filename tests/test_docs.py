"""The documentation: it builds without a warning, its commands run, its errors and keys are the program's."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from affine_trainer.config import load_config
from scripts.write_docs import leaves, written

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"<!-- (run|tutorial) -->\n```(console|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECTIONS = "model|data|training|rl_training|evaluation|endpoint|sampling|tracking|sandbox"
KEY = re.compile(rf"`((?:{SECTIONS})\.(?!json)[a-z_.]+)[`:=]")
INSIDE = ("design.md", "environments.md", "log.md")  # these speak of attributes and files, too
QUOTED = re.compile(r"^> (?:`` )?`?([^`].*?)(?: ``|`)$", re.MULTILINE)
HOLE = "…"


class Block(NamedTuple):
    """One runnable block: the page it is of, how it is run, and its text."""

    page: str
    when: str
    language: str
    text: str


def blocks() -> list[Block]:
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        name = str(page.relative_to(DOCS))
        found += [Block(name, *match.groups()) for match in BLOCK.finditer(page.read_text())]
    return found


FAST = [block for block in blocks() if block.when == "run"]
TUTORIAL = [block for block in blocks() if block.when == "tutorial"]


def workshop(folder: Path) -> dict[str, str]:
    """A folder as the reader's, with what the repository holds, and an environment with `affine` in it."""
    for name in ("config.yaml", "configs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    command = folder / "bin" / "affine"
    command.parent.mkdir()
    start = "from affine_trainer.cli import main; main()"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{start}" "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the lines it is to print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, expected = [], part.splitlines()
        while expected:
            command.append(expected.pop(0))
            if not command[-1].endswith("\\"):
                break
        yield "\n".join(command), [line for line in expected if line.strip() not in ("", "...")]


def run_console(text: str, folder: Path, *, compare: bool) -> None:
    """Run the commands in one shell after the other; each must succeed and print its lines in their order."""
    environment, exported = workshop(folder), ""
    for command, expected in steps(text):
        if command.startswith("export "):
            exported += f"{command}\n"
            continue
        done = subprocess.run(
            ["bash", "-c", exported + command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        place = 0
        for line in expected if compare else ():
            place = done.stdout.find(line.strip(), place)
            assert place >= 0, f"{command}\ndoes not print (there)\n{line}\nbut\n{done.stdout}"


@pytest.mark.parametrize("block", FAST, ids=lambda block: f"{block.page}-{block.language}")
def test_blocks_do_what_the_page_shows(block: Block, tmp_path: Path) -> None:
    if block.language == "console":
        run_console(block.text, tmp_path, compare=True)
    else:
        done = subprocess.run(
            [sys.executable, "-c", block.text], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.tutorial
def test_the_commands_of_the_tutorial_run_one_after_the_other(tmp_path: Path) -> None:
    run_console("".join(block.text for block in TUTORIAL), tmp_path, compare=False)


def test_there_are_blocks_to_run() -> None:
    assert len(FAST) >= 5 and len(TUTORIAL) >= 5


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "own" / "environment.html").is_file()


def test_pages_hold_what_the_code_says() -> None:
    stale = [path.name for path, text in written().items() if path.read_text() != text]
    assert stale == [], "run `make docs-reference`"


def test_every_key_that_a_page_names_exists() -> None:
    known = {key for key, _ in leaves()}
    sections = {key.rpartition(".")[0] for key in known} | {key.partition(".")[0] for key in known}
    pages = [page for page in DOCS.rglob("*.md") if page.name not in INSIDE]
    named = {(page.name, key) for page in pages for key in KEY.findall(page.read_text())}
    assert named
    assert [entry for entry in named if entry[1].rstrip(".") not in known | sections] == []


def sentences() -> list[str]:
    """Every text of the package as one string each, what is filled in being `…`."""
    found = []
    for path in (ROOT / "affine_trainer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_every_error_that_is_explained_is_in_the_program() -> None:
    quoted = QUOTED.findall((DOCS / "errors.md").read_text())
    texts = sentences()
    assert len(quoted) >= 15
    assert [message for message in quoted if not any(message in text for text in texts)] == []


def test_the_config_of_the_tutorial_loads() -> None:
    config = load_config(ROOT / "configs" / "tutorial.yaml")
    assert (config.run, config.data.agentgym.environments) == ("tutorial", ())
