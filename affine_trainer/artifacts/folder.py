"""A stage's folder while it is worked in: lock, skip, resume, refuse, start anew."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from affine_trainer.artifacts.files import disk_full_is_a_sentence, sha256_file, without_nan, write_json
from affine_trainer.artifacts.manifest import (
    MANIFEST_FILE,
    Manifest,
    dependencies,
    differences,
    file_records,
    fingerprint_of,
    git_state,
    package_versions,
    read_manifest,
)
from affine_trainer.config import Config
from affine_trainer.errors import StageError

# Hidden, so that it is neither hashed nor mistaken for the stage's own work. It marks an unfinished folder.
START_FILE = ".started.json"
MAX_BYTES_VERIFIED = 64 << 20
MAX_CHANGES_SHOWN = 8


@dataclass(slots=True)
class StageFolder:
    """`complete`: nothing is left to do. `resuming`: earlier unfinished work of the same config is there."""

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

    def finish(
        self,
        metrics: Mapping[str, Any],
        *,
        device: Mapping[str, Any] | None = None,
        leaves: Sequence[Path] = (),
    ) -> Manifest:
        """Write the manifest, last and atomically; further `leaves` of the same stage get theirs before."""
        for leaf in leaves:
            self._write_manifest(leaf, metrics, device or {})
        self.manifest = self._write_manifest(self.path, metrics, device or {})
        (self.path / START_FILE).unlink(missing_ok=True)
        self._forget_previous()
        return self.manifest

    @property
    def _paths(self) -> tuple[Path, ...]:
        return (self.path, *self.beside)

    def _forget_previous(self) -> None:
        for path in self._paths:
            _remove(_aside(path, "previous"))

    def _write_manifest(
        self, folder: Path, metrics: Mapping[str, Any], device: Mapping[str, Any]
    ) -> Manifest:
        commit, dirty = git_state()
        manifest = Manifest(
            stage=self.stage,
            fingerprint=fingerprint_of(self.stage, self.depends_on),
            depends_on=self.depends_on,
            config=self.config.model_dump(mode="json"),
            seed=self.config.seed,
            git_commit=commit,
            git_dirty=dirty,
            packages=package_versions(),
            device=dict(device),
            inputs={
                name: {"path": str(path), "digest": self.depends_on["inputs"][name]}
                for name, path in self.inputs.items()
            },
            files=file_records(folder),
            metrics=without_nan(dict(metrics)),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        write_json(folder / MANIFEST_FILE, manifest.as_dict())
        return manifest


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
    back when the new one fails before writing anything.
    """
    depends_on = dependencies(config, reads, inputs)
    folder = StageFolder(stage, path, config, depends_on, dict(inputs), tuple(beside))
    with disk_full_is_a_sentence(path), _locked(path):
        _recover(folder)
        _open(folder, force)
        try:
            yield folder
        finally:
            if force and not folder.complete and not any(_has_work(part) for part in folder._paths):
                _put_back(folder)


def require(path: Path, stage: str, command: str) -> Manifest:
    """The manifest of an earlier stage's finished folder; StageError with the `command` to run otherwise."""
    manifest = read_manifest(path)
    if manifest is None:
        state = "is unfinished" if (path / START_FILE).exists() else "is not there yet"
        raise StageError(f"{path} {state}: run `{command}` first.")
    _check_stage(path, manifest.stage, stage)
    _check_files(path, manifest)
    return manifest


def _open(folder: StageFolder, force: bool) -> None:
    """Complete, resumed, or started anew; StageError when the folder is another's or of another config."""
    path, fingerprint = folder.path, fingerprint_of(folder.stage, folder.depends_on)
    manifest = _readable_manifest(path) if force else read_manifest(path)
    started = _read_start(path)
    owner = manifest or started
    if owner is not None:
        _check_stage(path, owner.stage, folder.stage)
    elif _has_work(path) and not (path / MANIFEST_FILE).exists():
        raise StageError(
            f"{path} holds files that no stage wrote: move them away, or choose another `run` in the config."
        )
    if force or owner is None:
        _start_anew(folder, fingerprint)
    elif owner.fingerprint != fingerprint:
        _refuse(folder, owner.depends_on, finished=manifest is not None)
    elif manifest is not None:
        _check_files(path, manifest)
        folder.manifest = manifest
    else:
        folder.resuming = True


