"""Concepts of images in three states, present, absent and not known, and which patients are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import DataError, UnknownNameError, UsageError, amount, nearest
from mcd.plugins import ABSENT, PRESENT, digest
from mcd_plugins.datasets.annotations import Annotations
from mcd_plugins.finetune.splits import patients_of

__all__ = [
    "UNKNOWN",
    "Groups",
    "Labels",
    "annotated",
    "check_apart",
    "check_divided",
    "groups_of",
    "held_out",
    "of_folders",
    "states_of",
]

UNKNOWN = -1
"""State of a concept of which nothing is known in an image."""
FEWEST = 4
"""Patients that must have a concept, and that must lack it: two to fit on, and two held out."""
_SHOWN = 5

States = NDArray[np.int8]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Whose the images are.

    Parameters
    ----------
    numbers
        ``(images,)``: the patient of each image, from 0. Patients who share an image, to the byte, count as one; an
        image whose patient is not known counts as a patient of its own.
    keys
        A text for each patient that does not depend on the order of images.
    unknown
        Of how many images the patient is not known.
    """

    numbers: Numbers
    keys: tuple[str, ...]
    unknown: int


@dataclass(frozen=True, eq=False)
class Labels:
    """Concepts of images.

    Parameters
    ----------
    names
        The concepts.
    states
        ``(images, concepts)``: PRESENT, ABSENT or `UNKNOWN`.
    left_out
        Concepts that cannot be tested, each with the reason.
    """

    names: tuple[str, ...]
    states: States
    left_out: Mapping[str, str]


def groups_of(samples: Sequence[mcd.Sample]) -> Groups:
    """Return whose images are."""
    lacking = sum(not one.patient for one in samples)
    known = [one if one.patient else replace(one, patient=f"image {one.digest or one.id}") for one in samples]
    number: dict[tuple[str, str], int] = {}
    numbers = [number.setdefault(one, len(number)) for one in patients_of(known)]
    return Groups(np.array(numbers, dtype=np.int64), tuple("\t".join(one) for one in number), lacking)


def states_of(samples: Sequence[mcd.Sample], names: Sequence[str], columns: Sequence[str] = ()) -> States:
    """Return what the labels of images say of concepts, ``(images, concepts)``.

    Parameters
    ----------
    columns
        Label columns whose values are concepts too, as ``COLUMN: VALUE``.
    """
    found = _source(columns).annotate(samples, [mcd.Concept(one, "", "") for one in names])
    return np.where(found.isnan(), UNKNOWN, found.nan_to_num()).astype(np.int8)


def annotated(samples: Sequence[mcd.Sample], groups: Groups, asked: Sequence[str], columns: Sequence[str]) -> Labels:
    """Return the concepts that the labels of a data set know: those asked for, or all that can be tested.

    Parameters
    ----------
    asked
        Names, or several with commas between them; none for all.
    columns
        As in `states_of`; their values are concepts besides those that were asked for.

    Raises
    ------
    UnknownNameError
        When no image says anything of a concept that was asked for.
    DataError
        When one that was asked for, or every one, has too few patients; when nothing is annotated.
    """
    for column in columns:
        if not any(one.labels.get(column) for one in samples):
            known = sorted({label for one in samples for label in one.labels})
            raise UnknownNameError(f"no image has a label column '{column}'", nearest(column, known))
    own = [one.term for one in _source(columns).concepts(samples).concepts]
    named = _named(asked, own) if asked else []
    valued = [one for one in own if one.startswith(tuple(f"{column}: " for column in columns))]
    names = list(dict.fromkeys([*named, *valued])) if asked else own
    states = states_of(samples, names, columns)
    reasons = {name: why for at, name in enumerate(names) if (why := _too_few(states[:, at], groups.numbers))}
    for at, name in enumerate(named):
        if (states[:, at] == UNKNOWN).all():
            raise UnknownNameError(f"no image says whether it shows '{name}'", nearest(name, own, limit=12))
        if name in reasons:
            raise DataError(f"{name}: {reasons[name]}", _MORE)
    kept = [at for at, name in enumerate(names) if name not in reasons]
    if not kept:
        shown = "; ".join(f"{name}: {why}" for name, why in list(reasons.items())[:_SHOWN])
        raise DataError(f"none of {amount(len(names), 'annotated concept')} can be tested: {shown}", _MORE)
    return Labels(tuple(names[at] for at in kept), states[:, kept], reasons)


_MORE = "take more images, or other concepts; mcd data check shows how often each is annotated"


def _source(columns: Sequence[str]) -> Annotations:
    return Annotations(Annotations.Options(labels=tuple(columns)))


def _named(asked: Sequence[str], own: Sequence[str]) -> list[str]:
    """Return the names that were asked for: a text that is a name as a whole, or several with commas."""
    known = {one.casefold(): one for one in own}
    found: list[str] = []
    for text in asked:
        parts = [text] if text.strip().casefold() in known else text.split(",")
        found += [known.get(part.strip().casefold(), part.strip()) for part in parts if part.strip()]
    if not found:
        raise UsageError("--concepts names none", "write --concepts mass,calcifications")
    return list(dict.fromkeys(found))


