"""A whole model in a folder of its own: weights merged, tokenizer, template, and a card of facts."""

from __future__ import annotations

import json
from pathlib import Path

from affine_trainer.artifacts import log_dir, model_dir, read_manifest, require, stage_folder, write_atomic
from affine_trainer.config import Config
from affine_trainer.device import describe_device
from affine_trainer.errors import StageError
from affine_trainer.policies.model_names import is_adapter
from affine_trainer.report.card import Evaluated, model_card
from affine_trainer.stages.evaluate import EvaluatedModel, choose_model
from affine_trainer.tracking import say

# The folders of a run by the names of their leaves, as well as by what they hold.
LEAVES = {"sft_final": "affine sft", "rl_best": "affine rl", "rl_final": "affine rl"}
READS = ("model.name", "model.revision", "model.trust_remote_code")


def export(config: Config, model: str, output: Path | None = None, dtype: str | None = None) -> Path:
    """Write `model` (rl, sft, a leaf such as rl_best, base, a folder or a hub id) whole; returns the folder.

    By default models/{run}/exported-{label}. StageError where that folder holds anything but an unfinished
    export: nothing is ever overwritten.
    """
    path = write_export(config, model, output, dtype)
    manifest = read_manifest(path)
    assert manifest is not None
    size = f"{manifest.metrics['num_parameters']:,} parameters in {manifest.metrics['dtype']}"
    say(f"export: wrote {path}, {size}; next: affine preflight {path}")
    return path


def write_export(config: Config, model: str, output: Path | None = None, dtype: str | None = None) -> Path:
    """As `export`, without a word."""
    from affine_trainer.policies.whole_models import base_of_adapter, write_model

    chosen = chosen_model(config, model)
    path = output or model_dir(config, f"exported-{chosen.label}")
    check_free(path)
    if chosen.folder and is_adapter(str(chosen.folder)):
        base_of_adapter(str(chosen.folder), config)  # refused before a folder is begun
    inputs = {"model": chosen.folder} if chosen.folder else {}
    with stage_folder("export", path, config, reads=READS, inputs=inputs, force=True) as folder:
        written = write_model(chosen.name, config, path, dtype)
        evaluations = evaluations_of(config, chosen)
        write_atomic(path / "README.md", model_card(chosen.label, written, _made(chosen), evaluations))
        metrics = {
            "model": chosen.name,
            "base": written.base,
            "dtype": written.dtype,
            "num_parameters": written.num_parameters,
        }
        folder.finish(metrics, device=describe_device())
    return path


def chosen_model(config: Config, model: str) -> EvaluatedModel:
    """What `model` means; StageError with the command to run where a stage is missing."""
    if model in LEAVES and not Path(model).is_dir():
        folder = model_dir(config, model)
        require(folder, model.partition("_")[0], LEAVES[model])
        return EvaluatedModel(model, str(folder), folder)
    return choose_model(config, model)


def check_free(path: Path) -> None:
    """StageError where `path` is a file or a finished folder; nothing is overwritten."""
    if path.is_file():
        raise StageError(f"{path} is a file: choose another --output")
    manifest = read_manifest(path) if path.is_dir() else None
    if manifest is not None:
        raise StageError(
            f"{path} already holds what `affine {manifest.stage}` wrote, and nothing is overwritten: "
            "choose another --output, or delete the folder"
        )


def _made(chosen: EvaluatedModel) -> dict[str, object] | None:
    manifest = read_manifest(chosen.folder) if chosen.folder else None
    if manifest is None:
        return None
    return {
        "stage": manifest.stage,
        "created": manifest.created,
        "seed": manifest.seed,
        "git_commit": manifest.git_commit,
        "packages": manifest.packages,
        "metrics": manifest.metrics,
    }


def evaluations_of(config: Config, chosen: EvaluatedModel) -> list[Evaluated]:
    """The finished evaluations of this run that were made with exactly this model, by their manifests."""
    manifest = read_manifest(chosen.folder) if chosen.folder else None
    if manifest is None:
        return []
    found = []
    for path in sorted(log_dir(config, "eval").glob("*/evaluation.json")):
        about = read_manifest(path.parent)
        if about and about.stage == "eval" and about.inputs.get("model", {}).get("digest") == manifest.digest:
            found.append(Evaluated(str(path.parent), about.created, json.loads(path.read_bytes())))
    return found
