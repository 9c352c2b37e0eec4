"""What travels between the trainer and a zygote: one fixed record each way, and four descriptors.

Program text and data never do: they lie in memfds that the zygote passes on without looking.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import NamedTuple

PACKAGE = "affine_trainer.sandbox"
MAX_HELLO_BYTES = 65536

_REQUEST = struct.Struct("<QQdd")
_REPORT = struct.Struct("<iii?ddQ")


class Request(NamedTuple):
    """The limits of one run; the descriptors of source, stdin, stdout and stderr come beside it."""

    output_bytes: int
    memory_bytes: int
    cpu_seconds: float
    wall_seconds: float

    size = _REQUEST.size

    def packed(self) -> bytes:
        return _REQUEST.pack(*self)

    @classmethod
    def unpacked(cls, data: bytes) -> Request:
        return cls(*_REQUEST.unpack(data))


NOT_STOPPED, STOPPED_FOR_CPU, STOPPED_FOR_WALL = range(3)


class Report(NamedTuple):
    """How one run ended, as the zygote saw it: nothing here is the program's word.

    `exit_code` is -1 and `signal` positive after a death by signal; `stopped` says whether the zygote killed
    it, and why; `started` is False when the program's first line was never reached.
    """

    exit_code: int
    signal: int
    stopped: int
    started: bool
    cpu_seconds: float
    wall_seconds: float
    peak_rss_bytes: int

    size = _REPORT.size

    def packed(self) -> bytes:
        return _REPORT.pack(*self)

    @classmethod
    def unpacked(cls, data: bytes) -> Report:
        return cls(*_REPORT.unpack(data))


@dataclass(frozen=True, slots=True)
class Layers:
    """Which layers a zygote is asked to put on; all of them except in tests of single layers."""

    seccomp: bool = True
    landlock: bool = True
    chroot: bool = True
    spare_uid: bool = True
    namespaces: bool = True


@dataclass(frozen=True, slots=True)
class Hello:
    """What a zygote says when it is ready: the layers that it has on, and what its own probes found.

    `namespaces` are those entered, `landlock` is its version. `files_closed` and `identity_closed` are
    attempts, made after the lockdown, to reach files and to signal the trainer.
    """

    seccomp: bool
    landlock: int
    chroot: bool
    uid: int
    namespaces: tuple[str, ...]
    files_closed: bool
    identity_closed: bool
    python: str

    def packed(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Hello:
        values = json.loads(data)
        return cls(**{**values, "namespaces": tuple(values["namespaces"])})
