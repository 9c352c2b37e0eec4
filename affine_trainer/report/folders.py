"""Where the evaluation of a model is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affine_trainer.artifacts import command_for, log_dir, read_manifest, read_start, require
from affine_trainer.config import Config
from affine_trainer.errors import DataError, StageError
from affine_trainer.policies.model_names import model_label
from affine_trainer.records import sha256_of
from affine_trainer.report.pairing import read_evaluation

CANDIDATE, BASELINES = "rl", ("base", "sft")  # what `affine run` compares, and the report shows
LONGEST_NAME = 100

MAX_MODELS = 10  # the front's posterior has a cell for each of 2^models patterns


def evaluation_folder(config: Config, label: str) -> Path:
    """The finished evaluation that `label` means: a model evaluated in this run, else a folder brought along.

    StageError with the command to run where there is neither.
    """
    own, brought = log_dir(config, "eval", model_label(label)), Path(label)
    command = f"affine eval --model {label}"
    if (brought / "evaluation.json").is_file() and ("/" in label or not own.is_dir()):
        if read_manifest(brought) is not None:  # without one, it is judged by its contents alone
            _verify(brought, label, command)
        return brought
    if read_manifest(own) is None:
        state = "is unfinished" if read_start(own) else "is not there"
        raise StageError(
            f"The evaluation of {label} in {own} {state}: run `{command_for(own, command)}` first; run "
            f"{config.run} has {_evaluated(config)}."
        )
    _verify(own, label, command)
    return own


def _verify(folder: Path, label: str, command: str) -> None:
    """The folder's files are as its manifest says: else an error, of the line that is broken if one is."""
    try:
        require(folder, "eval", command)
    except StageError as error:
        if read_manifest(folder) is not None:
            try:
                read_evaluation(folder, label)
            except DataError as broken:
                sentence = str(broken).rstrip(".")
                raise DataError(f"{sentence}; the file is not as its manifest says.") from error
        raise


def _evaluated(config: Config) -> str:
    """The finished evaluations of the run, in words."""
    found = sorted(path.parent for path in log_dir(config, "eval").glob("*/evaluation.json"))
    names = [path.name for path in found if read_manifest(path) is not None]
    return f"those of {', '.join(names)}" if names else "none yet"


def comparison_folder(config: Config, candidate: str, baselines: Sequence[str]) -> Path:
    """Where it is written: logs/{run}/compare for that of `affine run`, a folder of its own for any other."""
    if candidate == CANDIDATE and set(baselines) == set(BASELINES):
        return log_dir(config, "compare")
    labels = [candidate, *sorted(baselines)]
    first, *others = map(model_label, labels)
    name = f"{first}-vs-{'+'.join(others)}"
    if [first, *others] != labels or len(name) > LONGEST_NAME:  # names that are not folders' own may coincide
        name = f"{name[:LONGEST_NAME]}-{sha256_of(labels)[:8]}"
    return log_dir(config, "comparisons", name)


def check_distinct(candidate: str, baselines: Sequence[str]) -> None:
    """StageError unless a candidate and at least one other model are named, each once."""
    if not baselines:
        raise StageError("There is nothing to compare with: name at least one baseline.")
    labels = [candidate, *baselines]
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise StageError(f"{', '.join(repeated)} is named twice: compare different models.")
    if len(labels) > MAX_MODELS:
        raise StageError(f"{len(labels)} models at once are too many: compare at most {MAX_MODELS}.")
