"""Options that the commands have in common, or that are long to write, and the configuration of a call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affine_trainer.errors import AffineError

if TYPE_CHECKING:
    from affine_trainer.config import Config

MORE = "All at once, and looking around"
DEFAULT_CONFIG = Path("config.yaml")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The configuration; by default config.yaml here."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a key, e.g. training.num_epochs=1."),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", "-r", metavar="RUN", help="The run's name, in place of the config's."),
]
RunHere = Annotated[
    str | None,
    typer.Option("--run", "-r", metavar="RUN", help="A run that is here, with the config it was made with."),
]
Force = Annotated[bool, typer.Option("--force", help="Redo the step although it is complete.")]
Unsandboxed = Annotated[
    bool,
    typer.Option(
        "--allow-unsandboxed", help="Run model-written programs even where they cannot be isolated."
    ),
]
Lines = Annotated[
    bool,
    typer.Option("--json", help="Progress and result as JSON on stdout, one object a line."),
]
TaskKey = Annotated[str, typer.Argument(metavar="KEY", help="A task key, e.g. affine:sat@validator/17.")]
Rules = Annotated[
    str | None,
    typer.Option("--rules", metavar="PROFILE", help="How the task is posed and graded."),
]

Scoring = Annotated[
    str,
    typer.Option("--scoring", metavar="NAME", help="A validator's rule by its date, or all of them."),
]
States = Annotated[
    int,
    typer.Option("--states", min=0, max=65536, help="States whose values are compared with the truth."),
]
FreshRollouts = Annotated[
    int,
    typer.Option("--fresh-rollouts", min=2, max=4096, help="Continuations that measure a state's truth."),
]
WithVine = Annotated[
    bool, typer.Option("--vine", help="Compare VinePPO's advantages too where the run has others.")
]


class PlayerName(str, Enum):
    """Who plays a task in the terminal."""

    me = "me"
    oracle = "oracle"
    random = "random"
    nothing = "do-nothing"


def read_config(
    path: Path | None,
    overrides: Sequence[str] | None,
    *,
    run: str | None = None,
    rules: str | None = None,
    unsandboxed: bool = False,
) -> Config:
    """The configuration of this call; without a file here, the embedded default, and a note that says so.

    `--run N`, `--rules R` and `--allow-unsandboxed` are short for keys, so that they too are in every
    manifest.
    """
    from affine_trainer.config import load_config

    changes = all_changes(overrides, unsandboxed=unsandboxed)
    if run is not None:
        changes.append(f"run={json.dumps(check_run(run, changes))}")
    if rules:
        changes.append(f"evaluation.rules={rules}")
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    if path is None:
        typer.secho("no config.yaml in this folder: using the embedded default", dim=True, err=True)
    return load_config(path, changes)


def all_changes(overrides: Sequence[str] | None, *, unsandboxed: bool) -> list[str]:
    """What --set and --allow-unsandboxed change, as KEY=VALUE."""
    return [*(overrides or ()), *(["sandbox.allow_unsandboxed=true"] if unsandboxed else [])]


def check_run(run: str, overrides: Sequence[str]) -> str:
    """The name that --run gives; AffineError where it is no name, or --set gives one too."""
    from affine_trainer.config import is_run_name

    if not is_run_name(run):
        raise AffineError(
            f"--run is {run!r}: a run's name begins with a letter or a digit, and has letters, digits, dots, "
            "hyphens and underscores"
        )
    if any(text.partition("=")[0].strip() == "run" for text in overrides):
        raise AffineError("--run and --set run= both name the run: leave one of them out")
    return run


def name_once(name: str | None, run: str | None, overrides: Sequence[str] | None) -> str | None:
    """The run that the argument or --run names, if one does; AffineError where it is named twice."""
    if name is not None and run is not None:
        raise AffineError("the run is named twice, by itself and by --run: leave one of them out")
    named = run if name is None else name
    return None if named is None else check_run(named, overrides or ())


def read_config_of(
    run: str | None,
    path: Path | None,
    overrides: Sequence[str] | None,
    *,
    stage: str | None = None,
    unsandboxed: bool = False,
) -> Config:
    """The config that a run here was made with (that of its `stage`), with this call's changes.

    Without a run, and where --config names a file, it is the configuration of this call.
    """
    from affine_trainer.config import load_config
    from affine_trainer.stages.run_state import config_of_run

    if run is None or path is not None:
        return read_config(path, overrides, run=run, unsandboxed=unsandboxed)
    changes = all_changes(overrides, unsandboxed=unsandboxed)
    return load_config(None, changes, start=config_of_run(check_run(run, changes), stage))
