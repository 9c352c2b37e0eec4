"""What a `model.name` points at: the embedded model, a local folder, or a hub id; imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

import affine_trainer
from affine_trainer.errors import AffineError

NANO = Path(affine_trainer.__file__).parent / "nano"


def model_path(name: str) -> str:
    """What transformers loads for a name; AffineError where it can only mean a folder, and there is none."""
    if name == "nano":
        return str(NANO)
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if path.exists():
        raise AffineError(f"the model {name} is a file; name the folder that holds its weights")
    inside_a_folder = path.parent != Path() and path.parent.is_dir()
    if inside_a_folder or name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise AffineError(f"the model folder {name} does not exist; check the path or name a hub id")
    return name


def is_adapter(path: str) -> bool:
    """Whether a folder holds a PEFT adapter rather than a whole model."""
    return (Path(path) / "adapter_config.json").is_file()


def model_label(name: str) -> str:
    """The folder name of a model's evaluation: `Qwen--Qwen3-4B` for a hub id, `models-mine` for a path."""
    separator = "-" if Path(name).expanduser().is_dir() else "--"
    parts = [re.sub(r"[^A-Za-z0-9._-]+", "-", part) for part in Path(name).parts]
    return separator.join(part.strip("-.") for part in parts if part.strip("-.")) or "model"
