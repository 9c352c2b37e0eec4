"""A stage's folder while it is worked in: skip, resume, refuse, start anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from affine_trainer.artifacts.aside import discard, forget, has_work, hidden, put_back, set_aside
from affine_trainer.artifacts.files import disk_full_is_a_sentence, without_nan, write_json
from affine_trainer.artifacts.lock import announce, await_announcement, is_main_process, locked
from affine_trainer.artifacts.manifest import (
    MANIFEST_FILE,
    SCHEMA_VERSION,
    START_FILE,
    Manifest,
    check_files,
    command_for,
    dependencies,
    differences,
    file_records,
    fingerprint_of,
    git_state,
    package_versions,
    read_manifest,
)
from affine_trainer.config import Config
from affine_trainer.errors import AffineError, StageError

MAX_CHANGES_SHOWN = 8


@dataclass(slots=True)
class StageFolder:
    """`complete`: nothing is left to do. `resuming`: unfinished work of the same config is there."""

    stage: str
    path: Path
    config: Config
    depends_on: dict[str, Any]
    inputs: dict[str, Path]
    beside: tuple[Path, ...] = ()
    manifest: Manifest | None = None
    resuming: bool = False

    @property
    def complete(self) -> bool:
        return self.manifest is not None

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.stage, self.depends_on)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folder and what lies beside it."""
        return (self.path, *self.beside)

    def finish(
        self,
        metrics: Mapping[str, Any],
        *,
        device: Mapping[str, Any] | None = None,
        leaves: Sequence[Path] = (),
    ) -> Manifest:
        """Write the manifest, last and atomically; further `leaves` of the same stage get theirs before.

        Under torchrun only rank 0 writes; the others get the manifest without the files' hashes.
        """
        for leaf in (*leaves, self.path):
            files = file_records(leaf) if is_main_process() else {}
            self.manifest = self._manifest(files, metrics, device or {})
            if is_main_process():
                write_json(leaf / MANIFEST_FILE, asdict(self.manifest))
        if is_main_process():
            (self.path / START_FILE).unlink(missing_ok=True)
            forget(self.paths, "previous")
        assert self.manifest is not None
        return self.manifest

    def _manifest(
        self, files: dict[str, dict[str, Any]], metrics: Mapping[str, Any], device: Mapping[str, Any]
    ) -> Manifest:
        commit, dirty = git_state()
        digests = self.depends_on["inputs"]
        return Manifest(
            stage=self.stage,
            fingerprint=self.fingerprint,
            depends_on=self.depends_on,
            config=self.config.model_dump(mode="json"),
            seed=self.config.seed,
            git_commit=commit,
            git_dirty=dirty,
            packages=package_versions(),
            device=dict(device),
            inputs={name: {"path": str(path), "digest": digests[name]} for name, path in self.inputs.items()},
            files=files,
            metrics=without_nan(dict(metrics)),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )


@contextmanager
def stage_folder(
    stage: str,
    path: Path,
    config: Config,
    *,
    reads: Sequence[str],
    inputs: Mapping[str, Path],
    force: bool = False,
    beside: Sequence[Path] = (),
) -> Iterator[StageFolder]:
    """Lock `path`, decide whether the stage is done, resumes or starts, and hand it over.

    `reads` (dotted config keys or sections) and the contents of `inputs` make the fingerprint.
    `beside` are files and folders outside `path` that belong to the same work (checkpoints, events): they
    start anew with it. With `force` the old folder is kept aside until the new one is finished, and put
    back when the new one ends before it wrote anything. A folder in which an error came before any work goes.
    """
    folder = StageFolder(
        stage, path, config, dependencies(config, reads, inputs), dict(inputs), tuple(beside)
    )
    if not is_main_process():
        _follow(folder)
        yield folder
        return
    with disk_full_is_a_sentence(path), locked(path) as lock:
        _recover(folder)
        announce(lock, _open(folder, force))
        try:
            yield folder
        except AffineError:
            if _is_bare(folder):
                discard(folder.path)
                put_back(folder.paths)
            raise
        finally:
            if force and _is_bare(folder):
                put_back(folder.paths)


def require(path: Path, stage: str, command: str) -> Manifest:
    """The manifest of an earlier stage's finished folder; StageError with the `command` to run otherwise."""
    manifest = read_manifest(path)
    if manifest is None:
        state = "is unfinished" if (path / START_FILE).exists() else "is not there yet"
        raise StageError(f"{path} {state}: run `{command_for(path, command)}` first.")
    _check_stage(path, manifest.stage, stage)
    check_files(path, manifest)
    return manifest


