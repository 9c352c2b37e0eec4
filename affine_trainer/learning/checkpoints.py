"""What lies beside a checkpoint's weights (critic, state of the run's parts), and which checkpoints stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import load_file, save_file

from affine_trainer.artifacts import write_json
from affine_trainer.learning.critic import Critic

CRITIC_FILE = "critic.safetensors"
STATE_FILE = "run_state.json"


class Stateful(Protocol):
    """A part of a run that a resumed run must find as it was; its state is plain JSON."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def save_critic(critic: Critic | None, folder: Path) -> None:
    if critic is not None:
        save_file({name: w.detach().cpu() for name, w in critic.state_dict().items()}, folder / CRITIC_FILE)


def load_critic(critic: Critic | None, folder: Path) -> None:
    if critic is not None:
        critic.load_state_dict(load_file(folder / CRITIC_FILE))


def save_state(parts: Mapping[str, Stateful], folder: Path) -> None:
    write_json(folder / STATE_FILE, {name: part.state_dict() for name, part in parts.items()})


def load_state(parts: Mapping[str, Stateful], folder: Path) -> None:
    """Put every part of `parts` back to what it was when `folder` was written."""
    states = json.loads((folder / STATE_FILE).read_text())
    for name, part in parts.items():
        part.load_state_dict(states[name])


def best_folder(root: Path, iteration: int) -> Path:
    """Where the weights of the best validation lie, which came after `iteration` iterations."""
    return root / f"best-{iteration}"


def drop_outdated(root: Path, *, keep: int, best_iteration: int | None) -> None:
    """Remove all but the newest `keep` checkpoints, and the best weights of earlier validations."""
    steps = sorted(int(path.name.rpartition("-")[2]) for path in root.glob("checkpoint-*"))
    outdated = [root / f"checkpoint-{step}" for step in steps[:-keep]]
    outdated += [path for path in root.glob("best-*") if path.name != f"best-{best_iteration}"]
    for path in outdated:
        shutil.rmtree(path)
