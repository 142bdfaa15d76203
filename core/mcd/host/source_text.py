"""Modules of a package that is not imported: where they lie, what their text imports, defines and offers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from mcd.components import Component

__all__ = ["Hook", "Module", "Package", "UnreadableModuleError", "imported_module"]

Function = ast.FunctionDef | ast.AsyncFunctionDef


class UnreadableModuleError(Exception):
    """The text of a module cannot be parsed. The message has the line."""


@dataclass(frozen=True)
class Hook:
    """A function called as hooks are.

    Parameters
    ----------
    name, line
        Of the function.
    marked
        Whether it is decorated with ``hookimpl``.
    components
        What it offers, with the line; a text instead of a component says what is wrong with it.
    """

    name: str
    line: int
    marked: bool
    components: Sequence[tuple[int, Component | str]]


@dataclass(frozen=True)
class Module:
    """A module as its text.

    Parameters
    ----------
    name
        Dotted.
    path
        Its file.
    """

    name: str
    path: Path

    @cached_property
    def _tree(self) -> ast.Module:
        try:
            return ast.parse(self.path.read_bytes())
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            said = getattr(error, "msg", str(error))
            raise UnreadableModuleError(f"{self.path.name}{f', line {line}' if line else ''}: {said}") from None

    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield each module that is imported when this one is, as far as its text says, with the line."""
        for node in _running(self._tree.body):
            if isinstance(node, ast.Import):
                yield from ((one.name, node.lineno) for one in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = imported_module(node, self.name, self.path)
                yield base, node.lineno
                yield from ((f"{base}.{one.name}", node.lineno) for one in node.names)  # which may be modules

    def names(self) -> list[str]:
        """Return what the module defines or imports at its top, under the names that it gives them."""
        found = []
        for node in _running(self._tree.body):
            if isinstance(node, Function | ast.ClassDef):
                found.append(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found += [one.asname or one.name.partition(".")[0] for one in node.names]
            else:
                found += [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and _is_stored(one)]
        return found

    def methods(self, name: str) -> tuple[list[str], list[str]] | None:
        """Return the last words of the bases of a class, and the methods it defines; None where it defines none."""
        for node in _running(self._tree.body):
            if isinstance(node, ast.ClassDef) and node.name == name:
                inside = [one.name for one in node.body if isinstance(one, Function)]
                return [_last(one) for one in node.bases], inside
        return None

    def hooks(self) -> list[Hook]:
        """Return the functions that are called as hooks are, ``mcd_…``."""
        texts = _texts(self._tree.body)
        return [
            Hook(
                node.name,
                node.lineno,
                any(_last(one.func if isinstance(one, ast.Call) else one) == "hookimpl" for one in node.decorator_list),
                list(_components(node, texts | _texts(node.body))),
            )
            for node in self._tree.body
            if isinstance(node, Function) and node.name.startswith("mcd_")
        ]


class Package:
    """The folder of a distribution: its modules are found as they are once it is installed.

    Parameters
    ----------
    folder
        That of ``pyproject.toml``.
    roots
        Folders below it, besides itself and ``src``, from which modules are named.
    """

    def __init__(self, folder: Path, roots: Sequence[str] = ()) -> None:
        self._roots = [folder, folder / "src", *(folder / one for one in roots)]
        self._modules: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        """Return a module of the package; None where there is none."""
        if name not in self._modules:
            parts = name.split(".")
            places = (
                place
                for root in self._roots
                for place in (root.joinpath(*parts, "__init__.py"), root.joinpath(*parts).with_suffix(".py"))
            )
            path = next((one for one in places if name and one.is_file()), None)
            self._modules[name] = None if path is None else Module(name, path)
        return self._modules[name]

    def file(self, package: str, name: str) -> Path | None:
        """Return a data file of a package; None where there is none."""
        places = (root.joinpath(*package.split("."), name) for root in self._roots)
        return next((one for one in places if one.is_file()), None)


def imported_module(node: ast.ImportFrom, name: str, path: Path) -> str:
    """Return the dotted name of the module that a statement ``from … import`` of another one means.

    Parameters
    ----------
    name, path
        Of the module in which it stands.
    """
    if not node.level:
        return node.module or ""
    package = name.split(".")
    keep = len(package) - node.level + (path.name == "__init__.py")
    return ".".join([*package[: max(0, keep)], *([node.module] if node.module else [])])


def _running(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, without what only type checkers read."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _running([] if _last(node.test) == "TYPE_CHECKING" else node.body)
            yield from _running(node.orelse)
        elif isinstance(node, ast.Try):
            for part in (node.body, *(one.body for one in node.handlers), node.orelse, node.finalbody):
                yield from _running(part)
        elif isinstance(node, ast.With):
            yield from _running(node.body)
        else:
            yield node


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _last(node: ast.expr) -> str:
    """Return the last word of a dotted name: ``hookimpl`` of ``mcd.hookimpl``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _texts(body: Sequence[ast.stmt]) -> dict[str, str]:
    """Return the names to which a text is assigned, and the text."""
    found: dict[str, str] = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found |= {one.id: node.value.value for one in node.targets if isinstance(one, ast.Name)}
    return found


_FIELDS = ("name", "target", "summary", "requires", "extra", "files")


def _components(function: Function, texts: Mapping[str, str]) -> Iterator[tuple[int, Component | str]]:
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and _last(node.func) == "Component"):
            continue
        given = dict(zip(_FIELDS, node.args, strict=False)) | {one.arg: one.value for one in node.keywords if one.arg}
        values = {name: _value(one, texts) for name, one in given.items()}
        if not isinstance(values.get("name"), str) or not isinstance(values.get("target"), str):
            continue  # made by code: only an import shows it
        try:
            requires, files = _several(values.get("requires")), _several(values.get("files"))
            yield node.lineno, Component(str(values["name"]), str(values["target"]), requires=requires, files=files)
        except ValueError as error:
            yield node.lineno, str(error)


def _several(value: object) -> tuple[str, ...]:
    if isinstance(value, tuple | list):
        return tuple(map(str, value))
    # a record refuses a text, and says how it is written
    return cast("tuple[str, ...]", value) if isinstance(value, str) else ()


def _value(node: ast.expr, texts: Mapping[str, str]) -> object:
    if isinstance(node, ast.Name):
        return texts.get(node.id)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
