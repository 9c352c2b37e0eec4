"""The standard library's bytecode in one read-only mapping, so that an import never opens a file."""

from __future__ import annotations

import importlib.util
import marshal
import mmap
import os
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # importing the real one would load thirty modules into every zygote

SKIPPED_FOLDERS = {
    "__pycache__",
    "config",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib-dynload",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "venv",
}
PYC_HEADER_BYTES = 16


class Entry(NamedTuple):
    """Where a module lies in the image."""

    start: int
    end: int
    is_package: bool
    is_source: bool
    path: str


class StandardLibrary(Loader):
    """A finder and loader that serves pure Python modules from memory."""

    def __init__(self, folder: str) -> None:
        """Read every module below `folder`; one without a .pyc is kept as source, compiled on import."""
        self._entries: dict[str, Entry] = {}
        descriptor = os.memfd_create("stdlib")
        end = 0
        with open(descriptor, "wb", buffering=1 << 20) as image:
            for name, path in _modules(folder):
                data, is_source = _bytecode_or_source(path)
                image.write(data)
                is_package = path.endswith("__init__.py")
                self._entries[name] = Entry(end, end + len(data), is_package, is_source, path)
                end += len(data)
            image.flush()
            # Private: a child that makes its mapping writable changes its own copy only.
            self._image = mmap.mmap(descriptor, end, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        entry = self._entries.get(name)
        if entry is None:
            return None
        spec = ModuleSpec(name, self, origin=entry.path, is_package=entry.is_package)
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        entry = self._entries[module.__name__ if module.__spec__ is None else module.__spec__.name]
        data = self._image[entry.start : entry.end]
        code = compile(data, entry.path, "exec") if entry.is_source else marshal.loads(data)
        exec(code, module.__dict__)


def _modules(folder: str) -> Iterator[tuple[str, str]]:
    """Dotted name and path of every pure Python module below `folder`."""
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name.split("-")[0] not in SKIPPED_FOLDERS]
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        package = os.path.relpath(where, folder).replace(os.sep, ".").lstrip(".")
        for file in files:
            if file.endswith(".py"):
                name = f"{package}.{file[:-3]}".removesuffix(".__init__").lstrip(".")
                yield name, os.path.join(where, file)


def _bytecode_or_source(path: str) -> tuple[bytes, bool]:
    try:
        with open(importlib.util.cache_from_source(path), "rb") as compiled:
            return compiled.read()[PYC_HEADER_BYTES:], False
    except FileNotFoundError:
        with open(path, "rb") as source:
            return source.read(), True
