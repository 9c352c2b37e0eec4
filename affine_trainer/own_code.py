"""Python files of the user's own, named in the config as path/to/file.py:name.

They run in this process with all its rights: trusted code, never anything that a model wrote.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from affine_trainer.errors import AffineError, ConfigError
from affine_trainer.records import sha256_of


def split_reference(key: str, value: str, kind: str = "function") -> tuple[Path, str]:
    """File and name of `path/to/file.py:name`; ConfigError where it is not one, or is not there."""
    path, _, name = value.rpartition(":")
    if not path or not name.isidentifier():
        raise ConfigError(f"{key}: expected path/to/file.py:{kind}, got {value!r}")
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"{key}: there is no file {file} (looked for in {Path.cwd()})")
    return file, name


def load_callable(key: str, value: str, kind: str = "function") -> Callable[..., Any]:
    """The function or class that `value` names; ConfigError says what is wrong with it.

    The file is run once for each time it is loaded, as a module of its own.
    """
    file, name = split_reference(key, value, kind)
    module_name = f"affine_own_{sha256_of([str(file.resolve()), key])[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{key}: {file} is no Python file; its name should end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # where dataclasses look up the types of their fields
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{key}: {file} cannot be loaded: {in_words(error)}") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise ConfigError(f"{key}: {file} has no {kind} {name!r}; it has {_defined_in(module)}")
    return found


def in_words(error: BaseException) -> str:
    """Our own errors are sentences; of others the kind is told too."""
    if isinstance(error, AffineError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _defined_in(module: Any) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__
    ]
    return ", ".join(own) or "none"
