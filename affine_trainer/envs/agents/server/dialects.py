"""How each of AgentGym's five servers speaks: its keys and bodies as one table, and how answers are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from affine_trainer.envs.agents.spec import SPECS, AgentSpec

InstanceId = int | str


class BadAnswerError(ValueError):
    """An answer of another shape than the protocol's; the message is part of a sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reset or a step showed; `reward` and `score` (of the play so far) are the server's numbers."""

    observation: str
    reward: float = 0.0
    score: float = 0.0
    done: bool = False
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """One server's side of the protocol.

    `greeting` is the name a server gives itself at `/` (webshop's gives none), `num_tasks` the size of
    AgentGym's training and evaluation sets. A new instance is asked for with `create_body` (None: no body).
    The first observation is made of the reset's values at `first_keys`, one a line, and of the possible
    actions where answers hold them. `ends_when_paid`: the server denies that a task done late is done, and
    pays anew for every further step, so the play ends at the first payment here.
    """

    name: str
    greeting: str | None
    num_tasks: int
    id_key: str = "id"
    create_body: Mapping[str, Any] | None = None
    item_key: str = "data_idx"
    reset_extras: Mapping[str, Any] = field(default_factory=dict)
    first_keys: tuple[str | int, ...] = ("observation",)
    observation_key: str = "observation"
    score_key: str = "reward"
    actions_key: str | None = None
    asks_for_actions: bool = False
    any_score_wins: bool = True
    ends_when_paid: bool = False

    @property
    def spec(self) -> AgentSpec:
        return SPECS[self.name]

    def reset_body(self, instance: InstanceId, item: int) -> dict[str, Any]:
        return {self.id_key: instance, self.item_key: item, **self.reset_extras}

    def step_body(self, instance: InstanceId, action: str) -> dict[str, Any]:
        return {self.id_key: instance, "action": action}

    def read_id(self, reply: Any) -> InstanceId:
        """The new instance's id: the whole reply, or its `id_key`."""
        found = reply[self.id_key] if isinstance(reply, dict) and self.id_key in reply else reply
        if isinstance(found, bool) or not isinstance(found, (int, str)) or found == "":
            raise BadAnswerError(f"has no {self.id_key}")
        return found

    def read_first(self, reply: Any) -> Answer:
        observation = "\n".join(_text(reply, key) for key in self.first_keys)
        actions = self._actions(reply)
        if self.actions_key:
            observation += f"\nAVAILABLE ACTIONS: {','.join(actions)}"
        return Answer(observation, actions=actions)

    def read_step(self, reply: Any) -> Answer:
        done = _value(reply, "done")
        if not isinstance(done, bool):
            raise BadAnswerError(f"has {done!r} for done")
        score = _number(reply, self.score_key)
        return Answer(
            observation=_text(reply, self.observation_key),
            reward=_number(reply, "reward"),
            score=score,
            done=done or (self.ends_when_paid and score > 0),
            actions=self._actions(reply),
        )

    def _actions(self, reply: Any) -> tuple[str, ...]:
        return _texts(reply, self.actions_key) if self.actions_key else ()


def read_page_actions(reply: Any) -> tuple[bool, tuple[str, ...]]:
    """Whether webshop's page has a search bar, and what can be clicked on it."""
    has_search_bar = _value(reply, "has_search_bar")
    clickables = _texts(reply, "clickables")
    return bool(has_search_bar), tuple(value for value in clickables if value.lower() != "search")


def _value(reply: Any, key: str | int) -> Any:
    try:
        return reply[key]
    except (LookupError, TypeError):
        raise BadAnswerError(f"has no {key!r}") from None


def _text(reply: Any, key: str | int) -> str:
    value = _value(reply, key)
    if not isinstance(value, str):
        raise BadAnswerError(f"has no text at {key!r}")
    return value


def _texts(reply: Any, key: str) -> tuple[str, ...]:
    value = _value(reply, key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadAnswerError(f"has no list of texts at {key!r}")
    return tuple(value)


def _number(reply: Any, key: str) -> float:
    value = _value(reply, key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadAnswerError(f"has {value!r} for {key}")
    return float(value)


DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "webshop",
            greeting=None,
            num_tasks=4130,
            id_key="env_idx",
            item_key="session_id",
            first_keys=(0,),
            observation_key="state",
            asks_for_actions=True,
            any_score_wins=False,
        ),
        Dialect(
            "alfworld",
            greeting="AlfWorld",
            num_tasks=2620,
            item_key="game",
            reset_extras={"world_type": "Text"},
            actions_key="available_actions",
        ),
        Dialect("babyai", greeting="BabyAI", num_tasks=900, score_key="score", ends_when_paid=True),
        Dialect(
            "sciworld",
            greeting="ScienceWorld",
            num_tasks=2320,
            first_keys=("task_description", "observation"),
            score_key="score",
            any_score_wins=False,
        ),
        Dialect("textcraft", greeting="TextCraft", num_tasks=474, create_body={}),
    )
}
