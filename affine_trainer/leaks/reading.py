"""Problems out of what lies around: task groups, a run's data, evaluations, and files of others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import read_jsonl
from affine_trainer.config import Config
from affine_trainer.envs import ENVIRONMENTS, KEY
from affine_trainer.envs.agents.spec import ACKNOWLEDGEMENT
from affine_trainer.envs.agents.trajectories import ROLES as SPEAKERS
from affine_trainer.envs.custom import PREFIX
from affine_trainer.envs.prompts import load_templates
from affine_trainer.errors import DataError
from affine_trainer.leaks.problem import Origin, Problem, read_problem
from affine_trainer.records import Task, TaskSet

# Opening one of these games takes a simulator or a server; their tasks are known by key and content alone.
SLOW_TO_OPEN = frozenset({"agentgym:sciworld"})
SHORT_NAMES = {env.partition(":")[2]: env for env in ENVIRONMENTS}
ACTION = re.compile(r"action", re.IGNORECASE)
SHAPES = (
    "prompt and completion (or response), messages, conversations (AgentTraj), or observations and actions"
)


def wording(config: Config) -> dict[str, tuple[str, str]]:
    """The text before and behind the statement in DED's prompts."""
    before, _, behind = load_templates(config.data.prompts)["ded"].text.partition("{prompt}")
    return {"affine:ded": (before, behind)}


def problems_of_tasks(
    tasks: Iterable[Task], task_set: TaskSet, origin: Origin, seen: Mapping[str, str]
) -> Iterator[Problem]:
    """The problems of one environment and family.

    Programs come from the experts, first observations from `seen` (by task key) or else from the game.
    """
    for task in tasks:
        prompt, reply = task.prompt[-1].content, ""
        if task_set.max_turns > 1:
            prompt = seen.get(task.key) or first_observation(task, task_set)
        elif task.env == "affine:ded":
            reply = task_set.expert_reply(task) or ""
        yield read_problem(origin, "", task.env, prompt, reply, key=task.key, content=task.content_sha256)


def first_observation(task: Task, task_set: TaskSet) -> str:
    """What a player of an interactive task sees first; empty where finding that out takes a simulator."""
    if task.env in SLOW_TO_OPEN or task.family != "embedded":
        return ""
    game = task_set.start(task)
    try:
        return game.observe()
    finally:
        game.close()


def problems_of_rows(path: Path, origin: Origin) -> Iterator[Problem]:
    """The problems of a training file: ours, another pipeline's, TRL's shapes, or an AgentTraj list.

    DataError names file and line of a row whose shape is not known.
    """
    for where, row in numbered_rows(path):
        env = environment_of_row(row)
        prompt, reply = said(row, f"{path}, {where}")
        key = next((value for name in ("task_key", "key") if _is_key(value := row.get(name))), None)
        content = row.get("content_sha256")
        yield read_problem(
            origin,
            where,
            key.partition("@")[0] if key else env,
            prompt,
            reply,
            key=key,
            content=content if isinstance(content, str) else None,
            number=None if key else task_number(row),
        )


def numbered_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a JSON-lines file by line, or those of a JSON list by item."""
    if path.suffix != ".json":
        rows = read_jsonl(path)  # skips blank lines
        with path.open("rb") as file:
            numbers = [number for number, line in enumerate(file, start=1) if line.strip()]
        yield from ((f"line {number}", row) for number, row in zip(numbers, rows, strict=True))
        return
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable JSON file: {error}") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{path} should hold a list of objects; write other data as JSON lines")
    yield from ((f"item {number}", item) for number, item in enumerate(items))


def environment_of_row(row: Mapping[str, Any]) -> str | None:
    """The environment that a row names, in full or short (`sat`), or by its `item_id` (`webshop_6`)."""
    names = [row.get("environment"), row.get("env")]
    if isinstance(item := row.get("item_id"), str):
        names.append(item.rpartition("_")[0])
    named = [name for name in names if isinstance(name, str)]
    if own := next((name for name in named if name.startswith(PREFIX)), None):
        return own
    for name in map(str.lower, named):
        if name in ENVIRONMENTS:
            return name
        if name in SHORT_NAMES:
            return SHORT_NAMES[name]
    return None


def task_number(row: Mapping[str, Any]) -> int | None:
    """The number that a row gives its task: `task_id` of the row or its `metadata`, or in `item_id`."""
    metadata = row.get("metadata")
    for holder in (row, metadata if isinstance(metadata, dict) else {}):
        number = holder.get("task_id")
        if isinstance(number, int) and not isinstance(number, bool):
            return number
    item = str(row.get("item_id", "")).rpartition("_")[2]
    return int(item) if item.isdecimal() and len(item) < 18 else None


def said(row: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The message that asks (or the first observation) and the first answer to it."""
    if "observations" in row and "prompt" not in row:
        seen = row["observations"]
        if isinstance(seen, list) and seen and isinstance(seen[0], str):
            return seen[0], ""
        raise DataError(f"{where}: observations should be a list of texts")
    messages = _messages(row)
    if not messages:
        raise DataError(f"{where}: a row of unknown shape; wanted are {SHAPES}")
    asking, answer = "", ""
    for role, content in messages:
        if role == "user" and not answer:
            asking = content
        elif role == "assistant" and not answer and not _acknowledges(content, messages):
            answer = content
    return asking, answer


def _acknowledges(content: str, messages: Sequence[tuple[str, str]]) -> bool:
    """Whether a message only says that the rules are understood, and the task comes behind it."""
    more = sum(role == "user" for role, _ in messages) > 1
    return more and (content == ACKNOWLEDGEMENT or (content.startswith("OK") and not ACTION.search(content)))


def _messages(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(role, content) of all that was said; empty where the row is of no known shape."""
    if isinstance(spoken := row.get("conversations"), list):
        return [
            (SPEAKERS.get(str(line.get("from")), str(line.get("from"))), str(line.get("value")))
            for line in spoken
            if isinstance(line, dict)
        ]
    if isinstance(row.get("messages"), list):
        return _told(row["messages"], "user")
    answer = next((row[name] for name in ("completion", "response", "answer") if name in row), "")
    return _told(row["prompt"], "user") + _told(answer, "assistant") if "prompt" in row else []


def _told(value: Any, role: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(role, value)] if value else []
    if not isinstance(value, list):
        return []
    return [(str(line.get("role")), str(line.get("content"))) for line in value if isinstance(line, dict)]


def _is_key(value: Any) -> bool:
    parts = KEY.fullmatch(value) if isinstance(value, str) else None
    return bool(
        parts and parts["family"] and (parts["env"] in ENVIRONMENTS or parts["env"].startswith(PREFIX))
    )
