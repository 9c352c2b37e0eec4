"""The instances that are open on a server: a bounded number, each closed in the end, none forgotten."""

from __future__ import annotations

import atexit
import logging
import threading
from dataclasses import dataclass

from affine_trainer.envs.agents.server.dialects import Dialect, InstanceId
from affine_trainer.envs.agents.server.http import (
    AnswerLostError,
    NotBegunError,
    Server,
    ServerError,
    ServerLimits,
)

log = logging.getLogger(__name__)

NO_SUCH_PATH = (404, 405)
CLOSE_TIMEOUT = 10.0


@dataclass(slots=True, eq=False)
class Instance:
    """One environment on the server.

    `used`: it has been given out before. `sound`: every request to it was answered, so it can be reset.
    `gone`: the server has given its id to another, as one does that was started anew.
    """

    id: InstanceId
    used: bool = False
    sound: bool = True
    gone: bool = False


class Instances:
    """Gives out instances and takes them back; all that are out when the program ends are closed.

    Where the server has no `/close`, sound instances are given out again instead, so that it never holds
    more than `max_open` of them.
    """

    def __init__(self, server: Server, dialect: Dialect, limits: ServerLimits) -> None:
        self._server = server
        self._dialect = dialect
        self._limits = limits
        self._slots = threading.BoundedSemaphore(limits.max_open)
        self._lock = threading.Lock()
        self._open: dict[InstanceId, Instance] = {}
        self._idle: list[Instance] = []
        self._can_close = True
        atexit.register(self.close_all)

    @property
    def num_open(self) -> int:
        return len(self._open)

    def take(self) -> Instance:
        """An instance of one's own. ServerError when none can be had."""
        if not self._slots.acquire(timeout=self._limits.slot_timeout):
            raise ServerError(
                f"agentgym:{self._dialect.name}: all {self._limits.max_open} instances stayed in use for "
                f"{self._limits.slot_timeout:g} s; play fewer episodes at once or raise max_open"
            )
        try:
            with self._lock:
                instance = self._idle.pop() if self._idle else None
            instance = instance or Instance(self._created())
            with self._lock:
                displaced = self._open.get(instance.id)
                self._open[instance.id] = instance
        except BaseException:
            self._slots.release()
            raise
        if displaced is not None:
            displaced.gone = True
            log.warning("%s gave out %r twice; the earlier play is given up", self._named, instance.id)
        return instance

    def give_back(self, instance: Instance) -> None:
        """Close an instance, or keep it for another play where the server cannot close.

        Raises no ServerError: what stays open on the server is logged.
        """
        try:
            if not instance.gone:
                self._close(instance)
        finally:
            with self._lock:
                if self._open.get(instance.id) is instance:
                    del self._open[instance.id]
            self._slots.release()

    def forget_idle(self) -> None:
        """Give no used instance out again: the server does not know them any more."""
        with self._lock:
            self._idle.clear()

    def close_all(self) -> None:
        """Close what is out; the plays that hold it are over. Stops where the server is away."""
        with self._lock:
            left = list(self._open.values())
            self._open.clear()
        for instance in left:
            instance.gone = True
        while left and self._can_close:
            try:
                self._ask_to_close(left[-1], retries=0)
            except (NotBegunError, AnswerLostError) as error:
                log.warning("%s", error)
                break
            except ServerError as error:
                self._note(error)
            left.pop()
        if left:
            log.warning("%s: %d instances stay open on the server", self._named, len(left))

    def _created(self) -> InstanceId:
        try:
            return self._server.post("create", self._dialect.create_body, self._dialect.read_id)
        except NotBegunError:
            raise
        except ServerError:
            log.warning("%s: an instance may stay open whose id did not arrive", self._named)
            raise

    def _close(self, instance: Instance) -> None:
        if self._can_close:
            try:
                self._ask_to_close(instance, self._limits.retries)
                return
            except ServerError as error:
                self._note(error)
        if self._can_close or not instance.sound:
            log.warning("%s: instance %r stays open on the server", self._named, instance.id)
            return
        instance.used = True
        with self._lock:
            self._idle.append(instance)

    def _ask_to_close(self, instance: Instance, retries: int) -> None:
        body = {self._dialect.id_key: instance.id}
        self._server.post("close", body, bool, repeatable=True, retries=retries, timeout=CLOSE_TIMEOUT)

    def _note(self, error: ServerError) -> None:
        if error.status in NO_SUCH_PATH:
            self._can_close = False
            log.info("%s has no /close; instances are used again instead", self._named)
        else:
            log.warning("%s", error)

    @property
    def _named(self) -> str:
        return f"agentgym:{self._dialect.name}"
