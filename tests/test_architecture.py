"""The house rules that can be checked: imports go down, files stay small, nothing is silenced."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "affine_trainer").rglob("*.py"))
SOURCES = [*PACKAGE, *sorted((ROOT / "scripts").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
SILENCED = re.compile(r"#\s*noqa|type:\s*ignore|pyright:\s*ignore|\bTODO\b|\bFIXME\b")
SHOWS_WHATEVER_A_PROGRAM_RAISES = "sandbox/child.py"


def test_imports_go_down_only():
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_opens_with_one_line_that_says_what_it_is():
    def opening(path: Path) -> str:
        return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]

    assert [str(path) for path in SOURCES if not opening(path).endswith((".", "?"))] == []


def test_no_file_and_no_function_grows_beyond_its_limit():
    long_files = [str(path) for path in SOURCES if len(path.read_text().splitlines()) > MAX_FILE_LINES]
    long_functions = [
        f"{path}: {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or node.lineno) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert (long_files, long_functions) == ([], [])


def test_no_error_is_swallowed():
    def swallows(handler: ast.ExceptHandler) -> bool:
        caught = handler.type
        raises = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
        return (caught is None or getattr(caught, "id", "") in ("Exception", "BaseException")) and not raises

    found = [
        f"{path}:{node.lineno}"
        for path in SOURCES
        if not path.as_posix().endswith(SHOWS_WHATEVER_A_PROGRAM_RAISES)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and swallows(node)
    ]
    assert found == []


def test_no_check_is_silenced():
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if SILENCED.search(line)
    ]
    assert found == []


def test_no_module_is_a_drawer_for_anything():
    drawers = {"utils.py", "common.py", "helpers.py", "misc.py", "manager.py"}
    assert [str(path) for path in PACKAGE if path.name in drawers] == []


@pytest.mark.parametrize("word", ["Manager", "Helper", "Utils"])
def test_no_class_is_named_after_nothing_in_particular(word):
    names = [
        node.name
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert [name for name in names if name.endswith(word)] == []


@pytest.mark.parametrize(
    "module",
    ["affine_trainer.cli.all_steps", "affine_trainer.stages.doctor", "affine_trainer.stages.grade"],
)
def test_what_skips_or_only_looks_does_not_import_the_model_libraries(module):
    program = (
        f"import sys, {module}; print([m for m in ('torch', 'transformers', 'trl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
