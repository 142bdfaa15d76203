"""Paths among settings, by their declarations: what they are relative to is decided once; then they must be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import get_args, get_origin

import pydantic

from mcd.files import expanded
from mcd.options import BelowRoot, MayFetch, MayNameFile, NamesCode, forms_of, is_marked

__all__ = ["Declared", "mapped", "missing", "placed"]


@dataclass(frozen=True)
class Declared:
    """How the declaration of a setting marks its value.

    Parameters
    ----------
    forms
        The types that the value may have, each with what is marked on it.
    """

    forms: tuple[tuple[object, tuple[object, ...]], ...] = ()

    @property
    def path(self) -> bool:
        """Whether it is a path."""
        return any(isinstance(one, type) and issubclass(one, PurePath) for one, _ in self.forms)

    def marked(self, mark: type) -> bool:
        """Whether it has a mark, such as `mcd.options.MayNameFile`."""
        return any(isinstance(each, mark) for _, marks in self.forms for each in marks)

    @property
    def may_be_path(self) -> bool:
        """Whether it is a path, or a text that may name a file."""
        return self.path or self.marked(MayNameFile)

    @property
    def code(self) -> bool:
        """Whether it names code."""
        return self.marked(NamesCode)

    def fetches(self, value: object) -> bool:
        """Whether something may be fetched because of its value."""
        return self.marked(MayFetch) and str(value).strip().lower() not in ("", "none", "false", "0", "no", "off", "n")


Change = Callable[[object, Declared], object]


def mapped(cls: type[pydantic.BaseModel], values: Mapping[str, object], change: Change) -> dict[str, object]:
    """Return settings, not yet validated, each value changed as its declaration is marked; nested ones too.

    Parameters
    ----------
    cls
        Whose settings they are.
    values
        As they are written.
    change
        Given a value and its declaration, returns what stands in its place. Of an unknown setting nothing is declared.
    """
    fields = cls.model_fields
    return {
        name: _mapped(fields[name].annotation, fields[name].metadata, value, change)
        if name in fields
        else change(value, Declared())
        for name, value in values.items()
    }


def _mapped(annotation: object, marks: Sequence[object], value: object, change: Change) -> object:
    forms = tuple(forms_of(annotation, tuple(marks)))
    if isinstance(value, Mapping):
        models = [one for one, _ in forms if isinstance(one, type) and issubclass(one, pydantic.BaseModel)]
        if models:
            fitting = next((one for one in models if value.keys() <= one.model_fields.keys()), models[0])
            return mapped(fitting, value, change)
        inner = next((get_args(one) for one, _ in forms if get_origin(one) in (dict, Mapping)), ())
        if inner:
            return {key: _mapped(inner[1], (), each, change) for key, each in value.items()}
    elif isinstance(value, list | tuple):
        inner = next((get_args(one) for one, _ in forms if get_origin(one) in _LISTS), ())
        each_of = [one for one in inner if one is not Ellipsis]
        if each_of:
            return [_mapped(each_of[min(at, len(each_of) - 1)], (), each, change) for at, each in enumerate(value)]
    return change(value, Declared(forms))


_LISTS = (list, tuple, set, frozenset, Sequence)


def placed(cls: type[pydantic.BaseModel], values: Mapping[str, object], base: Path) -> dict[str, object]:
    """Return settings, not yet validated, with every path in them from the current folder.

    Parameters
    ----------
    cls
        Whose settings they are: its types say which of them are paths, in nested settings too.
    values
        As they are written.
    base
        The folder that they are written from: that of a study file, or ``Path()`` for the current one.
    """

    def from_here(value: object, declared: Declared) -> object:
        if declared.marked(BelowRoot) or not isinstance(value, str | Path):
            return value
        if declared.path:
            return str(base / expanded(value))
        return _text(str(value), base) if declared.marked(MayNameFile) else value

    return mapped(cls, values, from_here)


def _text(text: str, base: Path) -> str:
    """Return a text that may name a file: from the current folder where it does, as it is where it is another name."""
    path, colon, name = text.rpartition(":")
    if path.endswith(".py"):  # path/to/file.py:function
        return f"{base / expanded(path)}{colon}{name}"
    whole = base / expanded(text)
    try:
        return str(whole) if whole.exists() else text
    except OSError:  # longer than a path may be
        return text


def missing(options: pydantic.BaseModel) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that are set but do not exist, each with the name of its setting."""
    for name, info in type(options).model_fields.items():
        if name in options.model_fields_set and not is_marked(info.annotation, info.metadata, BelowRoot):
            text = is_marked(info.annotation, info.metadata, MayNameFile)
            yield from ((name, path) for path in _paths(getattr(options, name), text=text) if not path.exists())


def _paths(value: object, *, text: bool) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str) and text and value.rpartition(":")[0].endswith(".py"):
        yield Path(value.rpartition(":")[0])
    elif isinstance(value, pydantic.BaseModel):
        yield from (path for _, path in missing(value))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _paths(one, text=text)
