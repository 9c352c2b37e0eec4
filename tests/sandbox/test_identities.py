"""The corpus as each kind of user that a trainer runs as, at each level (all of it: `make sandbox`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from affine_trainer.sandbox.syscalls import X86_64
from tests.sandbox.identities import DOCKER_REFUSES, IDENTITIES, ORDINARY_USER, X86_64_ONLY_HERE

ROOT = Path(__file__).parents[2]
COMBINATIONS = [
    # who, the level asked for, the levels that may be reached (user namespaces are not everywhere)
    ("root", "strong", {"strong"}),
    ("root", "standard", {"standard"}),
    ("root", "basic", {"basic"}),
    ("root-without-capabilities", "strong", {"strong", "standard"}),
    ("docker", "strong", {"strong"}),
    ("docker", "standard", {"standard"}),
    ("docker", "basic", {"basic"}),
    ("docker-without-landlock", "strong", {"strong"}),
    ("user", "strong", {"strong", "standard"}),
    ("user", "standard", {"standard"}),
    ("user", "basic", {"basic"}),
    ("docker-user", "strong", {"standard"}),
]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def interpreter_for_everyone() -> str:
    """A Python 3.10 or newer that a user without rights may start: often not the one that runs the tests."""
    for name in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            asked = subprocess.run(
                [name, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"],
                user=ORDINARY_USER,
                group=ORDINARY_USER,
                extra_groups=[],
                cwd="/",
                capture_output=True,
            )
        except OSError:
            continue
        if asked.returncode == 0:
            return name
    pytest.skip("no interpreter on this machine that an ordinary user may start")


@pytest.fixture(scope="module")
def open_copy() -> Iterator[Path]:
    """A copy of the sandbox and its corpus that every user can read."""
    folder = Path("/tmp") / f"affine-sandbox-copy-{os.getpid()}"
    shutil.copytree(ROOT / "affine_trainer" / "sandbox", folder / "affine_trainer" / "sandbox")
    shutil.copytree(ROOT / "tests" / "sandbox", folder / "tests" / "sandbox")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "affine_trainer" / name, folder / "affine_trainer" / name)
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


def tried(folder: Path, identity: str, level: str, extent: str) -> dict[str, Any]:
    done = subprocess.run(
        [interpreter_for_everyone(), "-m", "tests.sandbox.identities", identity, level, extent],
        cwd=folder,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def most_threads(identity: str, level: str) -> int:
    """What a bomb of threads gets: the kernel limits them by user, and never those of root's own uid."""
    if level == "strong" and identity != "root-without-capabilities":
        return 64
    return 6000 if identity.endswith("user") else 8000


@pytest.mark.parametrize("extent", ["some", pytest.param("all", marks=pytest.mark.matrix)])
@pytest.mark.parametrize(("identity", "level", "reached"), COMBINATIONS)
def test_every_kind_of_user_is_protected_at_every_level(
    open_copy: Path, identity: str, level: str, reached: set[str], extent: str
) -> None:
    found = tried(open_copy, identity, level, extent)
    assert (found["complaints"], found["differences"]) == ({}, {})
    assert found["num_hostile"] >= (240 if extent == "all" else 15)
    assert found["num_benign"] >= (210 if extent == "all" else 10)
    assert found["level"] in reached
    assert found["uid"] == (ORDINARY_USER if identity.endswith("user") else 0)
    assert found["threads"] <= most_threads(identity, found["level"])
    kept, _, is_root = IDENTITIES[identity]
    if kept is not None:
        assert int(found["capabilities"], 16) == (sum(1 << number for number in kept) if is_root else 0)


def test_a_machine_that_allows_no_filter_is_refused_in_words_and_used_on_request_only() -> None:
    script = (
        "from affine_trainer.errors import AffineError\n"
        "from affine_trainer.sandbox import Sandbox\n"
        "from affine_trainer.sandbox.check import examine\n"
        "from tests.sandbox.identities import refuse_filters\n"
        "refuse_filters()\n"
        "found = examine()\n"
        "print(found.level, found.layers['seccomp'], found.reason)\n"
        "with Sandbox(1, allow_unsandboxed=True) as sandbox:\n"
        "    print(sandbox.run('print(7)', '').stdout.strip(), sandbox.level_reached)\n"
        "try:\n    Sandbox(1).run('print(7)', '')\n"
        "except AffineError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    level, used, refused = ran.stdout.splitlines()
    assert level.startswith("none False the sandbox could not be set up: [Errno 1]"), ran
    assert used == "7 none" and "WITHOUT isolation" in ran.stderr
    assert "cannot be isolated on this machine (the sandbox could not be set up" in refused


def test_the_emulated_filter_has_a_number_for_each_call_on_x86_64() -> None:
    assert set(DOCKER_REFUSES.split()) <= X86_64.keys() | X86_64_ONLY_HERE.keys()
    assert len(set(DOCKER_REFUSES.split())) == len(DOCKER_REFUSES.split())
