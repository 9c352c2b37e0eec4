"""At most a few Java processes, which all plays share; one that died is replaced at the next play."""

from __future__ import annotations

import threading

from affine_trainer.envs.sciworld.jvm import Jvm
from affine_trainer.errors import AffineError

MOST_JVMS = 2


class JvmPool:
    """Processes are started when needed, a further one only while all others are in the middle of a turn."""

    def __init__(self, size: int) -> None:
        if not 1 <= size <= MOST_JVMS:
            raise AffineError(f"agentgym:sciworld runs 1 to {MOST_JVMS} Java processes; asked for {size}")
        self._size = size
        self._lock = threading.Lock()
        self._jvms: list[Jvm] = []

    def jvm(self) -> Jvm:
        """The process for a new play. Plays of one process wait for each other's turns."""
        with self._lock:
            self._jvms = [jvm for jvm in self._jvms if jvm.alive]
            idle = [jvm for jvm in self._jvms if not jvm.lock.locked()]
            if not idle and len(self._jvms) < self._size:
                self._jvms.append(Jvm())
                idle = self._jvms[-1:]
            return min(idle or self._jvms, key=lambda jvm: jvm.num_worlds)

    @property
    def pids(self) -> list[int]:
        """The living processes."""
        return [jvm.pid for jvm in self._jvms if jvm.alive]

    def close(self) -> None:
        """End all processes; plays that go on fail, and a new one starts a new process."""
        with self._lock:
            for jvm in self._jvms:
                jvm.close()
            self._jvms = []
