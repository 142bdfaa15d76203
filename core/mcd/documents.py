"""Documents and the versions of their formats: YAML that people write, JSON that mcd writes.

Every mistake in a study file or a concept set is reported with its line. YAML is read safely and plainly: only
``true`` and ``false`` are booleans, only decimal numbers without a leading zero are numbers, dates stay text, a key
given twice is an error, and there are no merge keys (``<<``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeVar, get_args

import pydantic
import yaml

from mcd.errors import ConfigError, nearest
from mcd.options import causes, problem_line

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["SUFFIXES", "Document", "read_document", "read_text", "validate_document"]

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)
Location = Sequence[str | int]

SUFFIXES = (".yaml", ".yml")
"""How the name of a document ends."""

_MOST_VALUES = 500_000
"""Far above any honest document; a few nested aliases can stand for billions of values."""

_TAG = "tag:yaml.org,2002:"
_TYPES = "null", "bool", "int", "float"


class _Loader(yaml.SafeLoader):
    """Resolves less than YAML 1.1 does: ``no``, ``on``, ``1:30``, ``0o7``, ``2024-01-31`` are text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 -- the base class declares it so


_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_TAG + "int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _TAG + "float",
    re.compile(r"^[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Document:
    """What stands in a file.

    Parameters
    ----------
    source
        The file, as messages name it.
    data
        Its content.
    root
        Where everything stands.
    """

    source: str
    data: dict[str, object]
    root: yaml.MappingNode = field(repr=False, compare=False)

    def line(self, loc: Location) -> int:
        """Return the line of a setting, or of the innermost part of its path that exists.

        Parts that the file does not have are passed over: a validator may have made a list of a single value.
        """
        line, _ = self._find(loc)
        return line

    def _find(self, loc: Location) -> tuple[int, yaml.Node]:
        node: yaml.Node = self.root
        line = _line(node)
        for part in loc:
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        line, node = _line(key), value
                        break
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = _line(node)
        return line, node

    def _at(self, loc: Location) -> str:
        return f"{self.source}:{self.line(loc)}"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def read_text(path: Path | Traversable) -> str:
    """Return the text of a file.

    Raises
    ------
    ConfigError
        When there is no such file, or it is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}", "check the path; a relative one starts from here") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder, not a file", "correct the file, or give another") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{path} cannot be read: {reason}", "correct the file, or give another") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text", "save the file as UTF-8") from None


def read_document(path: Path | Traversable) -> Document:
    """Read a ``.yaml`` or ``.yml`` file.

    Raises
    ------
    ConfigError
        When it cannot be read, is empty, or is not valid; with the line.
    """
    suffix = PurePath(path.name).suffix.lower()
    if suffix not in SUFFIXES and path.is_file():
        if suffix == ".toml":
            raise ConfigError(f"{path}: TOML is not read", "write YAML: 'name: value' in place of 'name = value'")
        raise ConfigError(f"{path}: not a kind of file that is read here", f"use one of: {', '.join(SUFFIXES)}")
    text = read_text(path)
    if not text.strip():
        raise ConfigError(f"{path} is empty", "correct the file, or give another")
    return _read_yaml(str(path), text)


@lru_cache(maxsize=16)  # a study reads its vocabulary more than once, and parsing takes most of starting
def _composed(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=_Loader)


def _read_yaml(source: str, text: str) -> Document:
    try:
        root = _composed(text)
        if root is None or root.tag == _TAG + "null":
            raise ConfigError(f"{source} is empty", "correct the file, or give another")
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{source}:{_line(root)}: not a document of settings", "write lines of 'name: value'")
        return Document(source, _Builder(source).mapping(root), root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark is not None else source
        raise ConfigError(
            f"{where}: not valid YAML: {error.problem or error.context}",
            "indent with spaces, and put quotes around a text that has ': ' or ' #' in it",
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{source}:{line}: not valid YAML: {error.reason}", "is it a text file?") from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply", "correct the file, or give another") from None


class _Builder:
    """Turns nodes into plain values.

    Parameters
    ----------
    source
        The file, for messages.
    as_written
        The ``id`` of every scalar node that is to stay text although it looks like a number or a boolean.
    """

    def __init__(self, source: str, as_written: Set[int] = frozenset()) -> None:
        self.source, self.as_written = source, as_written
        self.values = 0

    def _error(self, node: yaml.Node, message: str, hint: str = "") -> ConfigError:
        return ConfigError(f"{self.source}:{_line(node)}: {message}", hint)

    def mapping(self, node: yaml.MappingNode) -> dict[str, object]:
        found: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, "a list or a mapping cannot be a key")
            name = str(key.value)
            if name in found:
                raise self._error(key, f"'{name}' is given twice", f"it is in line {lines[name]} already")
            lines[name] = _line(key)
            found[name] = self._value(value)
        return found

    def _value(self, node: yaml.Node) -> object:
        self.values += 1
        if self.values > _MOST_VALUES:
            raise self._error(node, f"more than {_MOST_VALUES} values; do aliases (*name) multiply?")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._value(one) for one in node.value]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, str(node.value))
        raise self._error(node, f"the tag '{_short(node.tag)}' is not allowed", "write plain values")

    def _scalar(self, node: yaml.ScalarNode, text: str) -> object:
        if node.tag == _TAG + "str" or id(node) in self.as_written:
            return text
        kind = node.tag.removeprefix(_TAG)
        if kind not in _TYPES:
            raise self._error(node, f"the tag '{_short(node.tag)}' is not allowed", "write plain values")
        try:
            return _converted(kind, text)
        except (KeyError, ValueError):
            shown = text if len(text) <= 40 else text[:40] + "…"
            raise self._error(node, f"'{shown}' cannot be read as {kind}") from None


def _converted(kind: str, text: str) -> object:
    if kind == "null":
        return None
    if kind == "bool":
        return {"true": True, "false": False}[text.lower()]
    return int(text) if kind == "int" else float(text)


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def validate_document(document: Document, model: type[ModelT], listing: str = "mcd dissect --help") -> ModelT:
    """Return the document as an instance of a model; ``listing`` is the command that lists its settings.

    Where the model wants text, a YAML number or boolean is what the user wrote: ``version: 0.10`` is "0.10".

    Raises
    ------
    ConfigError
        With one line for each problem: file, line, setting, and the nearest known name for an unknown one.
    """
    as_written: set[int] = set()
    data = document.data
    while True:
        try:
            return model.model_validate(data)
        except pydantic.ValidationError as error:
            problems = error.errors(include_url=False)
        known = len(as_written)
        as_written.update(_wanted_as_text(document, problems))
        if len(as_written) == known:
            raise _invalid(document, model, problems, f"see the settings with: {listing}")
        data = _Builder(document.source, as_written).mapping(document.root)


def _wanted_as_text(document: Document, problems: Sequence[ErrorDetails]) -> Iterator[int]:
    for problem in problems:
        if problem["type"] == "string_type" and isinstance(problem["input"], bool | int | float):
            _, node = document._find(problem["loc"])
            if isinstance(node, yaml.ScalarNode):
                yield id(node)


def _invalid(
    document: Document, model: type[pydantic.BaseModel], problems: Sequence[ErrorDetails], advice: str
) -> ConfigError:
    ordered = sorted(causes(problems), key=lambda problem: document.line(problem["loc"]))
    lines = [f"{document._at(problem['loc'])}: {_sentence(problem, model)}" for problem in ordered]
    if len(lines) == 1:
        return ConfigError(lines[0], f"correct that line; {advice}")
    return ConfigError(f"{document.source} has {len(lines)} problems:", f"correct the file; {advice}", lines=lines)


def _sentence(problem: ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    owner = _owner(problem["loc"], model)
    if problem["type"] == "extra_forbidden":
        path = ".".join(str(part) for part in problem["loc"])
        names = [field.alias or name for name, field in owner.model_fields.items()]  # what is written in files
        return f"unknown setting '{path}': {nearest(str(problem['loc'][-1]), names)}"
    return problem_line(problem, owner)


def _owner(loc: Location, model: type[pydantic.BaseModel]) -> type[pydantic.BaseModel]:
    """Return the model, nested in ``model``, that a location's last part is a setting of."""
    for part in loc[:-1]:
        for name, info in model.model_fields.items():
            if part in (name, info.alias):
                model = next(_models_in(info.annotation), model)
                break
    return model


def _models_in(annotation: object) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
