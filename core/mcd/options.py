"""Settings of components: one declaration drives the command line, study files, messages and the manifest."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, Union, get_args, get_origin

import pydantic
from pydantic.fields import FieldInfo

from mcd.errors import ConfigError, nearest
from mcd.files import expanded

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "MOST_WORKERS",
    "BelowRoot",
    "Bounds",
    "ChannelMean",
    "ChannelStd",
    "CodeReference",
    "MayFetch",
    "MayNameFile",
    "NameOrPath",
    "NamesCode",
    "Options",
    "PathBelowRoot",
    "Record",
    "Resamples",
    "Seed",
    "Settings",
    "Side",
    "bounds_of",
    "causes",
    "describe_options",
    "forms_of",
    "in_words",
    "is_marked",
    "parse_pairs",
    "validate_options",
]


@dataclass(frozen=True)
class MayNameFile:
    """Marks a text option that may name a file or folder, or ``FILE.py:NAME``, or something else."""


@dataclass(frozen=True)
class BelowRoot:
    """Marks a path option that the component itself completes or makes: below another option, or a new file."""


@dataclass(frozen=True)
class NamesCode:
    """Marks an option that names Python code, which runs."""


@dataclass(frozen=True)
class MayFetch:
    """Marks an option that, where it is set, may fetch files from a server."""


NameOrPath = Annotated[str, MayNameFile()]
"""The type of an option that names a file, a folder, or something on the hub: ``vocab.txt``, ``FILE.py:make``."""

CodeReference = Annotated[str, MayNameFile(), NamesCode()]
"""The type of an option that names a function of a file or module: ``FILE.py:make``, ``package.module:make``."""

PathBelowRoot = Annotated[Path, BelowRoot()]
"""The type of an option with a path that need not be there, or starts from another option of the component."""

Seed = Annotated[int, pydantic.Field(ge=0, le=2**32 - 1)]
"""The type of an option that decides what is drawn: what every generator takes."""

Side = Annotated[int, pydantic.Field(ge=1, le=16_384)]
"""The type of an option that is a side of a picture or of a network's input, in pixels: mammograms have up to 6,000."""

ChannelMean = Annotated[float, pydantic.Field(ge=-1e6, le=1e6)]
ChannelStd = Annotated[float, pydantic.Field(gt=0, le=1e6)]
"""The types of one channel's normalisation."""

MOST_WORKERS = 256
"""Processes that decode images: more than any machine has cores for."""

Resamples = Annotated[int, pydantic.Field(ge=0, le=100_000)]
"""The type of an option that says how often patients are drawn anew for intervals."""


@dataclass(frozen=True)
class Bounds:
    """The range of a number; None where it has no end.

    >>> str(Bounds(0, 4096, low_open=True))
    '> 0, ≤ 4,096'
    """

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __str__(self) -> str:
        ends = (("≥", ">"), self.low, self.low_open), (("≤", "<"), self.high, self.high_open)
        return ", ".join(f"{signs[is_open]} {_number(end)}" for signs, end, is_open in ends if end is not None)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


class Settings(pydantic.BaseModel):
    """Base of what users set by text: unknown keys are refused, values are frozen."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _number_for_literal(cls, value: object, info: pydantic.ValidationInfo) -> object:
        """Take ``3`` from the command line, where all is text, for the number 3 of a ``Literal[1, 3]``."""
        if not isinstance(value, str) or info.field_name is None:
            return value
        numbers = (one for one in _literals(cls.model_fields[info.field_name].annotation) if type(one) is int)
        return next((number for number in numbers if str(number) == value), value)

    @pydantic.field_validator("*", mode="after")
    @classmethod
    def _home_for_tilde(cls, value: object, info: pydantic.ValidationInfo) -> object:
        if isinstance(value, str) and value.startswith("~") and info.field_name is not None:
            field = cls.model_fields[info.field_name]
            return str(expanded(value)) if is_marked(field.annotation, field.metadata, MayNameFile) else value
        return _from_home(value)


def forms_of(annotation: object, marks: tuple[object, ...]) -> Iterator[tuple[object, tuple[object, ...]]]:
    """Yield the types that a value may have, each with what is marked on it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        yield from forms_of(inner, (*marks, *more))
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from forms_of(one, marks)
    else:
        yield annotation, marks


