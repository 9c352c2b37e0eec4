"""Programs up to what their author chose freely: names, and on request constants."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

Function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
Comprehension = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
OwnScope = (*Function, *Comprehension, ast.ClassDef)


class ProgramForms(NamedTuple):
    """Hashes of a program's syntax tree: names replaced, and names and constants replaced."""

    renamed: str
    shape: str


@lru_cache(maxsize=65536)
def program_forms(source: str) -> ProgramForms | None:
    """The forms of a program; None where it is no Python.

    A name is replaced by the number of its binding in the order of the text, scope by scope, so that two
    programs are equal iff a consistent renaming of variables, functions, classes and own attributes makes
    them so. Layout, comments, docstrings and annotations do not count; names of builtins and modules do.
    In `shape` every number and text stands for its type alone.
    """
    try:
        tree = ast.parse(source)
        _Renaming(tree).visit(tree)
        renamed = ast.dump(tree, annotate_fields=False)
        shape = ast.dump(_WithoutConstants().visit(tree), annotate_fields=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return ProgramForms(_sha256(renamed), _sha256(shape))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _Renaming(ast.NodeTransformer):
    """Replaces every name that the program itself binds by the number of its binding."""

    def __init__(self, tree: ast.Module) -> None:
        declared = [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
        self._scopes: list[dict[str, str | None]] = [dict.fromkeys([*_bound(tree.body), *declared])]
        self._count = 0
        self._own_attributes = _own_attributes(tree)
        self._attributes: dict[str, str] = {}
        self._parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}

    def visit(self, node: ast.AST) -> ast.AST:
        _drop_docstring(node)
        if not isinstance(node, OwnScope):
            return self._renamed(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            node.name = self._method_or_name(node.name)
        self._scopes.append(dict.fromkeys(_bound_inside(node)))
        try:
            return self._renamed(node)
        finally:
            self._scopes.pop()

    def _renamed(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name):
            node.id = self._name(node.id)
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = self._name(node.arg), None
        elif isinstance(node, ast.Attribute):
            node.attr = self._attribute(node.attr)
        elif isinstance(node, ast.keyword) and node.arg in self._parameters:
            node.arg = "parameter"
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = sorted(map(self._name, node.names))
        elif isinstance(node, ast.alias) and node.asname:
            node.asname = self._name(node.asname)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            node.name = self._name(node.name)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def _name(self, name: str) -> str:
        for scope in reversed(self._scopes):
            if name in scope:
                if scope[name] is None:
                    scope[name] = f"v{self._count}"
                    self._count += 1
                return str(scope[name])
        return name

    def _attribute(self, name: str) -> str:
        if name not in self._own_attributes:
            return name
        return self._attributes.setdefault(name, f"a{len(self._attributes)}")

    def _method_or_name(self, name: str) -> str:
        return self._attribute(name) if name in self._own_attributes else self._name(name)


class _WithoutConstants(ast.NodeTransformer):
    """Replaces numbers and texts by their type; True, False and None stay."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, bool) or node.value is None or node.value is Ellipsis:
            return node
        return ast.Constant(type(node.value).__name__)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        negative = isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
        return self.visit(node.operand) if negative else self.generic_visit(node)


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        first = node.body[0] if node.body else None
        value = first.value if isinstance(first, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            node.body = node.body[1:] or [ast.Pass()]


def _bound_inside(node: ast.AST) -> Iterator[str]:
    """The names that a function, class or comprehension binds for itself."""
    if isinstance(node, Function):
        arguments = node.args
        optional = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *optional]
        yield from (argument.arg for argument in every)
    if isinstance(node, Comprehension):
        yield from _bound([generator.target for generator in node.generators])
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield from _bound(node.body)


def _bound(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The names bound by these nodes, scopes of their own left out."""
    elsewhere: set[str] = set()
    found: list[str] = []
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            elsewhere.update(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.append(node.id)
        elif isinstance(node, ast.alias) and node.asname:
            found.append(node.asname)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.append(node.name)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(node.name)
        if not isinstance(node, OwnScope):
            waiting += ast.iter_child_nodes(node)
    return (name for name in found if name not in elsewhere)


def _own_attributes(tree: ast.Module) -> set[str]:
    """Attributes that the program sets, and methods that it defines; special methods keep their names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            names.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            names |= {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    return {name for name in names if not name.startswith("__")}
