"""An experiment file: a base config, named overlays of it, and the seeds each of them runs with."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from affine_trainer.config.complaints import Complaint, complaint, refuse_complaints
from affine_trainer.config.loading import apply, put, read_tree, report, validate
from affine_trainer.config.mistakes import Mistake, explain
from affine_trainer.config.section import Section
from affine_trainer.config.sections import Config
from affine_trainer.errors import ConfigError

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=40)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Dotted = tuple[str, ...]
# What no overlay may change, and why.
FIXED = {
    "run": "each cell has a run of its own, named by the experiment",
    "seed": "the seeds are those of `seeds`",
    "evaluation": "the cells are compared on the same tasks; put it under `set`",
    "sampling": "the cells are compared by the same statistics; put it under `set`",
}


class ExperimentFile(Section):
    """The keys of the file. `base` is a config file, found from the folder of this one."""

    name: Name
    base: str | None = Field(default=None, min_length=1)
    set: dict[str, Any] = Field(default={})
    seeds: tuple[Seed, ...] = ()
    shared_seed: Seed | None = Field(default=None, description="of collect and sft, the same for all cells")
    baseline: str = Field(default="", description="the overlay that the others are compared with")
    metric: str = Field(default="validation/macro_success", min_length=1)
    overlays: dict[Name, dict[str, Any]] = Field(default={})

    @model_validator(mode="after")
    def _names_cells(self) -> ExperimentFile:
        refuse_complaints(self)
        return self

    def complaints(self) -> Iterator[Complaint]:
        if not self.overlays:
            yield complaint("overlays", "overlays names none: give at least one, such as `baseline: {}`")
        if not self.seeds:
            yield complaint("seeds", "seeds names none: give whole numbers, such as [0, 1, 2]")
        if len(set(self.seeds)) < len(self.seeds):
            yield complaint("seeds", f"seeds names one twice: {', '.join(map(str, self.seeds))}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: an overlay with a seed. `shared` is the config of its collect and sft."""

    overlay: str
    seed: int
    config: Config
    shared: Config


@dataclass(frozen=True, slots=True)
class Experiment:
    """A checked file; `cells` come seed by seed, so that an unfinished one compares what it has."""

    name: str
    path: Path
    overlays: tuple[str, ...]
    seeds: tuple[int, ...]
    baseline: str
    metric: str
    cells: tuple[Cell, ...]


def load_experiment(
    path: Path, overrides: Sequence[str] = (), *, baseline: str | None = None, name: str | None = None
) -> Experiment:
    """Read and check `path`; `overrides` (KEY=VALUE) hold for every cell, `baseline` and `name` win.

    ConfigError lists all mistakes of the file, of its base and of every overlay.
    """
    file = _read_file(path, name)
    tree = _base_tree(path, file, overrides)
    configs = _overlay_configs(path, file, tree, overrides)
    chosen = baseline or file.baseline or next(iter(file.overlays))
    return Experiment(
        name=file.name,
        path=path,
        overlays=tuple(configs),
        seeds=file.seeds,
        baseline=check_overlay(chosen, tuple(configs), path),
        metric=file.metric,
        cells=tuple(
            _cell(file, overlay, seed, config) for seed in file.seeds for overlay, config in configs.items()
        ),
    )


def check_overlay(name: str, overlays: Sequence[str], path: Path) -> str:
    """The name itself; ConfigError where no overlay has it."""
    if name in overlays:
        return name
    near = difflib.get_close_matches(name, overlays, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(overlays)}"
    raise ConfigError(f"{path} has no overlay {name!r}; {hint}")


def _read_file(path: Path, name: str | None) -> ExperimentFile:
    tree, mistakes = read_tree(path, "experiment")
    if name is not None:
        tree["name"] = name
    tree.setdefault("name", path.stem)
    overlays = tree.get("overlays")
    if isinstance(overlays, dict):  # an overlay without keys is null in YAML
        tree["overlays"] = {str(key): {} if value is None else value for key, value in overlays.items()}
    try:
        file = ExperimentFile.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise ConfigError(report(str(path), [*mistakes, *explain(error, ExperimentFile)])) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path} holds something that is no plain value ({error})") from error
    if mistakes:
        raise ConfigError(report(str(path), mistakes))
    return file


def _base_tree(path: Path, file: ExperimentFile, overrides: Sequence[str]) -> dict[str, Any]:
    """The keys that all cells share: those of the base file, of `set`, and of the command line."""
    base = None if file.base is None else path.parent / Path(file.base).expanduser()
    tree, mistakes = ({}, []) if base is None else read_tree(base)
    given: list[Dotted] = []
    mistakes += _put_all(tree, file.set, ("set",))
    mistakes += [mistake for text in overrides if (mistake := apply(tree, text, given))]
    mistakes += validate(tree)[1]
    if mistakes:
        where = str(path) if base is None else f"{path} with its base {base}"
        raise ConfigError(report(where, mistakes, given))
    return tree


def _overlay_configs(
    path: Path, file: ExperimentFile, tree: Mapping[str, Any], overrides: Sequence[str]
) -> dict[str, Config]:
    """Each overlay's config, still with the base's seed and run."""
    fixed = {tuple(text.partition("=")[0].strip().split(".")) for text in overrides}
    configs, mistakes = {}, []
    for name, overlay in file.overlays.items():
        place, mine = ("overlays", name), copy.deepcopy(dict(tree))
        found = _put_all(mine, overlay, place)
        for keys, _ in changes(overlay):
            if keys[0] in FIXED:
                found.append(Mistake((*place, *keys), f"cannot be set by an overlay: {FIXED[keys[0]]}"))
            elif keys in fixed:
                found.append(Mistake((*place, *keys), "is set by the overlay and by --set: drop one"))
        config, wrong = validate(mine)
        found += [Mistake((*place, *mistake.keys), mistake.message) for mistake in wrong]
        mistakes += found
        if config is not None:
            configs[name] = config
    if mistakes:
        raise ConfigError(report(str(path), mistakes))
    return configs


def _put_all(tree: dict[str, Any], wanted: Mapping[str, Any], place: Dotted) -> list[Mistake]:
    mistakes, seen = [], set()
    for keys, value in changes(wanted):
        if keys in seen:
            mistakes.append(Mistake((*place, *keys), "given twice, as a section's key and as a dotted one"))
        seen.add(keys)
        if mistake := put(tree, keys, value):
            mistakes.append(Mistake((*place, *mistake.keys), mistake.message))
    return mistakes


def changes(wanted: Mapping[str, Any], above: Dotted = ()) -> Iterator[tuple[Dotted, Any]]:
    """The keys that nested sections or dotted names set, e.g. (("rl_training", "weights"), {...})."""
    for name, value in wanted.items():
        keys = (*above, *str(name).split("."))
        if isinstance(value, dict) and _is_section(keys):
            yield from changes(value, keys)
        else:
            yield keys, value


def _is_section(keys: Dotted) -> bool:
    model: Any = Config
    for key in keys:
        field = model.model_fields.get(key)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, Section)):
            return False
    return True


def _cell(file: ExperimentFile, overlay: str, seed: int, config: Config) -> Cell:
    run = f"{file.name}.{overlay}.{seed}"
    shared = seed if file.shared_seed is None else file.shared_seed
    mine = config.model_copy(update={"run": run, "seed": seed})
    return Cell(overlay, seed, mine, config.model_copy(update={"run": run, "seed": shared}))
