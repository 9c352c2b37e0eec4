"""What is checked, and what a check says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from affine_trainer.errors import DataError

Status = Literal["passed", "failed", "cannot be checked offline"]


class Outcome(NamedTuple):
    """The result of one check; `detail` says what was found, or what to do."""

    status: Status
    detail: str


@dataclass(frozen=True)
class Subject:
    """A whole model in `folder`, and what else is known.

    `name` is the repository's name (with or without its owner), `hotkey` the key it must end with; `champion`
    and `earlier` are folders of other models. `answer` loads the model and answers a prompt, or raises
    AffineError; None where this machine's memory does not hold it.
    """

    folder: Path
    name: str | None = None
    hotkey: str | None = None
    champion: Path | None = None
    earlier: tuple[Path, ...] = ()
    answer: Callable[[Path], str] | None = None

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return read_object(self.folder / "config.json")

    @property
    def repository(self) -> str | None:
        """The name without its owner."""
        return None if self.name is None else self.name.rpartition("/")[2]


def passed(detail: str) -> Outcome:
    return Outcome("passed", detail)


def failed(detail: str) -> Outcome:
    return Outcome("failed", detail)


def unchecked(what_to_do: str) -> Outcome:
    return Outcome("cannot be checked offline", what_to_do)


def read_object(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file, empty where there is no file; DataError where it holds anything else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} should hold a JSON object")
    return found
