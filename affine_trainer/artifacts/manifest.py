"""The manifest of a finished folder: what made it, from what, and the hash of every file in it."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from affine_trainer import __version__
from affine_trainer.artifacts.files import sha256_file
from affine_trainer.config import Config, field_of, flatten
from affine_trainer.errors import StageError
from affine_trainer.records import sha256_of

# Goes up when finished work of an older version no longer is what this version would make: when a stage
# changes what it does with the same keys, or the default of a new key is not the old behaviour.
SCHEMA_VERSION = 1
MANIFEST_FILE = "manifest.json"
# Marks an unfinished folder; hidden, so that it is neither hashed nor mistaken for the stage's own work.
START_FILE = ".started.json"
MAX_BYTES_VERIFIED = 64 << 20
PACKAGES = (
    "affine-trainer",
    "accelerate",
    "datasets",
    "numpy",
    "peft",
    "python-sat",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """`depends_on` holds what the fingerprint is taken of: package version, config keys, inputs.

    `inputs` maps a name to {path, digest}, `files` a relative path to {sha256, bytes}; `created` is UTC.
    """

    stage: str
    fingerprint: str
    depends_on: dict[str, Any]
    config: dict[str, Any]
    seed: int
    git_commit: str | None
    git_dirty: bool | None
    packages: dict[str, str]
    device: dict[str, Any]
    inputs: dict[str, dict[str, str]]
    files: dict[str, dict[str, Any]]
    metrics: dict[str, Any]
    created: str
    schema_version: int = SCHEMA_VERSION

    @property
    def digest(self) -> str:
        """What later stages depend on: how the folder was made and what came out, but not when."""
        contents = {name: entry["sha256"] for name, entry in self.files.items()}
        return sha256_of({"fingerprint": self.fingerprint, "files": contents})


def command_for(path: Path, command: str) -> str:
    """The command for the run in whose folders `path` lies: with its name if it is not default."""
    run = path.parts[1] if len(path.parts) > 1 and path.parts[0] in ("data", "models", "logs") else None
    return command if run in (None, Config.model_fields["run"].default) else f"{command} --run {run}"


def data_dir(config: Config) -> Path:
    return Path("data") / config.run


def model_dir(config: Config, leaf: str) -> Path:
    return Path("models") / config.run / leaf


def log_dir(config: Config, *parts: str) -> Path:
    return Path("logs", config.run, *parts)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of `folder`, or None where it has none; StageError where it cannot be read."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        content = {"schema_version": 1, **json.loads(path.read_bytes())}
        manifest = Manifest(**{item.name: content[item.name] for item in fields(Manifest)})
        intact = manifest.fingerprint == fingerprint_of(manifest.stage, manifest.depends_on)
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(path) from error
    if not (intact and isinstance(manifest.files, dict) and isinstance(manifest.inputs, dict)):
        raise _broken(path)
    if manifest.schema_version > SCHEMA_VERSION:
        raise StageError(
            f"{path} is of version {manifest.schema_version}, and this affine reads up to {SCHEMA_VERSION}: "
            "use the affine that wrote it, or a newer one."
        )
    return manifest


def _broken(path: Path) -> StageError:
    return StageError(f"{path} is broken: put the original back, or redo the stage with --force.")


def check_files(folder: Path, manifest: Manifest) -> None:
    """StageError unless every file is as the manifest says.

    Compared are hashes, and sizes alone where hashing would take seconds.
    """
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            problem = "is missing"
        elif path.stat().st_size != entry["bytes"]:
            problem = "has another size than its manifest says"
        elif entry["bytes"] <= MAX_BYTES_VERIFIED and sha256_file(path) != entry["sha256"]:
            problem = "has other contents than its manifest says"
        else:
            continue
        raise StageError(f"{path} {problem}: put it back, or redo `{manifest.stage}` with --force.")


def dependencies(config: Config, reads: Sequence[str], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """What a stage's result depends on; `reads` are dotted keys or whole sections of the config."""
    values = flatten(config)
    chosen = {}
    for read in reads:
        found = {key: value for key, value in values.items() if key == read or key.startswith(f"{read}.")}
        if not found:
            raise KeyError(f"no config key {read!r}")
        chosen.update(found)
    digests = {name: input_digest(path) for name, path in inputs.items()}
    return {"version": __version__, "config": chosen, "inputs": digests}


def fingerprint_of(stage: str, depends_on: Mapping[str, Any]) -> str:
    return sha256_of({"stage": stage, **depends_on})


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """In words, what two `dependencies` disagree on; nothing where `new` only has keys that `old` did not
    know yet, with the values they have by default (config/section.py says why)."""
    found = []
    if old["version"] != new["version"]:
        found.append(f"affine-trainer was {old['version']}, now {new['version']}")
    added = _new_defaults(old["config"], new["config"])
    for key in sorted((old["config"].keys() | new["config"].keys()) - added):
        was, now = (
            json.dumps(side["config"][key]) if key in side["config"] else "unset" for side in (old, new)
        )
        if was != now:
            found.append(f"{key} was {was}, now {now}")
    for name in sorted(old["inputs"].keys() | new["inputs"].keys()):
        if old["inputs"].get(name) != new["inputs"].get(name):
            found.append(f"its input `{name}` has changed")
    return found


def _new_defaults(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """The flat keys of fields that `old` lacks as a whole and that have their default in `new`."""
    known = {field_of(Config, key) for key in old}
    default, mine = _by_field(flatten(Config())), _by_field(new)
    unchanged = [
        field for field, values in mine.items() if field not in known and values == default.get(field)
    ]
    return {key for field in unchanged for key in mine[field]}


def _by_field(values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        found.setdefault(field_of(Config, key), {})[key] = json.dumps(value)
    return found


def input_digest(path: Path) -> str:
    """The digest of a finished stage folder, of any other folder's files, or of a single file."""
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        raise StageError(f"{path} does not exist, and this stage needs it.")
    manifest = read_manifest(path)
    if manifest is not None:
        return manifest.digest
    if (path / START_FILE).exists():
        raise StageError(f"{path} is unfinished, and this stage needs it: run the stage that makes it first.")
    return sha256_of({name: entry["sha256"] for name, entry in file_records(path).items()})


def file_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Hash and size of every file below `folder`, the manifest and hidden files left out."""
    return {
        str(path.relative_to(folder)): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in _visible_files(folder)
    }


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not hidden and parts != (MANIFEST_FILE,):
            yield path


def package_versions() -> dict[str, str]:
    """Versions of what decides results, from the installed metadata: nothing is imported."""
    versions = {"python": platform.python_version(), "affine-trainer": __version__}
    for name in PACKAGES[1:]:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_state() -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the repository around the current directory; (None, None) without one."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None, None
    status = _git("status", "--porcelain", "--untracked-files=no")
    return commit, None if status is None else bool(status)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
