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
def worker() -> Iterator[Worker]:
    worker = Worker(Layers())
    worker.run(b"print(1)", b"", Limits())
    yield worker
    worker.close()


@pytest.fixture
def zygote(worker: Worker) -> Path:
    """The /proc folder of the worker's zygote, inside its process namespace if it has one."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return Path("/proc") / (children[0] if children else str(worker.pid))


def occurrences(process: Path, text: bytes) -> int:
    """How often a text lies anywhere in the memory of a process."""
    found = 0
    with open(process / "maps") as maps, open(process / "mem", "rb", buffering=0) as memory:
        for line in maps:
            addresses, rights, *_, name = line.split()
            if "r" in rights and not name.startswith("[v"):  # the kernel's own pages cannot be read this way
                start, end = (int(address, 16) for address in addresses.split("-"))
                memory.seek(start)
                found += memory.read(end - start).count(text)
    return found


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
def test_a_zygote_has_nothing_of_a_run_in_its_memory(worker: Worker, zygote: Path) -> None:
    secret = os.urandom(12).hex()
    program = f"text = input()\nprint(text)\nkept = [text * 3] * 9\nraise KeyError(text, '{secret}')"
    run = worker.run(program.encode(), secret.encode(), Limits())
    assert secret in run.stdout and secret in run.stderr
    assert occurrences(zygote, secret.encode()) == 0
    assert occurrences(zygote, b"PYTHONHASHSEED") > 0, "the search must find what is there"


@pytest.mark.skipif(not IS_ROOT, reason="only root may look at a zygote")
def test_two_zygotes_are_two_users() -> None:
    workers = [Worker(Layers()), Worker(Layers())]
    uids = {worker.hello.uid for worker in workers}
    for worker in workers:
        worker.close()
    assert len(uids) == 2 and os.getuid() not in uids
