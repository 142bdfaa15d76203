"""What is known of images besides concepts, and is taken out of features before a direction is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import mcd
from mcd.errors import UnknownNameError, UsageError, nearest

__all__ = ["column_of"]

_FIELDS = ("view", "laterality", "density", "assessment", "vendor", "split", "collection")
_WHO = ("id", "patient", "exam")
_MOST = 20
_PARTS = 5


def column_of(name: str, samples: Sequence[mcd.Sample]) -> list[str]:
    """Return what images have of a nuisance, as categories; empty where it is not known.

    Numbers of more than five different values, such as ages, become fifths of equal size.

    Parameters
    ----------
    name
        A field of samples (view, laterality, density, assessment, vendor, implant, split, collection), a finding, or a
        label column.

    Raises
    ------
    UnknownNameError
        When no image has anything of the kind.
    UsageError
        When it says who somebody is, has one value only, or more than 20 that are no numbers.
    """
    if name in _WHO:
        raise UsageError(f"nuisance '{name}' says whose the images are", "name what images of several patients share")
    found = _values(name, samples)
    distinct = sorted({*found} - {""})
    if not distinct:
        known = [one for one in (*_FIELDS, "implant") if any(_values(one, samples))]
        known += sorted({label for one in samples for label in one.labels})
        raise UnknownNameError(f"no image has a nuisance '{name}'", nearest(name, known, limit=12))
    if len(distinct) == 1:
        raise UsageError(f"nuisance '{name}' is '{distinct[0]}' in all images", "leave it out")
    numbers = _numbers(found)
    if numbers is not None and len(distinct) > _PARTS:
        known_ones = np.array([one for one in numbers if one is not None])
        cuts = np.quantile(known_ones, np.arange(1, _PARTS) / _PARTS)
        return ["" if one is None else str(int(np.searchsorted(cuts, one, side="right"))) for one in numbers]
    if len(distinct) > _MOST:
        raise UsageError(
            f"nuisance '{name}' has {len(distinct)} different values, such as {', '.join(distinct[:3])}",
            f"take one of at most {_MOST}, or numbers",
        )
    return found


def _values(name: str, samples: Sequence[mcd.Sample]) -> list[str]:
    if name in _FIELDS:
        return [str(getattr(one, name)) for one in samples]
    if name == "implant":
        return ["" if one.implant is None else "yes" if one.implant else "no" for one in samples]
    if any(name in one.findings for one in samples):
        states = [one.findings.get(name) for one in samples]
        return ["" if state is None else "present" if state else "absent" for state in states]
    return [one.labels.get(name, "").strip() for one in samples]


def _numbers(values: Sequence[str]) -> list[float | None] | None:
    """Return values as numbers, None where there is none; None in their place where one is no number."""
    try:
        found = [float(one) if one else None for one in values]
    except ValueError:
        return None
    return found if all(one is None or np.isfinite(one) for one in found) else None