def _is_bare(folder: StageFolder) -> bool:
    """Whether nothing was written in an unfinished folder, nor beside it."""
    return not folder.complete and not any(map(has_work, folder.paths))


def _follow(folder: StageFolder) -> None:
    """Take over what rank 0 found."""
    state = await_announcement(folder.path)
    folder.resuming = state == "resuming"
    folder.manifest = read_manifest(folder.path) if state == "complete" else None


def _open(folder: StageFolder, force: bool) -> str:
    """Find the folder "complete", "resuming" or make it "new"; StageError when it is another's."""
    path = folder.path
    manifest = _readable_manifest(path) if force else read_manifest(path)
    owner = manifest or read_start(path)
    if owner is not None:
        _check_stage(path, owner.stage, folder.stage)
    elif has_work(path) and not (path / MANIFEST_FILE).exists():
        raise StageError(
            f"{path} holds files that no stage wrote: move them away, or choose another `run` in the config."
        )
    if force or owner is None:
        _start_anew(folder)
        return "new"
    if _changes(folder, owner):
        manifest = _kept_aside(folder)
        if manifest is None:
            _refuse(folder, owner)
        put_back(folder.paths)
    if manifest is None:
        folder.resuming = True
        return "resuming"
    check_files(path, manifest)
    folder.manifest = manifest
    return "complete"


def _start_anew(folder: StageFolder) -> None:
    set_aside(folder.paths)
    folder.path.mkdir(parents=True)
    config = folder.config.model_dump(mode="json")
    start = Start(folder.stage, folder.fingerprint, folder.depends_on, config, SCHEMA_VERSION)
    write_json(folder.path / START_FILE, asdict(start))
    if not any(has_work(hidden(path, "previous")) for path in folder.paths):
        forget(folder.paths, "previous")


def _recover(folder: StageFolder) -> None:
    """Finish what a kill interrupted: clearing up behind a finished folder, or putting an old one aside."""
    forget(folder.paths, "discarded")
    if (folder.path / MANIFEST_FILE).exists():
        forget(folder.paths, "previous")
        (folder.path / START_FILE).unlink(missing_ok=True)
    elif not (folder.path / START_FILE).exists() and not has_work(folder.path):
        put_back(folder.paths)


def _kept_aside(folder: StageFolder) -> Manifest | None:
    """The finished folder that an unfinished --force put aside, where it is the one now asked for."""
    manifest = _readable_manifest(hidden(folder.path, "previous"))
    return manifest if manifest is not None and not _changes(folder, manifest) else None


def _changes(folder: StageFolder, owner: Manifest | Start) -> list[str]:
    """In words, why the work of `owner` is not what `folder` asks for; empty where it is."""
    found = differences(owner.depends_on, folder.depends_on)
    if owner.schema_version != SCHEMA_VERSION:
        found.insert(0, f"the version of its manifest was {owner.schema_version}, now {SCHEMA_VERSION}")
    return found


def _refuse(folder: StageFolder, owner: Manifest | Start) -> None:
    changes = _changes(folder, owner)
    shown = "; ".join(changes[:MAX_CHANGES_SHOWN])
    if len(changes) > MAX_CHANGES_SHOWN:
        shown += f"; and {len(changes) - MAX_CHANGES_SHOWN} more"
    finished = isinstance(owner, Manifest)
    what = "was made with another config" if finished else "holds an unfinished run of another config"
    raise StageError(
        f"{folder.path} {what}: {shown}. "
        "Put the old values back, redo it with --force, or leave it and begin another run with "
        "--run NAME; `affine experiment` compares variants of a config."
    )


def _check_stage(path: Path, owner: str, stage: str) -> None:
    if owner != stage:
        raise StageError(f"{path} belongs to stage `{owner}`, not `{stage}`: choose another folder.")


@dataclass(frozen=True, slots=True)
class Start:
    """What an unfinished folder was begun with; older ones lack config and schema version."""

    stage: str
    fingerprint: str
    depends_on: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    schema_version: int = 1


def read_start(path: Path) -> Start | None:
    """What the unfinished folder `path` was begun with; None where it is finished or was never begun."""
    start = path / START_FILE
    if not start.is_file():
        return None
    try:
        return Start(**json.loads(start.read_bytes()))
    except (ValueError, TypeError) as error:
        raise StageError(f"{start} is broken: delete {path} and run the stage again.") from error


def _readable_manifest(path: Path) -> Manifest | None:
    """The manifest, or None where it is broken: starting anew needs it only to know the owner."""
    try:
        return read_manifest(path)
    except StageError:
        return None
