"""Episodes as rows of a JSON-lines file, written and read back without loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from affine_trainer.artifacts import read_jsonl
from affine_trainer.errors import DataError
from affine_trainer.records import Episode, Grade, StopReason, Turn

# Families of programs that no training data contains: reported on their own, never within the totals.
UNSEEN_FAMILIES = frozenset({"heldout-v1"})

_FIELDS = ("task_key", "content_sha256", "policy", "grade", "turns")


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class _TurnRow(_Row):
    observation: str
    reply: str
    reward: float
    num_tokens: int = Field(ge=0)
    info: dict[str, Any] = Field(default_factory=dict)


class _GradeRow(_Row):
    reward: float
    success: bool
    why: str


class _EpisodeRow(_Row):
    task_key: str = Field(pattern=r"^[^@\s]+@\S+/\d+$")
    content_sha256: str = Field(min_length=1)
    policy: str
    difficulty: float | None = None
    grade: _GradeRow | None
    stop_reason: StopReason
    error: str | None
    num_prompt_tokens: int = Field(ge=0)
    num_completion_tokens: int = Field(ge=0)
    sample: int = Field(default=0, ge=0)
    seconds: float = Field(ge=0.0)
    turns: list[_TurnRow]


@dataclass(frozen=True, slots=True)
class EpisodeFile:
    """The episodes of one file by their key, and the line each of them stands on."""

    path: Path
    episodes: dict[str, Episode]
    lines: dict[str, int]


def environment_of(task_key: str) -> str:
    """`affine:sat` of `affine:sat@small/17`."""
    return task_key.partition("@")[0]


def family_of(task_key: str) -> str:
    """`small` of `affine:sat@small/17`; a family may hold slashes itself, as hub ids do."""
    return task_key.partition("@")[2].rpartition("/")[0]


def is_unseen(task_key: str) -> bool:
    """Whether the task belongs to a family kept out of all training data."""
    return family_of(task_key) in UNSEEN_FAMILIES


def group_by_environment(episodes: Iterable[Episode]) -> dict[str, list[Episode]]:
    """Episodes by environment, in order of first appearance."""
    groups: dict[str, list[Episode]] = {}
    for episode in episodes:
        groups.setdefault(environment_of(episode.task_key), []).append(episode)
    return groups


def episode_row(episode: Episode) -> dict[str, Any]:
    """All of an episode but its tokens, as one JSON object; `read_episodes` gives it back."""
    grade = episode.grade
    return {
        "task_key": episode.task_key,
        "content_sha256": episode.content_sha256,
        "policy": episode.policy,
        "difficulty": episode.difficulty,
        "grade": None if grade is None else asdict(grade),
        "stop_reason": episode.stop_reason,
        "error": episode.error,
        "num_prompt_tokens": episode.num_prompt_tokens,
        "num_completion_tokens": episode.num_completion_tokens,
        "sample": episode.sample,
        "seconds": episode.seconds,
        "turns": [asdict(turn) for turn in episode.turns],
    }


def read_episodes(path: Path) -> list[Episode]:
    """The episodes of a file, in its order; DataError as `read_episode_file` says."""
    return list(read_episode_file(path).episodes.values())


def read_episode_file(path: Path) -> EpisodeFile:
    """Read and check a file of one play a task and sample.

    DataError names file and line of a broken or truncated line, a field that is missing, of another type
    or not a finite number, and a task that appears twice with the same sample number.
    """
    rows = list(read_jsonl(path, _FIELDS))
    with path.open("rb") as file:
        numbers = [number for number, line in enumerate(file, start=1) if line.strip()]
    found = EpisodeFile(path, {}, {})
    for number, row in zip(numbers, rows, strict=True):
        episode = _episode(row, f"{path}, line {number}")
        if (first := found.lines.setdefault(episode.key, number)) != number:
            raise DataError(
                f"{path}, line {number}: task {episode.key} is already on line {first}; "
                "an evaluation plays each task once (each sample, where there are several), "
                "so remove one of them."
            )
        found.episodes[episode.key] = episode
    return found


def _episode(row: dict[str, Any], where: str) -> Episode:
    try:
        checked = _EpisodeRow.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise DataError(f"{where}: {field}: {first['msg']}, got {first['input']!r:.60}.") from error
    values = dict(checked)
    grade = checked.grade
    values["grade"] = None if grade is None else Grade(**dict(grade))
    values["turns"] = [Turn(**dict(turn)) for turn in checked.turns]
    return Episode(**values)
