"""Would this model pass as a miner's repository? Every rule of a dated profile that shows offline."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rich
from rich.markup import escape
from rich.table import Table

from affine_trainer.artifacts import log_dir, model_dir, stage_folder, write_json
from affine_trainer.config import Config
from affine_trainer.device import usable_ram
from affine_trainer.errors import DataError
from affine_trainer.policies.model_names import is_adapter
from affine_trainer.preflight.profiles import Profile, profile_named
from affine_trainer.preflight.subject import Subject
from affine_trainer.preflight.weights import shard_hashes, shards_of
from affine_trainer.report.tables import COMPACT
from affine_trainer.stages.export import chosen_model, write_export

SCHEMA_VERSION = 1
STYLES = {"passed": "green", "failed": "red", "cannot be checked offline": "yellow"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the command was told: the model, and whatever the rules compare it with."""

    model: str
    name: str | None = None
    hotkey: str | None = None
    champion: Path | None = None
    earlier: tuple[Path, ...] = ()
    output: Path | None = None


def preflight(
    config: Config, candidate: Candidate, profile: str | None = None, *, as_json: bool = False
) -> dict[str, Any]:
    """Check a model against a profile, write logs/{run}/preflight/{label}, print and return the report.

    A whole model in a folder that the user names is checked as it lies there; anything else is exported
    first, to `candidate.output` or to a folder that is gone afterwards. StageError or DataError where there
    is no such model.
    """
    rules = profile_named(profile)
    for folder in (candidate.champion, *candidate.earlier):
        if folder is not None and not folder.is_dir():
            raise DataError(f"there is no folder {folder}; download the model to compare with")
    for folder in candidate.earlier:
        shard_hashes(folder)  # refused at once where there is nothing to compare with
    chosen = chosen_model(config, candidate.model)
    path = log_dir(config, "preflight", chosen.label)
    with whole_model(config, candidate) as folder:
        subject = Subject(
            folder,
            candidate.name,
            candidate.hotkey,
            candidate.champion,
            candidate.earlier,
            _answering(config),
        )
        if 2 * sum(shard.stat().st_size for shard in shards_of(folder)) > usable_ram():
            subject = replace(subject, answer=None)
        report = {
            "schema_version": SCHEMA_VERSION,
            "model": candidate.model,
            "checked": None if folder.name.startswith(".") else str(folder),
            **checked(subject, rules),
        }
    inputs = {"model": chosen.folder} if chosen.folder else {}
    # Made anew each time: what it depends on besides the model (names, other models) is in no config.
    with stage_folder("preflight", path, config, reads=("model.name",), inputs=inputs, force=True) as stage:
        write_json(path / "preflight.json", report)
        stage.finish({name: report[name] for name in ("profile", "passed", "failed", "unchecked")})
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _print(report, path)
    return report


@contextmanager
def whole_model(config: Config, candidate: Candidate) -> Iterator[Path]:
    """The folder to check: the model's own where the user named a whole one, else an export of it."""
    named = Path(candidate.model).expanduser()
    if candidate.output is None and named.is_dir() and not is_adapter(str(named)):
        yield named
        return
    if candidate.output is not None:
        yield write_export(config, candidate.model, candidate.output)
        return
    parent = model_dir(config, "")
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".preflight-", dir=parent) as temporary:
        folder = Path(temporary) / ".exported"
        yield write_export(config, candidate.model, folder)


def _answering(config: Config) -> Callable[[Path], str]:
    def answer(folder: Path) -> str:
        from affine_trainer.policies.whole_models import answer_of

        return answer_of(folder, config)

    return answer


def checked(subject: Subject, profile: Profile) -> dict[str, Any]:
    """Every rule of the profile as a row, and how many ended how."""
    rows = []
    for rule in profile.rules:
        try:
            status, detail = rule.check(subject)
        except DataError as error:  # a file of the model that cannot be read
            status, detail = "failed", str(error)
        rows.append({"check": rule.name, "status": status, "detail": detail, "since": rule.since})
    return {
        "profile": profile.name,
        "period": profile.period,
        "passed": sum(row["status"] == "passed" for row in rows),
        "failed": sum(row["status"] == "failed" for row in rows),
        "unchecked": sum(row["status"] == "cannot be checked offline" for row in rows),
        "checks": rows,
    }


def _print(report: Mapping[str, Any], path: Path) -> None:
    console = rich.get_console()
    title = f"preflight: {report['model']} under {report['profile']} ({report['period']})"
    table = Table(title=title, title_justify="left", **COMPACT)
    for name in ("check", "result", "what was found, or what to do", "rule of"):
        table.add_column(name, overflow="fold")
    for row in report["checks"]:
        style = STYLES[row["status"]]
        table.add_row(row["check"], f"[{style}]{row['status']}[/]", escape(row["detail"]), row["since"])
    console.print(table)
    counts = (
        f"{report['passed']} passed, {report['failed']} failed, {report['unchecked']} to be seen elsewhere"
    )
    for line in (f"preflight: {counts}", f"preflight: wrote {path / 'preflight.json'}"):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
