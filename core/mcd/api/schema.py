"""Versions of what mcd writes: read, upgraded, or refused with what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pydantic

from mcd.errors import DataError, StoreError
from mcd.options import in_words

__all__ = ["Schema", "read_record"]

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)
Values = Mapping[str, object]

_SHOWN = 100
"""Characters of a name that a message shows."""

_NEWER = "upgrade mammo-clip-dissect"


class _UnreadError(ValueError):
    """A document is not read: why, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Schema:
    """The format of a document: what its key ``schema`` holds, ``mcd.NAME/N``.

    Parameters
    ----------
    name
        The kind of document.
    number
        The version that is written. A new field with a default does not raise it.
    upgrades
        From an older version to the next: its number, and what turns its content into that of the next. A version
        without one is refused.
    remedy
        What to do about a document that is not read.

    Examples
    --------
    >>> str(Schema("study"))
    'mcd.study/1'
    """

    name: str
    number: int = 1
    upgrades: Mapping[int, Callable[[Values], Values]] = field(default_factory=dict)
    remedy: str = "make it again"

    def __str__(self) -> str:
        return f"mcd.{self.name}/{self.number}"

    def version(self, found: object) -> int:
        """Return the version that a document says it has.

        Raises
        ------
        ValueError
            Saying why it is not read, and what to do: it has none, is of another kind, older or newer.
        """
        known = re.fullmatch(r"mcd\.([a-z]+(?:-[a-z]+)*)/([1-9][0-9]{0,8})", found) if isinstance(found, str) else None
        if known is None:
            raise _UnreadError(f"its schema is not {self}", self.remedy)
        if known[1] != self.name:
            raise _UnreadError(f"it holds {found}, and {self} is expected", "give another file")
        number = int(known[2])
        if number > self.number:
            raise _UnreadError(f"it was made by a newer mcd: {found}, and this version reads {self}", _NEWER)
        if any(step not in self.upgrades for step in range(number, self.number)):
            raise _UnreadError(f"it was made by an older mcd: {found}, and this version reads {self}", self.remedy)
        return number

    def upgraded(self, values: Values) -> Values:
        """Return the content of a document as the version that is written has it.

        Raises
        ------
        ValueError
            As `version`.
        """
        for step in range(self.version(values.get("schema")), self.number):
            values = self.upgrades[step](values)
        return {**values, "schema": str(self)}

    def checked(self, found: object) -> object:
        """Return the schema of a document that has the version that is written; a validator for pydantic."""
        self.version(found)
        return found


def read_record(
    data: bytes,
    schema: Schema,
    model: type[ModelT],
    where: str,
    error: type[DataError] = StoreError,
    *,
    paths: bool = False,
) -> ModelT:
    """Return a document that mcd wrote as JSON; one of an older version as if this version had written it.

    Parameters
    ----------
    where
        The file, as messages name it.
    error
        The error that is raised.
    paths
        Whether texts in it may be paths that are not UTF-8.

    Raises
    ------
    DataError
        When it is not JSON, of another kind or version, or its content does not match its schema.
    """
    try:
        found: object = json.loads(data)
        # half of a character is none, but a byte of a path may be written like that
        json.dumps(found, ensure_ascii=False).encode("utf-8", "surrogateescape" if paths else "strict")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise error(f"{where} is damaged: it is not a JSON object", schema.remedy)
    try:
        values = schema.upgraded(found)
    except _UnreadError as problem:
        raise error(f"{where} cannot be read: {problem.message}", problem.hint) from None
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as problem:
        problems = problem.errors(include_url=False)
    unknown = [one for one in problems if one["type"] == "extra_forbidden"]
    first = unknown[0] if unknown else problems[0]
    path = ".".join(str(part) for part in first["loc"])
    path = "".join(one if one.isprintable() else "�" for one in path)  # names of somebody else's document
    path = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
    if unknown:
        raise error(f"{where} was made by a newer mcd: it has the field '{path}', which is not known here", _NEWER)
    said = "it should be an object" if first["type"] in ("model_type", "model_attributes_type") else in_words(first)
    raise error(f"{where} is damaged: {path + ': ' if path else ''}{said}", schema.remedy)
