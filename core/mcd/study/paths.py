"""Paths among settings: what they are relative to is decided once, where they are written; then they must be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args, get_origin

import pydantic

from mcd.files import expanded
from mcd.options import BelowRoot, MayNameFile, forms_of, is_marked

__all__ = ["missing", "placed"]


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
    fields = cls.model_fields
    return {
        name: _placed(fields[name].annotation, fields[name].metadata, value, base) if name in fields else value
        for name, value in values.items()
    }


def _placed(annotation: object, marks: Sequence[object], value: object, base: Path) -> object:
    if is_marked(annotation, marks, BelowRoot):
        return value
    for one, own in forms_of(annotation, tuple(marks)):
        origin, inner = get_origin(one), get_args(one)
        if isinstance(value, str | Path):
            if one is Path:
                return str(base / expanded(value))
            if one is str and any(isinstance(mark, MayNameFile) for mark in own):
                return _text(str(value), base)
        elif isinstance(value, Mapping):
            if isinstance(one, type) and issubclass(one, pydantic.BaseModel):
                return placed(one, value, base)
            if origin is dict:
                return {key: _placed(inner[1], (), each, base) for key, each in value.items()}
        elif isinstance(value, list | tuple) and origin in (list, tuple) and inner:
            return [_placed(inner[0], (), each, base) for each in value]
    return value


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
