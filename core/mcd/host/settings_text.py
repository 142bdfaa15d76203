"""Settings of a component as the text of its module declares them: nothing is imported, for a shell waits."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mcd.components import Kind
from mcd.host.records import Offer
from mcd.host.source_text import imported_module

__all__ = ["Declared", "declared_settings"]

_DEEPEST = 12
"""Classes above a class that are followed: a circle of imports ends here."""

_SETTINGS = "Options"
_ROOT = "BaseModel"
"""pydantic's own class, which has no fields."""


@dataclass(frozen=True)
class Declared:
    """A setting.

    Parameters
    ----------
    name
        As it is written before ``=``.
    annotation
        The text of its type.
    required
        Whether it has no default.
    description
        What it does; empty where the text does not say it in one string.
    """

    name: str
    annotation: str
    required: bool
    description: str = ""

    @property
    def may_be_path(self) -> bool:
        """Whether its value may be a file or a folder."""
        return any(word in self.annotation for word in ("Path", "CodeReference", "MayNameFile"))

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it takes; none where it takes any."""
        kind = ast.parse(self.annotation, mode="eval").body
        if isinstance(kind, ast.Name) and kind.id == "bool":
            return ("true", "false")
        return tuple(
            str(one.value) for one in ast.walk(kind) if _is_literal(one, kind) and isinstance(one, ast.Constant)
        )


def declared_settings(offer: Offer) -> list[Declared]:
    """Return the settings of a component, the primary one first; none where its text does not say them.

    Parameters
    ----------
    offer
        Of any kind. Its module is read as text, and those that its classes are derived from.
    """
    module, _, name = offer.component.target.partition(":")
    own = offer.record.file
    path = Path(own) if own and module == Path(own).stem else _file(module)
    if path is None or not name.isidentifier():
        return []
    home = _Home(module, path)
    whole = offer.kind is Kind.PREPROCESSING  # a recipe is its own settings
    found = home.named(name) if whole else home.inside(name, _DEEPEST)
    return list({one.name: one for one in _fields(found, _DEEPEST)}.values()) if found is not None else []


@dataclass(frozen=True)
class _Home:
    """A module as its text."""

    name: str
    path: Path

    def named(self, name: str, depth: int = _DEEPEST) -> _Class | None:
        """Return a class that the module defines, or imports."""
        for node in ast.walk(_tree(self.path)):
            if isinstance(node, ast.ClassDef) and node.name == name and node in _tree(self.path).body:
                return _Class(self, node)
            if isinstance(node, ast.ImportFrom) and depth:
                alias = next((one for one in node.names if (one.asname or one.name) == name), None)
                module = imported_module(node, self.name, self.path)
                other = _file(module) if alias is not None else None
                if alias is not None and other is not None and other != self.path:
                    found = _Home(module, other).named(alias.name, depth - 1)
                    if found is not None:
                        return found
        return None

    def inside(self, name: str, depth: int) -> _Class | None:
        """Return the settings of a class: those it declares, or those of the first class above it that does."""
        found = self.named(name)
        if found is None or not depth:
            return None
        for node in found.node.body:
            if isinstance(node, ast.ClassDef) and node.name == _SETTINGS:
                return _Class(found.home, node)
            if isinstance(node, ast.Assign) and any(ast.unparse(one) == _SETTINGS for one in node.targets):
                return found.home.expressed(node.value, depth - 1)
        above = (found.home.inside(ast.unparse(one), depth - 1) for one in found.node.bases)
        return next((one for one in above if one is not None), None)

    def expressed(self, node: ast.expr, depth: int) -> _Class | None:
        """Return the class that a text names: ``CohortOptions``, ``EvidenceScorer.Options``, ``mcd.Preprocessing``."""
        if isinstance(node, ast.Name):
            return self.named(node.id)
        if not isinstance(node, ast.Attribute) or node.attr == _ROOT:
            return None
        module = ast.unparse(node.value)
        path = _file(module)
        if path is not None:
            return _Home(module, path).named(node.attr)
        return self.inside(module, depth) if node.attr == _SETTINGS else None


@dataclass(frozen=True)
class _Class:
    home: _Home
    node: ast.ClassDef


def _fields(found: _Class, depth: int) -> Iterator[Declared]:
    """Yield the fields of a class in the order of pydantic: those of the last base first."""
    for base in reversed(found.node.bases):
        above = found.home.expressed(base, depth) if depth else None
        if above is not None and above.node is not found.node:
            yield from _fields(above, depth - 1)
    for node in found.node.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, kind = node.target.id, ast.unparse(node.annotation)
            if not name.startswith("_") and not kind.startswith("ClassVar"):
                yield Declared(name, kind, _is_required(node.value), _described(node.value))


def _described(value: ast.expr | None) -> str:
    given = value.keywords if isinstance(value, ast.Call) else []
    said = next((one.value for one in given if one.arg == "description"), None)
    return str(said.value) if isinstance(said, ast.Constant) else ""


def _is_required(value: ast.expr | None) -> bool:
    if value is None:
        return True
    if not (isinstance(value, ast.Call) and ast.unparse(value.func).endswith("Field")):
        return False
    given = {one.arg for one in value.keywords}
    return not ({"default", "default_factory"} & given or value.args)


def _is_literal(node: ast.AST, kind: ast.expr) -> bool:
    """Whether a node stands in a ``Literal[…]`` of a type."""
    literals = (one for one in ast.walk(kind) if isinstance(one, ast.Subscript))
    return any(ast.unparse(one.value).endswith("Literal") and node in ast.walk(one.slice) for one in literals)


@cache
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


@cache
def _file(module: str) -> Path | None:
    """Return the file of a module. No package above it is imported."""
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top) if top else None
    if spec is None or spec.origin is None:
        return None
    if not parts:
        return Path(spec.origin)
    for place in spec.submodule_search_locations or ():
        path = Path(place).joinpath(*parts)
        for one in (path / "__init__.py", path.with_suffix(".py")):
            if one.is_file():
                return one
    return None
