"""Which model an evaluation plays: one of the run, a folder, a hub id, or what an endpoint serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rich

from affine_trainer.artifacts import model_dir, read_manifest, require
from affine_trainer.config import Config
from affine_trainer.errors import StageError
from affine_trainer.policies.endpoint_names import endpoint_address, endpoint_label
from affine_trainer.policies.model_names import model_label, model_path
from affine_trainer.records import Policy

TRAINED = {"rl": ("rl_best", "affine rl"), "sft": ("sft_final", "affine sft")}
RESERVED = ("base", "trivial", *TRAINED)


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """Which model is evaluated: its label in logs/, what is loaded, and its folder where there is one.

    `served`: behind `config.endpoint`.
    """

    label: str
    name: str
    folder: Path | None
    served: bool = False


def choose_model(config: Config, model: str | None) -> EvaluatedModel:
    """What `model` means; None is the endpoint's, else that of the last stage that finished.

    StageError where a stage is missing.
    """
    served = config.endpoint
    if model is None and served.url and served.model:
        name = f"{served.model} at {endpoint_address(served.url)}"
        return EvaluatedModel(endpoint_label(served.url, served.model), name, None, served=True)
    if model is None:
        finished = [label for label, (leaf, _) in TRAINED.items() if read_manifest(model_dir(config, leaf))]
        model = finished[0] if finished else "base"
        rich.get_console().print(f"eval: no --model given, taking {model}", highlight=False)
    if model in TRAINED:
        leaf, command = TRAINED[model]
        folder = model_dir(config, leaf)
        require(folder, model, command)
        return EvaluatedModel(model, str(folder), folder)
    if model == "base":
        return EvaluatedModel("base", config.model.name, None)
    path, label = model_path(model), model_label(model)
    if label in RESERVED:
        raise StageError(f"{model} would be evaluated as {label!r}, which is taken: name it by a longer path")
    return EvaluatedModel(label, model, Path(path) if Path(path).is_dir() else None)


@contextmanager
def open_policy(config: Config, chosen: EvaluatedModel) -> Iterator[Policy]:
    """The policy that plays: a model loaded into this process, or the endpoint's."""
    if chosen.served:
        from affine_trainer.policies.endpoint import EndpointPolicy

        with EndpointPolicy(config, chosen.label) as policy:
            yield policy
    else:
        from affine_trainer.policies.hf import load_policy

        yield load_policy(chosen.name, config, chosen.label)
