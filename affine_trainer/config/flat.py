"""A config as one flat table of dotted keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel


def flatten(config: BaseModel) -> dict[str, Any]:
    """Every value under its dotted key, e.g. {"training.lora_r": 64}; JSON types only."""
    return dict(_leaves("", config.model_dump(mode="json")))


def field_of(root: type[BaseModel], key: str) -> str:
    """The field that a flat key lies in: `data.affine.weights` for `data.affine.weights.sat`."""
    model, parts = root, key.split(".")
    for depth, name in enumerate(parts, start=1):
        field = model.model_fields.get(name)
        if field is None or not (
            isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        ):
            return ".".join(parts[:depth])
        model = field.annotation
    return key


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else key, item)
    else:
        yield prefix, value
