"""What a zygote holds on to: memory, environment, rights, files, identity."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from affine_trainer.sandbox import Layers, Limits
from affine_trainer.sandbox.host import Worker

IS_ROOT = os.geteuid() == 0


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
    assert set(names) <= {
        b"PYTHONHASHSEED",
        b"PYTHONSAFEPATH",
        b"MALLOC_ARENA_MAX",
        b"LD_LIBRARY_PATH",
    }


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