def _too_few(states: States, patients: Numbers) -> str:
    """Return why a concept cannot be tested; empty where it can."""
    counts = {state: len(np.unique(patients[states == state])) for state in _WORDS}
    for state, other in ((PRESENT, ABSENT), (ABSENT, PRESENT)):
        if not counts[state]:
            known = _patients(counts[other], other)
            return f"one class only: {known}, none known to be {_WORDS[state]} it"
    few = [_patients(count, state) for state, count in counts.items() if count < FEWEST]
    return f"{' and '.join(few)}, of {FEWEST} needed, {FEWEST // 2} to fit on and {FEWEST // 2} held out" if few else ""


def _patients(count: int, state: int) -> str:
    return f"{amount(count, 'patient')} {_WORDS[state]} it"


_WORDS = {PRESENT: "with", ABSENT: "without"}


def of_folders(present: Sequence[mcd.Sample], absent: Sequence[mcd.Sample], name: str, groups: Groups) -> Labels:
    """Return the one concept of two folders: the images of the first show it, those of the second do not.

    Parameters
    ----------
    groups
        Whose the images of both are, those of the first folder first.

    Raises
    ------
    DataError
        When a folder has images of too few patients.
    """
    states = np.array([PRESENT] * len(present) + [ABSENT] * len(absent), dtype=np.int8)
    why = _too_few(states, groups.numbers)
    if why:
        raise DataError(f"{name}: {why}", "take more images; of files without patients each image counts as one")
    return Labels((name,), states[:, None], {})


_APART = "no image, and no patient, is of both"


def check_apart(one: Sequence[mcd.Sample], other: Sequence[mcd.Sample], what: str, than: str) -> None:
    """Refuse two sets that share images, by content or as images of one patient.

    Raises
    ------
    DataError
        Naming the first that they share.
    """
    known = {sample.digest: sample for sample in one if sample.digest}
    same = [sample for sample in other if sample.digest in known]
    if same:
        first = same[0]
        raise DataError(
            f"{amount(len(same), 'image')} {'is' if len(same) == 1 else 'are'} in {what} and in {than}, such as "
            f"{first.source or first.id}",
            f"take {'it' if len(same) == 1 else 'them'} out of one: {_APART}",
        )
    people = {(sample.collection, sample.patient) for sample in one if sample.patient}
    shared = sum((sample.collection, sample.patient) in people for sample in other if sample.patient)
    if shared:
        raise DataError(
            f"{shared} image{' is' if shared == 1 else 's are'} in {than} and of patients who are in {what} too",
            f"leave these patients out of one: {_APART}",
        )


def held_out(states: States, groups: Groups, share: float, seed: int) -> Flags:
    """Return which images are held out, ``(images,)``: all images of some patients, the same ones for all concepts.

    Of the patients of each class of each concept about this share is held out, and two at least, the rarest class
    first (iterative stratification; Sechidis et al. 2011). Who it is depends on the seed and on patients, not on the
    order of images.

    Parameters
    ----------
    states
        ``(images, concepts)``.
    share
        Of the patients, 0…1.
    seed
        Decides who.
    """
    order = sorted(range(len(groups.keys)), key=lambda one: digest("cav", str(seed), groups.keys[one]))
    classes = [{*groups.numbers[states[:, at] == state].tolist()} for at in range(states.shape[1]) for state in _WORDS]
    ordered = [[one for one in order if one in own] for own in classes]
    place: dict[int, bool] = {}
    for own in (*sorted(ordered, key=lambda own: (len(own), [groups.keys[one] for one in own])), order):
        _divide(own, share, place)
    return np.array([place[one] for one in groups.numbers.tolist()], dtype=np.bool_)


def _divide(own: Sequence[int], share: float, place: dict[int, bool]) -> None:
    """Hold out some of these patients, counting those who are divided already."""
    wanted = min(max(round(share * len(own)), FEWEST // 2), len(own) - FEWEST // 2)
    out = sum(place.get(one, False) for one in own)
    for one in own:
        if one not in place:
            place[one] = out < wanted
            out += place[one]


def check_divided(labels: Labels, groups: Groups, out: Flags) -> Labels:
    """Return the concepts of which both parts have two patients with and two without; those divided badly are left out.

    Raises
    ------
    DataError
        When none is left.
    """
    reasons = {}
    for at, name in enumerate(labels.names):
        for state, word in _WORDS.items():
            for part, rows in (("to fit on", ~out), ("held out", out)):
                found = len(np.unique(groups.numbers[rows & (labels.states[:, at] == state)]))
                if found < FEWEST // 2:
                    reasons[name] = f"{found} of the patients {word} it are {part}, of {FEWEST // 2} needed"
    kept = [at for at, name in enumerate(labels.names) if name not in reasons]
    if not kept:
        name, why = next(iter(reasons.items()))
        raise DataError(f"{name}: {why}", "try another --seed, or fewer concepts at once: --concepts")
    return Labels(tuple(labels.names[at] for at in kept), labels.states[:, kept], {**labels.left_out, **reasons})
