"""A run's folders and files: JSON lines, atomic writes, manifests, lock and fingerprint of a stage."""

from affine_trainer.artifacts.files import (
    append_jsonl,
    disk_full_is_a_sentence,
    read_jsonl,
    repair_jsonl,
    resume_jsonl,
    sha256_file,
    without_nan,
    write_atomic,
    write_json,
    write_jsonl,
)
from affine_trainer.artifacts.folder import StageFolder, Start, read_start, require, stage_folder
from affine_trainer.artifacts.live import LiveBar, LiveState, read_live, show_bar
from affine_trainer.artifacts.lock import holder_of, is_main_process
from affine_trainer.artifacts.manifest import (
    Manifest,
    command_for,
    data_dir,
    dependencies,
    fingerprint_of,
    input_digest,
    log_dir,
    model_dir,
    read_manifest,
)

__all__ = [
    "LiveBar",
    "LiveState",
    "Manifest",
    "StageFolder",
    "Start",
    "append_jsonl",
    "command_for",
    "data_dir",
    "dependencies",
    "disk_full_is_a_sentence",
    "fingerprint_of",
    "holder_of",
    "input_digest",
    "is_main_process",
    "log_dir",
    "model_dir",
    "read_jsonl",
    "read_live",
    "read_manifest",
    "read_start",
    "repair_jsonl",
    "require",
    "resume_jsonl",
    "sha256_file",
    "show_bar",
    "stage_folder",
    "without_nan",
    "write_atomic",
    "write_json",
    "write_jsonl",
]
