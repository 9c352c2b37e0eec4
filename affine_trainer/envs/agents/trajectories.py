"""AgentTraj files: whole plays as JSON, as AgentGym publishes and reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from affine_trainer.envs.agents.spec import SPECS
from affine_trainer.errors import DataError
from affine_trainer.records import Message

ROLES: Mapping[str, Literal["user", "assistant"]] = {"human": "user", "gpt": "assistant"}
SPEAKERS: Mapping[str, str] = {role: speaker for speaker, role in ROLES.items()}


class Trajectory(NamedTuple):
    """One play: what comes before the first reply to learn from, and from there replies and observations."""

    name: str
    item: int
    prompt: tuple[Message, ...]
    turns: tuple[Message, ...]

    def record(self) -> dict[str, Any]:
        """The play as AgentTraj writes it: replies are marked for the loss, the acknowledgement is not."""
        conversations = [_spoken(message, False) for message in self.prompt]
        conversations += [_spoken(message, True) for message in self.turns]
        return {"item_id": f"{self.name}_{self.item}", "conversations": conversations}


def _spoken(message: Message, learnt: bool) -> dict[str, Any]:
    loss = learnt if message.role == "assistant" else None
    return {"from": SPEAKERS[message.role], "loss": loss, "value": message.content}


def trajectories_json(trajectories: Iterable[Trajectory]) -> str:
    """The text of an AgentTraj file."""
    return json.dumps([trajectory.record() for trajectory in trajectories], ensure_ascii=False, indent=1)


def read_trajectories(path: Path) -> list[Trajectory]:
    """The plays of an AgentTraj file; DataError naming the item that is not one."""
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"data.agentgym.trajectories: {path} does not exist") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(records, list) or not records:
        raise DataError(f"{path} should hold a list of plays, each with item_id and conversations")
    return [_trajectory(record, f"{path}, item {place}") for place, record in enumerate(records)]


def _trajectory(record: Any, where: str) -> Trajectory:
    try:
        name, _, item = record["item_id"].rpartition("_")
        spoken = [
            (Message(ROLES[line["from"]], line["value"]), line["loss"]) for line in record["conversations"]
        ]
        number = int(item)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{where} lacks an item_id such as webshop_6, or conversations with from, loss and value"
        ) from error
    if name not in SPECS:
        raise DataError(f"{where} is of the environment {name!r}; there are {', '.join(SPECS)}")
    first = next((place for place, (said, loss) in enumerate(spoken) if loss is True), None)
    if first is None:
        raise DataError(f"{where} has no reply to learn from (one whose loss is true)")
    messages = [message for message, _ in spoken]
    return Trajectory(name, number, tuple(messages[:first]), _whole_turns(messages[first:]))


def _whole_turns(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Up to the last reply: an observation that nobody answers teaches nothing."""
    last = max(place for place, message in enumerate(messages) if message.role == "assistant")
    return tuple(messages[: last + 1])
