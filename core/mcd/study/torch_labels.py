"""What the items of a torch data set say of their images besides the pixels: which labels hold, and the patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["ItemLabels", "classes_of", "labels_in"]

_LABELS = ("findings", "labels", "label", "targets", "target", "class", "y")
"""What the labels of an item that is a mapping are called, the first that is there."""
_PATIENT = ("patient", "patient_id")
_MOST = 100
"""Classes up to which each is a finding; of more, an image has the name of its own alone."""
_NESTED = 4
"""Through how many data sets made of others, such as `torch.utils.data.Subset`, classes are looked for."""


@dataclass(frozen=True)
class ItemLabels:
    """The labels of an item: see `mcd.Sample`."""

    findings: Mapping[str, bool] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    patient: str = ""


def classes_of(items: object) -> tuple[str, ...]:
    """Return the names of the classes of a data set, as torchvision has them (`classes`); empty where it has none."""
    for _ in range(_NESTED):
        found = getattr(items, "classes", None)
        if isinstance(found, Sequence) and not isinstance(found, str):
            names = [str(one[0]) if isinstance(one, tuple) and one else str(one) for one in found]
            return tuple(names) if len(set(names)) == len(names) else ()
        items = getattr(items, "dataset", None)
    return ()


def labels_in(item: object, classes: Sequence[str]) -> ItemLabels:
    """Return what an item ``(image, label)``, or a mapping with both, says, as far as it is understood.

    A label is the number or the name of a class, of which an image has one; or for each class 1, 0 or NaN; or a mapping
    of names to true or false. None and NaN are not known. Anything else, such as boxes, is no label.
    """
    beside: object = None
    about: list[Mapping[object, object]] = []
    if isinstance(item, Mapping):
        beside = next((item[name] for name in _LABELS if name in item), None)
        about.append(item)
    elif isinstance(item, tuple | list) and len(item) > 1:
        beside = item[1]
    if isinstance(beside, Mapping):
        about.append(beside)
    patient = next((str(one[name]) for one in about for name in _PATIENT if one.get(name) not in (None, "")), "")
    findings, labels = _understood(beside, classes)
    return ItemLabels(findings, labels, patient)


def _understood(label: object, classes: Sequence[str]) -> tuple[dict[str, bool], dict[str, str]]:
    if isinstance(label, Mapping):
        truths = {str(name): _truth(value) for name, value in label.items() if str(name) not in _PATIENT}
        return {name: value for name, value in truths.items() if value is not None}, {}
    if isinstance(label, str):
        return _of_class(label, classes)
    values = _numbers(label) if classes else None
    if values is None:
        return {}, {}
    if values.ndim == 0 and float(values).is_integer() and 0 <= values < len(classes):
        return _of_class(classes[int(values)], classes)
    if values.shape == (len(classes),):
        truths = dict(zip(classes, map(_truth, values.tolist()), strict=True))
        return {name: value for name, value in truths.items() if value is not None}, {}
    return {}, {}


def _of_class(name: str, classes: Sequence[str]) -> tuple[dict[str, bool], dict[str, str]]:
    if name in classes and len(classes) <= _MOST:
        return {one: one == name for one in classes}, {"label": name}
    return {}, {"label": name}


def _truth(value: object) -> bool | None:
    """Return what a value says; None where it says nothing, or is no truth at all."""
    number = _numbers(value)
    return bool(number) if number is not None and number.ndim == 0 and number in (0, 1) else None


def _numbers(value: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    if value is None or isinstance(value, str | bytes | Mapping):
        return None
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):  # a ragged list, a tensor elsewhere
        return None
