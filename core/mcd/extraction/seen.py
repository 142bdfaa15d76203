"""What examining a file found, as text: only what it added to what was known before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace

from mcd.api.dataset import Sample, Unreadable

__all__ = ["result_of", "sample_text", "text_of"]

_NAMES = tuple(one.name for one in fields(Sample))
_KIND = "left out"
"""Says which subclass of `Unreadable` the rest is of."""


def sample_text(sample: Sample) -> str:
    """Return all that is known of a sample as one text; empty where that is not plain data."""
    values = dict(vars(sample), findings=dict(sample.findings), labels=dict(sample.labels), facts=dict(sample.facts))
    values["boxes"] = [list(vars(one).values()) for one in sample.boxes]
    try:
        return json.dumps(values)
    except (TypeError, ValueError):  # numbers of numpy, for instance
        return ""


def text_of(found: Sample | Unreadable, sample: Sample, kinds: Mapping[str, type[Unreadable]]) -> bytes | None:
    """Return what was found of a sample; None where it is not to be remembered, or cannot be."""
    plain = _plain(found, sample, kinds)
    if plain is None:
        return None
    try:
        text = json.dumps(plain, separators=(",", ":"))
    except (TypeError, ValueError):
        return None
    return text.encode() if json.loads(text) == plain else None


def _plain(
    found: Sample | Unreadable, sample: Sample, kinds: Mapping[str, type[Unreadable]]
) -> dict[str, object] | None:
    if isinstance(found, Sample):
        changed = {name: value for name in _NAMES if (value := getattr(found, name)) != getattr(sample, name)}
        if "boxes" in changed or type(found) is not Sample:
            return None
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in changed.items()}
    kind = type(found).__name__
    if kinds.get(kind) is not type(found) or found.source != sample.source:
        return None
    return {_KIND: kind, **{name: value for name, value in vars(found).items() if name != "source"}}


def result_of(text: bytes, sample: Sample, kinds: Mapping[str, type[Unreadable]]) -> Sample | Unreadable | None:
    """Return what was found of a sample, from what `text_of` made of it; None where that cannot be."""
    values = json.loads(text)
    kind = values.pop(_KIND, None)
    try:
        return replace(sample, **values) if kind is None else kinds[kind](sample.source, **values)
    except (KeyError, TypeError):  # of another version
        return None
