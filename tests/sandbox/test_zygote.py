"""What a zygote holds on to, and that it isolates for every kind of user that may start it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from affine_trainer.sandbox import Layers, Limits
from affine_trainer.sandbox.host import Worker

PACKAGE = Path(__file__).parents[2] / "affine_trainer"
IS_ROOT = os.geteuid() == 0
ORDINARY_USER = 54321

SHOW = """
import json, sys
sys.path.insert(0, sys.argv[1])
from affine_trainer.sandbox import Layers, Sandbox
with Sandbox(workers=1, layers=Layers(**json.loads(sys.argv[2]))) as sandbox:
    programs = "print('ab' * 2)", "import os; os.fork()", "open('/etc/passwd')"
    runs = sandbox.run_many([(program, "") for program in programs])
    print(json.dumps([sandbox.isolation, *(run.stdout or run.verdict for run in runs)]))
"""
DOCKER_CAPABILITIES = (
    "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,"
    "net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap"
)


@pytest.fixture
def zygote() -> Iterator[Path]:
    """The /proc folder of a zygote, inside its process namespace if it has one."""
    worker = Worker(Layers())
    worker.run(b"print(1)", b"", Limits())
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    yield Path("/proc") / (children[0] if children else str(worker.pid))
    worker.close()


@pytest.mark.skipif(not IS_ROOT, reason="only root may look at a zygote")
def test_a_zygote_shares_no_writable_memory_and_has_no_executable_one(zygote: Path) -> None:
    mappings = [line.split()[1] for line in (zygote / "maps").read_text().splitlines()]
    assert len(mappings) > 50
    assert not [rights for rights in mappings if "w" in rights and ("x" in rights or rights.endswith("s"))]


@pytest.mark.skipif(not IS_ROOT, reason="only root may look at a zygote")
def test_a_zygote_knows_nothing_of_the_trainers_environment(zygote: Path) -> None:
    names = re.findall(rb"(?:^|\0)(\w+)=", (zygote / "environ").read_bytes())
    assert set(names) <= {b"PYTHONHASHSEED", b"MALLOC_ARENA_MAX", b"LD_LIBRARY_PATH"}


@pytest.mark.skipif(not IS_ROOT, reason="only root may look at a zygote")
def test_a_zygote_has_no_capability_and_no_file_open(zygote: Path) -> None:
    status = (zygote / "status").read_text()
    assert re.search(r"CapEff:\t0+\nCapBnd:", status) and re.search(r"CapPrm:\t0+\n", status)
    assert "NoNewPrivs:\t1" in status
    opened = [os.readlink(link) for link in (zygote / "fd").iterdir()]
    assert {re.split(r"[:\[(]", target)[0] for target in opened} <= {"/memfd", "socket", "pipe"}, opened


@pytest.mark.skipif(not IS_ROOT, reason="only root may look at a zygote")
def test_two_zygotes_are_two_users() -> None:
    workers = [Worker(Layers()), Worker(Layers())]
    uids = {worker.hello.uid for worker in workers}
    for worker in workers:
        worker.close()
    assert len(uids) == 2 and os.getuid() not in uids


def _interpreter_for_everyone() -> str | None:
    """A Python 3.10 or newer that a user without rights may start."""
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
    return None


@pytest.fixture
def open_package() -> Iterator[Path]:
    """A copy of the sandbox that every user can read."""
    folder = Path("/tmp") / f"affine-sandbox-copy-{os.getpid()}"
    shutil.copytree(PACKAGE / "sandbox", folder / "affine_trainer" / "sandbox")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(PACKAGE / name, folder / "affine_trainer" / name)
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to become somebody else")
@pytest.mark.parametrize(
    ("layers", "levels"),
    [
        ({}, ("strong", "standard")),
        ({"namespaces": False}, ("standard", "basic")),
        ({"namespaces": False, "landlock": False}, ("basic",)),
    ],
)
def test_an_ordinary_user_is_isolated_too(
    open_package: Path, layers: dict[str, bool], levels: tuple[str, ...]
) -> None:
    interpreter = _interpreter_for_everyone()
    if interpreter is None:
        pytest.skip("no interpreter that an ordinary user may start")
    shown = subprocess.run(
        [interpreter, "-c", SHOW, str(open_package), json.dumps(layers)],
        user=ORDINARY_USER,
        group=ORDINARY_USER,
        extra_groups=[],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
    )
    level, *answers = json.loads(shown.stdout or "[null]")
    assert answers == ["abab\n", "error", "error"], shown.stderr
    assert level in levels


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to give up capabilities")
@pytest.mark.parametrize("capabilities", [DOCKER_CAPABILITIES, ""])
def test_root_without_some_or_all_capabilities_is_isolated_too(capabilities: str) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("no setpriv")
    kept = "".join(f",+{name}" for name in capabilities.split(",") if name)
    command = [setpriv, f"--bounding-set=-all{kept}", "--inh-caps=-all"]
    command += [sys.executable, "-c", SHOW, str(PACKAGE.parent), "{}"]
    shown = subprocess.run(command, capture_output=True, text=True)
    level, *answers = json.loads(shown.stdout or "[null]")
    assert answers == ["abab\n", "error", "error"], shown.stderr
    assert level in ("strong", "standard")
