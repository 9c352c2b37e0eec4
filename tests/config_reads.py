"""Finds the config keys that no code reads: every attribute access is followed back to its section."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeGuard

from affine_trainer.config import Config, Section

Scope = dict[str, str]  # what a name or attribute holds: the dotted section, "" for the whole config


def unread_keys(files: Iterable[Path]) -> list[str]:
    """The dotted keys of Config that no file reads as an attribute of their section."""
    read = {key for file in files for key in keys_read(file.read_text())}
    return [key for key in leaf_keys(Config) if key not in read]


def leaf_keys(model: type[Section], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if _is_section(field.annotation):
            yield from leaf_keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def keys_read(source: str) -> set[str]:
    """Dotted keys that one module reads, through chains (`config.training.lora_r`) and variables."""
    tree = ast.parse(source)
    attributes = _held_by_attributes(tree)
    found: set[str] = set()
    _visit(tree, {}, attributes, found)
    return found


def _is_section(annotation: object) -> TypeGuard[type[Section]]:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _sections(model: type[Section], prefix: str = "") -> Iterator[tuple[str, type[Section]]]:
    yield prefix, model
    for name, field in model.model_fields.items():
        if _is_section(field.annotation):
            yield from _sections(field.annotation, f"{prefix}.{name}".lstrip("."))


SECTIONS = dict(_sections(Config))
PATH_OF_CLASS = {model.__name__: path for path, model in SECTIONS.items()}


def _visit(node: ast.AST, scope: Scope, attributes: Scope, found: set[str]) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        scope = {**scope, **_parameters(node.args)}
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
        scope = {**scope, **_assigned(node, scope, attributes)}
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        section = _section_of(node.value, scope, attributes)
        if section is not None and node.attr in SECTIONS[section].model_fields:
            found.add(f"{section}.{node.attr}".lstrip("."))
    for child in ast.iter_child_nodes(node):
        _visit(child, scope, attributes, found)


def _section_of(node: ast.expr, scope: Scope, attributes: Scope) -> str | None:
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        return "" if name == "load_config" else PATH_OF_CLASS.get(name)
    if not isinstance(node, ast.Attribute):
        return None
    parent = _section_of(node.value, scope, attributes)
    if parent is not None:
        path = f"{parent}.{node.attr}".lstrip(".")
        return path if path in SECTIONS else None
    return attributes.get(node.attr)


def _parameters(arguments: ast.arguments) -> Scope:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {each.arg: path for each in every if (path := _path_of_annotation(each.annotation)) is not None}


def _path_of_annotation(annotation: ast.expr | None) -> str | None:
    """The section a type names, `Config | None` and quoted types included."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    names = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)] if annotation else []
    return next((PATH_OF_CLASS[name] for name in names if name in PATH_OF_CLASS), None)


def _assigned(node: ast.AST, scope: Scope, attributes: Scope) -> Scope:
    """Variables of a function or module that hold a section; later ones may build on earlier ones."""
    scope = dict(scope)
    for target, value in _assignments(node):
        path = _section_of(value, scope, attributes)
        if isinstance(target, ast.Name) and path is not None:
            scope[target.id] = path
    return scope


def _assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for child in ast.walk(node):
        if isinstance(child, ast.Assign):
            for target in child.targets:
                if isinstance(target, ast.Tuple) and isinstance(child.value, ast.Tuple):
                    yield from zip(target.elts, child.value.elts, strict=False)
                else:
                    yield target, child.value
        elif isinstance(child, (ast.AnnAssign, ast.NamedExpr)) and child.value is not None:
            yield child.target, child.value


def _held_by_attributes(tree: ast.Module) -> Scope:
    """`self.config` and the like: annotated in a class body, or assigned from a parameter with a type."""
    held: Scope = {}
    for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for statement in owner.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                path = _path_of_annotation(statement.annotation)
                if path is not None:
                    held[statement.target.id] = path
        for function in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
            scope = _assigned(function, _parameters(function.args), held)
            for target, value in _assignments(function):
                path = _section_of(value, scope, held)
                if isinstance(target, ast.Attribute) and path is not None:
                    held[target.attr] = path
    return held