def bounds_of(annotation: object, marks: Sequence[object] = ()) -> Bounds:
    """Return the range that the numbers of a type lie in, also inside a union."""
    found = [one for _, own in forms_of(annotation, tuple(marks)) for mark in own for one in _constraints(mark)]
    ends = {name: getattr(one, name) for one in found for name in _ENDS if getattr(one, name, None) is not None}
    return Bounds(ends.get("ge", ends.get("gt")), ends.get("le", ends.get("lt")), "gt" in ends, "lt" in ends)


_ENDS = ("ge", "gt", "le", "lt")


def _constraints(mark: object) -> Sequence[object]:
    """Return what a mark on a type demands: a field inside another type keeps that to itself."""
    return mark.metadata if isinstance(mark, FieldInfo) else (mark,)


def is_marked(annotation: object, marks: Sequence[object], mark: type) -> bool:
    """Whether a type has a mark, such as `MayNameFile`, also inside a union."""
    return any(isinstance(each, mark) for _, own in forms_of(annotation, tuple(marks)) for each in own)


def _from_home(value: object) -> object:
    """Return a setting with the home folder in the place of ``~`` in all paths of it."""
    if isinstance(value, Path):
        return expanded(value)
    if isinstance(value, tuple | list) and any(isinstance(one, Path) for one in value):
        return type(value)(_from_home(one) for one in value)
    if isinstance(value, dict) and any(isinstance(one, Path) for one in value.values()):
        return {key: _from_home(one) for key, one in value.items()}
    return value


class Options(Settings):
    """Base of every component's ``Options``.

    Every field needs a ``description``: users read it in ``mcd plugins show``. The first field is the *primary*
    one: ``NAME:VALUE`` on the command line sets it (``images:DIR``).
    """

    model_config = pydantic.ConfigDict(validate_default=True)

    @classmethod
    def primary(cls) -> str | None:
        """Return the name of the option that ``NAME:VALUE`` sets, or None."""
        return next(iter(cls.model_fields), None)


def _literals(annotation: object) -> Iterator[object]:
    """Yield the values of every ``Literal`` in a type."""
    for argument in get_args(annotation):
        if get_origin(annotation) is Literal:
            yield argument
        else:
            yield from _literals(argument)


OptionsT = TypeVar("OptionsT", bound=pydantic.BaseModel)


def parse_pairs(pairs: Iterable[str], flag: str) -> dict[str, object]:
    """Turn ``key=value`` arguments into a mapping.

    A value is JSON only when it starts with ``[``, ``{`` or ``"`` or is ``null``; everything else, and a pattern such
    as ``{study_id}/{image_id}.dicom``, stays text that the option's own type converts, so ``name=007`` is not a number
    by accident.

    Raises
    ------
    ConfigError
        When a pair has no ``=``, is given twice, or its JSON is broken.
    """
    found: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ConfigError(f"{flag} {pair!r} is not key=value", f"write {flag} {key or 'key'}=VALUE")
        if key in found:
            raise ConfigError(f"{flag} sets {key!r} twice", "give each setting once")
        found[key] = _value(text, f"{flag} {pair}")
    return found


_PATTERN = re.compile(r"\{[^{}\[\]:,'\"]+\}")
"""How a pattern of column names begins, {study_id}/{image_id}.dicom, which JSON never does."""


def _value(text: str, where: str) -> object:
    if not (text.startswith(("[", "{", '"')) or text == "null") or _PATTERN.match(text):
        return text
    hint = 'write a list as [1,2], settings as {"key": 1}, and quote what should stay text'
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: not valid JSON ({error.msg} at character {error.pos})", hint) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"
        raise ConfigError(f"{where[:200]}: {reason}", hint) from None
    return value