def _start_anew(folder: StageFolder, fingerprint: str) -> None:
    for path in folder._paths:
        if _aside(path, "previous").exists():
            _discard(path)
        elif path.exists():
            path.rename(_aside(path, "previous"))
    folder.path.mkdir(parents=True)
    start = _Start(folder.stage, fingerprint, folder.depends_on)
    write_json(folder.path / START_FILE, asdict(start))
    if not any(_has_work(_aside(path, "previous")) for path in folder._paths):
        folder._forget_previous()


def _recover(folder: StageFolder) -> None:
    """Finish what a kill interrupted: clearing up behind a finished folder, or putting an old one aside."""
    for path in folder._paths:
        _remove(_aside(path, "discarded"))
    if (folder.path / MANIFEST_FILE).exists():
        folder._forget_previous()
        (folder.path / START_FILE).unlink(missing_ok=True)
    elif not (folder.path / START_FILE).exists() and not _has_work(folder.path):
        _put_back(folder)


def _put_back(folder: StageFolder) -> None:
    for path in reversed(folder._paths):
        previous = _aside(path, "previous")
        if previous.exists():
            _discard(path)
            previous.rename(path)


def _refuse(folder: StageFolder, before: Mapping[str, Any], *, finished: bool) -> None:
    changes = differences(before, folder.depends_on)
    shown = "; ".join(changes[:MAX_CHANGES_SHOWN])
    if len(changes) > MAX_CHANGES_SHOWN:
        shown += f"; and {len(changes) - MAX_CHANGES_SHOWN} more"
    what = "was made with another config" if finished else "holds an unfinished run of another config"
    raise StageError(
        f"{folder.path} {what}: {shown}. "
        "Put the old values back, choose another `run`, or redo it with --force."
    )


def _check_stage(path: Path, owner: str, stage: str) -> None:
    if owner != stage:
        raise StageError(f"{path} belongs to stage `{owner}`, not `{stage}`: choose another folder.")


def _check_files(path: Path, manifest: Manifest) -> None:
    """Every file as the manifest says: its hash, or its size alone where hashing would take seconds."""
    for name, entry in manifest.files.items():
        file = path / name
        if not file.is_file():
            problem = "is missing"
        elif file.stat().st_size != entry["bytes"]:
            problem = "has another size"
        elif entry["bytes"] <= MAX_BYTES_VERIFIED and sha256_file(file) != entry["sha256"]:
            problem = "has other contents"
        else:
            continue
        raise StageError(
            f"{file} {problem} than its manifest says: put it back, or redo `{manifest.stage}` with --force."
            if problem != "is missing"
            else f"{file} is missing: put it back, or redo `{manifest.stage}` with --force."
        )


@dataclass(frozen=True, slots=True)
class _Start:
    """What an unfinished folder was begun with."""

    stage: str
    fingerprint: str
    depends_on: dict[str, Any]


def _read_start(path: Path) -> _Start | None:
    if not (path / START_FILE).is_file():
        return None
    return _Start(**json.loads((path / START_FILE).read_bytes()))


def _readable_manifest(path: Path) -> Manifest | None:
    """The manifest, or None where it is broken: starting anew needs it only to know the owner."""
    try:
        return read_manifest(path)
    except StageError:
        return None


def _has_work(path: Path) -> bool:
    """Whether a file or folder holds anything visible."""
    if not path.is_dir():
        return path.exists()
    return any(not entry.name.startswith(".") for entry in path.iterdir())


def _aside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


def _discard(path: Path) -> None:
    """Rename, then delete, so that a kill in between never leaves a half-deleted folder under its name."""
    if path.exists():
        path.rename(_aside(path, "discarded"))
        _remove(_aside(path, "discarded"))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside `path`; StageError when another process (or this one) holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _aside(path, "lock").open("a+")
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise StageError(f"{path} cannot be created: {error.strerror} ({error.filename}).") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise StageError(
                f"Another process (pid {lock.read().strip() or 'unknown'}) is working in {path}: "
                "wait until it ends, or choose another `run`."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
