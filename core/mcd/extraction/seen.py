"""What a look at a file found, as plain data: only what it added to what was known before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from mcd.api.dataset import Sample, Unreadable

__all__ = ["plain_of", "result_of"]

_NAMES = tuple(one.name for one in fields(Sample))
_KIND = "left out"
"""Says which subclass of `Unreadable` the rest is of."""


def plain_of(
    found: Sample | Unreadable, sample: Sample, kinds: Mapping[str, type[Unreadable]]
) -> dict[str, object] | None:
    """Return what was found of a sample; None where it is not to be remembered, or cannot be."""
    if isinstance(found, Sample):
        changed = {name: value for name in _NAMES if (value := getattr(found, name)) != getattr(sample, name)}
        if "boxes" in changed or type(found) is not Sample:
            return None
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in changed.items()}
    kind = type(found).__name__
    if kinds.get(kind) is not type(found) or found.source != sample.source:
        return None
    return {_KIND: kind, **{name: value for name, value in vars(found).items() if name != "source"}}


def result_of(
    said: Mapping[str, object], sample: Sample, kinds: Mapping[str, type[Unreadable]]
) -> Sample | Unreadable | None:
    """Return what was found of a sample, from what `plain_of` made of it; None where that cannot be."""
    values = dict(said)
    kind = values.pop(_KIND, None)
    try:
        if kind is None:
            return replace(sample, **values)  # type: ignore[arg-type]  # as they were taken from one
        return kinds[str(kind)](sample.source, **values)  # type: ignore[arg-type]  # likewise
    except (KeyError, TypeError):  # of another version
        return None
