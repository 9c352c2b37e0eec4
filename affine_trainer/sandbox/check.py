"""What isolates programs on this machine: the level, the layers in force, and what each probe found."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

from affine_trainer.sandbox.host import Worker, WorkerDied
from affine_trainer.sandbox.probes import layers_for, level, probe, weakness
from affine_trainer.sandbox.protocol import Hello
from affine_trainer.sandbox.verdicts import Level

Layer = bool | int | list[str]


@dataclass(frozen=True, slots=True)
class Examination:
    """`layers`: True, a version or names where a layer is on. `probes`: whether each attack was contained.

    `reason` says in words why the level is `none`; both tables are empty where no worker could be started.
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
            probes = probe(worker)
            hello = worker.hello
    except (WorkerDied, OSError) as error:
        return Examination("none", asked, reason=str(error))
    found = level(probes)
    reason = weakness(probes) if found == "none" else ""
    return Examination(found, asked, hello.python, _layers(hello), probes, reason)


def _layers(hello: Hello) -> dict[str, Layer]:
    return {
        "seccomp": hello.seccomp,
        "landlock": hello.landlock,
        "chroot": hello.chroot,
        "spare_uid": hello.uid if hello.uid != os.getuid() else False,
        "namespaces": list(hello.namespaces),
    }


def isolation_level() -> Level:
    """The level that this machine reaches now, by the probes of a worker started for the purpose."""
    return examine().level
