"""Checks of the weights: safetensors alone, whole, and not those of an earlier model."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import sha256_file
from affine_trainer.errors import DataError
from affine_trainer.preflight.subject import Outcome, Subject, failed, passed, read_object, unchecked

# Suffixes of weights in other formats, and of what torch and numpy pickle.
OTHER_WEIGHTS = {
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".joblib",
    ".npz",
    ".npy",
    ".h5",
    ".msgpack",
}
OTHER_WEIGHTS |= {".gguf", ".ggml", ".onnx", ".tflite", ".pb"}
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
ZIP_START, PICKLE_IN_ZIP = b"PK\x03\x04", b"data.pkl"
SNIFFED_BYTES = 4096
INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100 << 20  # the format's own limit
EARLIER_UNNAMED = unchecked(
    "name the models committed before with --earlier DIR; their file hashes are on the hub"
)

Tensors = dict[str, tuple[str, tuple[int, ...]]]


def only_safetensors(subject: Subject) -> Outcome:
    """There are safetensors, and no weights in another format."""
    shards, others = shards_of(subject.folder), []
    for path in _files(subject.folder):
        if path.suffix.lower() in OTHER_WEIGHTS:
            others.append(str(path.relative_to(subject.folder)))
    if not shards:
        return failed("there is no .safetensors file: run `affine export`")
    if others:
        return failed(f"{', '.join(others)}: not safetensors, delete it")
    return passed(f"{len(shards)} safetensors files, {sum(path.stat().st_size for path in shards):,} bytes")


def no_pickle(subject: Subject) -> Outcome:
    """No file holds a pickle, whatever it is called: unpickling runs code."""
    found = [str(path.relative_to(subject.folder)) for path in _files(subject.folder) if is_pickle(path)]
    return (
        failed(f"{', '.join(found)}: holds a pickle, delete it") if found else passed("no file is a pickle")
    )


def is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle of protocol 2 to 5 does, or as torch's archive of one."""
    with path.open("rb") as file:
        start = file.read(SNIFFED_BYTES)
    return start.startswith(PICKLE_STARTS) or (start.startswith(ZIP_START) and PICKLE_IN_ZIP in start)


def weights_are_whole(subject: Subject) -> Outcome:
    """Every shard has the length that its header says, and the index names what the shards hold."""
    shards = shards_of(subject.folder)
    try:
        held = {path.name: set(tensors_of(path)) for path in shards}
    except DataError as error:
        return failed(str(error))
    index = read_object(subject.folder / INDEX).get("weight_map")
    if index is None:
        whole = list(held) == ["model.safetensors"]
        return passed("one file, whole") if whole else failed(f"several shards and no {INDEX}")
    wrong = [name for name, shard in index.items() if name not in held.get(shard, ())]
    if wrong or set().union(*held.values()) != set(index):
        return failed(f"{INDEX} does not fit the shards{f': {wrong[0]} is missing' if wrong else ''}")
    return passed(f"{len(index):,} tensors in {len(held)} files, as the index says")


def no_shard_shared(subject: Subject) -> Outcome:
    """No single weight file is one of an earlier model's."""
    if not subject.earlier:
        return EARLIER_UNNAMED
    own = shard_hashes(subject.folder)
    for folder in subject.earlier:
        if shared := own.keys() & shard_hashes(folder).keys():
            return failed(f"{own[min(shared)]} is also in {folder}: its weights must differ in every file")
    return passed(f"none of {len(own)} files is in {_folders(subject)}")


def not_identical(subject: Subject) -> Outcome:
    """The set of weight files is not that of an earlier model."""
    if not subject.earlier:
        return EARLIER_UNNAMED
    own = shard_hashes(subject.folder)
    for folder in subject.earlier:
        if own.keys() == shard_hashes(folder).keys():
            return failed(f"its weights are those of {folder}")
    return passed(f"its weights are not those of {_folders(subject)}")


def _folders(subject: Subject) -> str:
    return ", ".join(map(str, subject.earlier))


def shards_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def shard_hashes(folder: Path) -> dict[str, str]:
    """Weight files by their SHA-256, which is what the hub shows for them."""
    shards = shards_of(folder)
    if not shards:
        raise DataError(f"{folder} holds no .safetensors file to compare with")
    return {sha256_file(path): path.name for path in shards}


def tensors_of(path: Path) -> Tensors:
    """dtype and shape of every tensor, from the header; DataError where the file is not whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else math.inf
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise DataError(f"{path.name} is no whole safetensors file")
        header = file.read(int(length))
    try:
        entries: Mapping[str, Any] = json.loads(header)
        found: Tensors = {}
        end = 0
        for name, entry in entries.items():
            if name != "__metadata__":
                found[name] = (entry["dtype"], tuple(entry["shape"]))
                end = max(end, entry["data_offsets"][1])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path.name} has a broken header") from error
    if size != 8 + length + end:
        raise DataError(f"{path.name} has {size:,} bytes, and its header speaks of {8 + int(length) + end:,}")
    return found


def _files(folder: Path) -> list[Path]:
    """Every file that would be uploaded: hidden folders (.git, .cache) are not."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts[:-1])
    ]
