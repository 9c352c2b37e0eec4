"""One play on a server: each action is sent once, and the score is what the server last said."""

from __future__ import annotations

import logging

from affine_trainer.envs.agents.game import Outcome
from affine_trainer.envs.agents.server.dialects import Answer, Dialect, read_page_actions
from affine_trainer.envs.agents.server.http import Server, ServerError
from affine_trainer.envs.agents.server.instances import Instance, Instances
from affine_trainer.errors import AffineError
from affine_trainer.records import SnapshotKind

log = logging.getLogger(__name__)

INSTRUCTION_PARTS = 2  # of webshop's first page stand before the instruction


class ServerGame:
    """A play of an instance that has just been reset; the instance goes back when the play is closed.

    A play that failed is over: what the server made of the failed action is not known.
    """

    snapshot_kind: SnapshotKind = "none"

    def __init__(
        self, server: Server, dialect: Dialect, instances: Instances, instance: Instance, first: Answer
    ) -> None:
        self._server = server
        self._dialect = dialect
        self._instances = instances
        self._instance = instance
        self._first = first.observation
        self._actions = first.actions
        self._score = 0.0
        self._closed = False

    @property
    def success(self) -> bool:
        high = self._dialect.spec.high
        return self._score > 0 if self._dialect.any_score_wins else self._score >= high

    @property
    def progress(self) -> float:
        """The score so far; how near the goal is in any other way, a server does not tell."""
        return self._dialect.spec.earned(self._score)

    def observe(self) -> str:
        return self._first

    def act(self, action: str) -> Outcome:
        """Play one action. ServerError when it is not known whether and how it was played."""
        instance = self._instance
        if self._closed or instance.gone or not instance.sound:
            raise ServerError(f"agentgym:{self._dialect.name}: the play is over; start another")
        body = self._dialect.step_body(instance.id, action.encode("utf-8", "replace").decode())
        instance.sound = False
        answer = self._server.post("step", body, self._dialect.read_step)
        instance.sound = True
        self._score, self._actions = self._in_range(answer.score), answer.actions
        return Outcome(answer.observation, answer.reward, self._score, answer.done)

    def actions(self) -> list[str]:
        """What the server offers; empty where it does not say, as most do not, or cannot be asked."""
        if not self._dialect.asks_for_actions:
            return list(self._actions)
        query = {self._dialect.id_key: str(self._instance.id)}
        try:
            has_search_bar, clickables = self._server.get("available_actions", query, read_page_actions)
        except ServerError as error:  # who asks may have no way to fail; the next action has
            log.warning("%s", error)
            return []
        searches = [f"search[{self._instruction}]"] if has_search_bar else []
        return searches + [f"click[{value}]" for value in clickables]

    def snapshot(self) -> bytes:
        raise AffineError(f"agentgym:{self._dialect.name}: a play on a server cannot be saved; play embedded")

    def restore(self, state: bytes) -> None:
        raise AffineError(f"agentgym:{self._dialect.name}: a play on a server cannot be restored")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._instances.give_back(self._instance)

    @property
    def _instruction(self) -> str:
        """What webshop's first page asks for."""
        parts = self._first.split(" [SEP] ")
        return parts[INSTRUCTION_PARTS] if len(parts) > INSTRUCTION_PARTS else self._first

    def _in_range(self, score: float) -> float:
        spec = self._dialect.spec
        if score < 0:
            log.info("%s: the server scores %g", spec.env, score)
        kept = min(spec.high, max(spec.low, score))
        if kept != score:
            log.warning("%s: the server's score %g is taken as %g", spec.env, score, kept)
        return kept
