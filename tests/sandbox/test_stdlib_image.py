"""Modules are imported from the image as they would be from files."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
from pathlib import Path
from types import ModuleType

from affine_trainer.sandbox.stdlib_image import StandardLibrary


def _load(library: StandardLibrary, name: str) -> ModuleType:
    spec = library.find_spec(name)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    library.exec_module(module)
    return module


def test_modules_come_from_bytecode_or_else_from_source(tmp_path: Path) -> None:
    (tmp_path / "alpha.py").write_text("where = __file__\n")
    (tmp_path / "beta").mkdir()
    (tmp_path / "beta" / "__init__.py").write_text("number = 7\n")
    (tmp_path / "beta" / "gamma.py").write_text("text = __name__, __package__\n")
    py_compile.compile(str(tmp_path / "beta" / "gamma.py"))
    library = StandardLibrary(str(tmp_path))
    for file in ("alpha.py", "beta/__init__.py", "beta/gamma.py"):
        (tmp_path / file).unlink()
    assert _load(library, "alpha").where == str(tmp_path / "alpha.py")
    assert _load(library, "beta").number == 7
    assert _load(library, "beta").__path__ == []
    assert _load(library, "beta.gamma").text == ("beta.gamma", "beta")


def test_what_is_not_there_or_not_for_programs_is_not_found(tmp_path: Path) -> None:
    for folder in ("test", "site-packages", "config-3.11-x86_64-linux-gnu"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "inner.py").write_text("")
    (tmp_path / "kept.py").write_text("x = 1\n")
    library = StandardLibrary(str(tmp_path))
    assert library.find_spec("kept") is not None
    for name in ("test.inner", "inner", "site-packages.inner", "missing"):
        assert library.find_spec(name) is None


def test_the_image_holds_nearly_every_pure_module_of_the_standard_library() -> None:
    folder = Path(os.__file__).parent
    library = StandardLibrary(str(folder))
    pure = {path.stem for path in folder.glob("*.py")} & sys.stdlib_module_names
    assert len(pure) > 100
    assert {name for name in pure if library.find_spec(name) is None} == set()
