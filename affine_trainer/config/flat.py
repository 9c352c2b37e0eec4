"""A config as one flat table of dotted keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel


def flatten(config: BaseModel) -> dict[str, Any]:
    """Every value under its dotted key, e.g. {"training.lora_r": 64}; JSON types only."""
    return dict(_leaves("", config.model_dump(mode="json")))


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else key, item)
    else:
        yield prefix, value
