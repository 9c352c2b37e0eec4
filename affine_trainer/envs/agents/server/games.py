"""The tasks of one AgentGym server: its item ids, dealt to the splits, and the plays of them."""

from __future__ import annotations

import logging

from affine_trainer.envs.agents.game import Expert, Game, GameInfo
from affine_trainer.envs.agents.server.dialects import DIALECTS
from affine_trainer.envs.agents.server.game import ServerGame
from affine_trainer.envs.agents.server.http import (
    AnswerLostError,
    Server,
    ServerError,
    ServerLimits,
    TooSlowError,
)
from affine_trainer.envs.agents.server.instances import Instances
from affine_trainer.errors import AffineError
from affine_trainer.records import Split, seed_from

log = logging.getLogger(__name__)

STARTS = 3  # a play is begun at most so often, each time on another instance
# Of a hundred items; nothing is pretrained on a server.
SHARES: dict[Split, range] = {
    "evaluation": range(0, 25),
    "validation": range(25, 35),
    "train": range(35, 100),
    "pretrain": range(0),
}


class ServerGames:
    """All tasks of the environment `name` on the server at `base_url`; an index is an item id there.

    The server is taken to have the items 0 to `num_tasks` - 1 (by default as many as AgentGym's training and
    evaluation sets have). A split's items are chosen by a hash of environment and item, so that another
    `num_tasks` moves none to another split. AffineError for an unknown name or what is no address.
    """

    family = "server"

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        num_tasks: int | None = None,
        limits: ServerLimits | None = None,
    ) -> None:
        if name not in DIALECTS:
            known = ", ".join(DIALECTS)
            raise AffineError(f"data.agentgym.base_urls.{name}: no such environment; pick from {known}")
        self._dialect = DIALECTS[name]
        limits = limits or ServerLimits()
        self.env = f"agentgym:{name}"
        self.num_tasks = num_tasks or self._dialect.num_tasks
        self.max_open = limits.max_open
        self._server = Server(name, base_url, limits)
        self._instances = Instances(self._server, self._dialect, limits)

    @property
    def num_open(self) -> int:
        """Instances that are held on the server now."""
        return self._instances.num_open

    def check(self) -> None:
        """AffineError, naming the key of the config, unless the right server answers."""
        self._server.check()

    def indices(self, split: Split, count: int, seed: int) -> list[int]:
        items = [item for item in range(self.num_tasks) if self._bucket(item) in SHARES[split]]
        if not 0 <= count <= len(items):
            raise AffineError(
                f"{self.env}@{self.family} has {len(items)} {split} tasks; asked for {count}; ask for fewer, "
                f"or set num_tasks ({self.num_tasks}) to the number of items of the server"
            )
        return sorted(items, key=lambda item: seed_from("order", self.env, split, seed, item))[:count]

    def info(self, index: int) -> GameInfo:
        """What is asked for only the server knows; the difficulty is not known and given as 0."""
        return GameInfo({"server": self._dialect.name, "item": index}, "item", 0.0)

    def start(self, index: int) -> ServerGame:
        """A play of the item. ServerError when none can be begun.

        Where the server's answer was lost another instance is tried: the late reset of the first one would
        else begin the play anew in the middle.
        """
        for _ in range(STARTS - 1):
            try:
                return self._begun(index)
            except TooSlowError:
                raise
            except AnswerLostError as error:
                log.info("%s; another instance is tried", error)
        return self._begun(index)

    def expert(self, game: Game) -> Expert:
        raise AffineError(
            f"{self.env}@{self.family}: no expert knows the tasks of a server; collect from the embedded "
            f"environment (remove data.agentgym.base_urls.{self._dialect.name})"
        )

    def close(self) -> None:
        """Close the instances of all plays, which are over then; done anyway when the program ends."""
        self._instances.close_all()

    def _bucket(self, item: int) -> int:
        return seed_from("split", self.env, item) % 100

    def _begun(self, index: int) -> ServerGame:
        instance = self._instances.take()
        dialect = self._dialect
        begun = False
        try:
            first = self._server.post("reset", dialect.reset_body(instance.id, index), dialect.read_first)
            begun = True
        except ServerError as error:
            if not instance.used or isinstance(error, TooSlowError):
                raise
            self._instances.forget_idle()
            raise AnswerLostError(f"{error} (on an instance that was played before)") from error
        finally:
            if not begun:
                instance.sound = False
                self._instances.give_back(instance)
        return ServerGame(self._server, dialect, self._instances, instance, first)
