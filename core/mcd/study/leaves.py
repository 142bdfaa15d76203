"""Every setting of a study by its key: flags and the reference page are made from these."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mcd.options import Bounds, bounds_of
from mcd.study.groups import Group
from mcd.study.study import Choice, Study

__all__ = ["Leaf", "components", "leaves"]


@dataclass(frozen=True)
class Leaf:
    """One setting of a study.

    Parameters
    ----------
    path
        Where it stands: ``("limit",)``, ``("calibration", "q")``; ``("models", "layers")`` for that of each model.
    info
        Its declaration.
    owner
        The declaration of the component that it is a setting of; None where it belongs to none.
    group
        What it is about; None where that is the format of study files.
    """

    path: tuple[str, ...]
    info: FieldInfo
    owner: FieldInfo | None = None
    group: Group | None = None

    @property
    def key(self) -> str:
        """Its name: ``limit``, ``calibration.q``, ``models.layers``."""
        return ".".join(self.path)

    @property
    def kind(self) -> type:
        """The type of one value: ``int``, ``float``, ``bool``, ``str``, ``Path`` or ``dict``."""
        one = next(one for one in _members(self.info.annotation) if one is not type(None))
        one = get_args(one)[0] if get_origin(one) is tuple else one
        found = str if get_origin(one) is Literal else get_origin(one) or one
        assert isinstance(found, type)
        return found

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it takes; none where it takes any."""
        literals = (one for one in _members(self.info.annotation) if get_origin(one) is Literal)
        return tuple(str(value) for one in literals for value in get_args(one))

    @property
    def repeated(self) -> bool:
        """Whether it takes several values."""
        return _is_list(self.owner if self.path[-1] == "plugin" else self.info)

    @property
    def several(self) -> bool:
        """Whether there may be several components that it is a setting of."""
        return _is_list(self.owner)

    @property
    def default(self) -> object:
        """The value where it is not set; None where that is required or off."""
        if self.path[-1] == "plugin" and self.owner is not None:
            return ", ".join(one.plugin for one in components(self.owner)) or None
        return None if self.info.is_required() else self.info.get_default(call_default_factory=True)

    @property
    def bounds(self) -> Bounds:
        """The range that its number lies in."""
        return bounds_of(self.info.annotation, self.info.metadata)

    @property
    def description(self) -> str:
        """What it is, without capital and full stop; of the component itself for its name."""
        info = self.owner if self.path[-1] == "plugin" and self.owner is not None else self.info
        return info.description or ""


def leaves() -> Iterator[Leaf]:
    """Yield every setting of a study, in the order of their declaration."""
    for name, info in Study.model_fields.items():
        about = next((one for one in info.metadata if isinstance(one, Group)), None)
        parts = next((one for one in map(_model, _members(info.annotation)) if one is not None), None)
        if parts is None:
            yield Leaf((info.alias or name,), info, group=about)
            continue
        owner = info if issubclass(parts, Choice) else None
        yield from (Leaf((name, part), inner, owner, about) for part, inner in parts.model_fields.items())


def components(info: FieldInfo) -> list[Choice]:
    """Return the components that a field of a study has by default."""
    default = None if info.is_required() else info.get_default()
    found = default if isinstance(default, tuple) else (default,)
    return [one for one in found if isinstance(one, Choice)]


def _members(annotation: object) -> Iterator[object]:
    """Yield the types that a value may have."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _members(one)
    else:
        yield annotation


def _model(annotation: object) -> type[BaseModel] | None:
    """Return the group of settings that a value is, or that each item of a list is."""
    one = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    return one if isinstance(one, type) and issubclass(one, BaseModel) else None


def _is_list(info: FieldInfo | None) -> bool:
    return info is not None and any(get_origin(one) is tuple for one in _members(info.annotation))
