"""What isolates programs on this machine: the level, the layers in force, and what each probe found."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

from affine_trainer.sandbox.host import Worker, WorkerDied
from affine_trainer.sandbox.probes import TRACING, layers_for, level, probe, weakness
from affine_trainer.sandbox.protocol import Hello
from affine_trainer.sandbox.verdicts import Level

Layer = bool | int | list[str]


@dataclass(frozen=True, slots=True)
class Examination:
    """`layers`: True, a version or names where a layer is on. `probes`: whether each attack was contained.

    `reason` says in words why the level is `none`. `probes` is empty where no program could be started, both
    tables are where no worker could be.
    """

    level: Level
    asked: Level
    python: str = ""
    layers: dict[str, Layer] = field(default_factory=dict)
    probes: dict[str, bool] = field(default_factory=dict)
    reason: str = ""


def examine(asked: Level = "strong") -> Examination:
    """Start a worker that reaches `asked` at most, attack it, and end it. Never raises for what it finds."""
    try:
        with contextlib.closing(Worker(layers_for(asked))) as worker:
            return _examination(worker, asked)
    except (WorkerDied, OSError) as error:
        return Examination("none", asked, reason=str(error))


def _examination(worker: Worker, asked: Level) -> Examination:
    hello = worker.hello
    try:
        probes = probe(worker)
    except WorkerDied as error:
        return Examination("none", asked, hello.python, _layers(hello, {}), {}, str(error))
    found = level(probes)
    reason = weakness(probes) if found == "none" else ""
    return Examination(found, asked, hello.python, _layers(hello, probes), probes, reason)


def _layers(hello: Hello, probes: dict[str, bool]) -> dict[str, Layer]:
    """Each layer as the zygote reports it; the filter, which each program puts on, as an attack found it."""
    return {
        "seccomp": hello.seccomp and probes.get(TRACING, False),
        "landlock": hello.landlock,
        "chroot": hello.chroot,
        "spare_uid": hello.uid if hello.uid != os.getuid() else False,
        "namespaces": list(hello.namespaces),
    }


def isolation_level() -> Level:
    """The level that this machine reaches now, by the probes of a worker started for the purpose."""
    return examine().level