def validate_options(
    cls: type[OptionsT],
    values: Mapping[str, object],
    where: str,
    hint: str = "see its settings with: mcd plugins show NAME",
) -> OptionsT:
    """Validate ``values`` against an options class.

    Raises
    ------
    ConfigError
        Listing every problem, with the nearest known name for an unknown key.
    """
    try:
        return cls.model_validate(dict(values))
    except pydantic.ValidationError as error:
        problems = [problem_line(problem, cls) for problem in causes(error.errors(include_url=False))]
        if len(problems) == 1:
            raise ConfigError(f"{where}: {problems[0]}", hint) from None
        raise ConfigError(f"{where}:", hint, problems) from None


def causes(problems: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the problems without those that follow from others: a list whose only item is wrong counts as too short.

    Both sorts come from one validation; what is left can be mended one by one.
    """
    inner = [one["loc"] for one in problems]

    def whole(at: tuple[int | str, ...]) -> bool:
        return not any(len(loc) > len(at) and loc[: len(at)] == at for loc in inner)

    return [one for one in problems if one["type"] != "too_short" or whole(one["loc"])]


_IN_OUR_WORDS = {
    "model_type": "it should be a name, or settings as KEY: VALUE",
    "model_attributes_type": "it should be a name, or settings as KEY: VALUE",
    "dataclass_type": "it should be settings as KEY: VALUE",
    "is_instance_of": "it is not of the right kind",
    "is_subclass_of": "it is not of the right kind",
    "string_unicode": "it is no text: the name of a file that is not UTF-8; rename it",
    "int_parsing_size": "it should be a whole number of fewer digits",
}
"""What pydantic says with the name of a class of ours in it, which no reader knows."""


def in_words(problem: ErrorDetails) -> str:
    """Return what is wrong, without the place and without names of classes that only the source knows."""
    return _IN_OUR_WORDS.get(problem["type"], problem["msg"]).removeprefix("Value error, ")


def problem_line(problem: ErrorDetails, cls: type[pydantic.BaseModel]) -> str:
    """Return one validation problem as a sentence that names the setting."""
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown setting '{path}': {nearest(path.split('.')[-1], cls.model_fields)}"
    if problem["type"] == "missing":
        return f"setting '{path}' is required"
    message = in_words(problem)
    given = problem.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"setting '{path}': {message}{shown}" if path else message


def describe_options(cls: type[pydantic.BaseModel]) -> list[tuple[str, str, str, str]]:
    """Return (name, type, default, description) of every option, in order."""
    rows = []
    for name, field in cls.model_fields.items():
        kind = _kind(field.annotation, field.metadata)
        default = "required" if field.is_required() else repr(field.get_default(call_default_factory=True))
        rows.append((name, kind, default, field.description or ""))
    return rows


def _kind(annotation: object, marks: Sequence[object]) -> str:
    """Return a type as a reader writes it, numbers with their range."""
    words = []
    for one, own in forms_of(annotation, tuple(marks)):
        origin, inner = get_origin(one), get_args(one)
        if one in (int, float):
            bounds = str(bounds_of(one, own))
            words.append(("int" if one is int else "float") + (f" ({bounds})" if bounds else ""))
        elif origin in (tuple, list):
            parts = ["…" if each is Ellipsis else _kind(each, ()) for each in inner]
            words.append(f"{origin.__name__}[{', '.join(parts)}]")
        elif one is type(None):
            words.append("None")
        else:
            words.append(one.__name__ if isinstance(one, type) and origin is None else str(one))
    kind = " | ".join(words)
    for noise in ("typing.", "pathlib.", "collections.abc.", "pydantic.types."):
        kind = kind.replace(noise, "")
    return kind


class Record(pydantic.BaseModel):
    """Base of what a run folder keeps as JSON: unknown fields are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", populate_by_name=True)
