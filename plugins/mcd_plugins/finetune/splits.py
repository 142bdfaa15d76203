"""Training, validation and test part: no patient is in two, and nothing is chosen on the test part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import DataError, UnknownNameError, UsageError, amount, nearest
from mcd.plugins import digest
from mcd_plugins.finetune.tasks import UNKNOWN, Task

__all__ = ["PARTS", "Parts", "check_enough", "drawn", "patients_of", "published"]

PARTS = ("training", "validation", "test")
FEWEST: Mapping[str, int] = {"training": 5, "validation": 2, "test": 2}
"""Patients of each class that a part needs."""
_WORDS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development", "tuning"), "validation"),
    **dict.fromkeys(("test", "testing", "evaluation", "eval"), "test"),
}

Patient = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Parts:
    """Which image belongs to which part.

    Parameters
    ----------
    part
        ``(images,)`` texts of `PARTS`; empty for images without a label.
    patients
        Of each image: collection and key.
    source
        How it was made, in words.
    digest
        Of part and data-set id of every image: the same images divided alike give the same.
    """

    part: NDArray[np.str_]
    patients: tuple[Patient, ...]
    source: str
    digest: str

    def rows(self, part: str) -> NDArray[np.int64]:
        """Return the images of a part, by row."""
        return np.flatnonzero(self.part == part)

    def numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a number for the patient of each of these images, from 0 in order of first appearance."""
        known: dict[Patient, int] = {}
        return np.array([known.setdefault(self.patients[row], len(known)) for row in rows], dtype=np.int64)


def patients_of(samples: Sequence[mcd.Sample]) -> tuple[Patient, ...]:
    """Return the patient of each image; patients who share an image, to the byte, count as one, the first of them.

    Raises
    ------
    DataError
        When one is not known: its other images could be in another part.
    """
    lacking = sum(not one.patient for one in samples)
    if lacking:
        raise DataError(
            f"{lacking} of {len(samples)} images do not say whose they are: a split by patient cannot be made",
            "name the column of patients (csv: --dataset-arg patient=COLUMN), or --where 'patient != unknown'",
        )
    same: dict[Patient, Patient] = {}

    def first(one: Patient) -> Patient:
        while same.get(one, one) != one:
            one = same[one]
        return one

    of_image: dict[str, Patient] = {}
    for sample in samples:
        own = first((sample.collection, sample.patient))
        other = first(of_image.setdefault(sample.digest, own)) if sample.digest else own
        same[max(own, other)] = min(own, other)
    return tuple(first((one.collection, one.patient)) for one in samples)


def drawn(samples: Sequence[mcd.Sample], task: Task, shares: tuple[float, float, float], seed: int) -> Parts:
    """Return parts drawn by patient, each with about the same share of patients of every class.

    Parameters
    ----------
    shares
        Of patients in training, validation and test; they add to 1.
    seed
        Decides who goes where. A patient's place does not depend on the order of images.
    """
    patients = patients_of(samples)
    counts = Counter(task.labels[task.known].tolist())
    classes: dict[Patient, set[int]] = defaultdict(set)
    for row in task.known:
        classes[patients[row]].add(int(task.labels[row]))
    strata: dict[int, list[Patient]] = defaultdict(list)
    for patient, own in classes.items():
        strata[min(own, key=lambda one: (counts[one], one))].append(patient)  # by their rarest class
    place: dict[Patient, str] = {}
    for label in sorted(strata):
        order = sorted(strata[label], key=lambda one: digest("split", str(seed), *one))
        place |= dict(zip(order, _dealt(len(order), shares), strict=True))
    part = [place.get(one, "") if task.labels[row] != UNKNOWN else "" for row, one in enumerate(patients)]
    return _made(samples, part, patients, f"drawn by patient, {'/'.join(f'{one:g}' for one in shares)}, seed {seed}")


def _dealt(count: int, shares: tuple[float, float, float]) -> list[str]:
    """Return the part of each of so many patients: shares rounded, but at least two for each that is not empty."""
    validation, test = (max(round(share * count), min(2, count // 5)) if share else 0 for share in shares[1:])
    return ["test"] * test + ["validation"] * validation + ["training"] * (count - test - validation)


def published(
    samples: Sequence[mcd.Sample], task: Task, column: str, shares: tuple[float, float, float], seed: int
) -> Parts:
    """Return the parts that a column says; a validation part that it lacks is drawn from training, by patient.

    Parameters
    ----------
    column
        ``split``, the data set's own word for it, or a label column.
    shares, seed
        As in `drawn`: how much of the training part validates where none is published.

    Raises
    ------
    UnknownNameError
        When no image has the column.
    DataError
        When parts share patients, a value is no part, or there is no test part.
    """
    patients = patients_of(samples)
    values = [
        one.split or one.labels.get("split", "") if column == "split" else one.labels.get(column, "") for one in samples
    ]
    if not any(values):
        names = sorted({name for one in samples for name in one.labels})
        raise UnknownNameError(f"no image has a column '{column}', which is to say its part", nearest(column, names))
    labelled = task.labels != UNKNOWN
    strange = sorted({value for value, known in zip(values, labelled, strict=True) if known} - _known(values))
    if strange:
        shown = ", ".join(f"'{one}'" for one in strange[:5])
        raise DataError(
            f"column '{column}' says {shown}, which is neither training, validation nor test",
            "draw the parts: leave --split out",
        )
    part = [_WORDS[value.strip().lower()] if known else "" for value, known in zip(values, labelled, strict=True)]
    _refuse_shared(part, patients, column)
    if "test" not in part:
        raise DataError(f"column '{column}' has no test part", "draw the parts: leave --split out")
    source = f"as published in column '{column}'"
    if "validation" not in part:
        share = shares[1] / (shares[0] + shares[1])
        own = [at for at, one in enumerate(part) if one == "training"]
        inner = drawn([samples[at] for at in own], _only(task, own), (1 - share, share, 0.0), seed)
        for at, one in zip(own, inner.part, strict=True):
            part[at] = str(one)
        source += f"; validation drawn by patient from training, {share:.3g}, seed {seed}"
    return _made(samples, part, patients, source)


def _known(values: Sequence[str]) -> set[str]:
    return {value for value in values if value.strip().lower() in _WORDS}


def _only(task: Task, rows: Sequence[int]) -> Task:
    return replace(task, labels=task.labels[list(rows)], rows=task.rows[list(rows)])


def _refuse_shared(part: Sequence[str], patients: Sequence[Patient], column: str) -> None:
    found: dict[Patient, set[str]] = defaultdict(set)
    for where, patient in zip(part, patients, strict=True):
        if where:
            found[patient].add(where)
    shared = [sorted(one, key=PARTS.index) for one in found.values() if len(one) > 1]
    if shared:
        raise DataError(
            f"column '{column}' puts {amount(len(shared), 'patient')}, or images of equal bytes, into two parts, such "
            f"as {' and '.join(shared[0])}",
            "draw the parts by patient: leave --split out",
        )


def _made(samples: Sequence[mcd.Sample], part: Sequence[str], patients: tuple[Patient, ...], source: str) -> Parts:
    lines = sorted(f"{one.collection}\t{one.id}\t{where}" for one, where in zip(samples, part, strict=True) if where)
    return Parts(np.array(part, dtype=np.str_), patients, source, digest(*lines))


def check_enough(task: Task, parts: Parts) -> None:
    """Refuse parts that have too few patients of a class to learn it, or to say how well it was learned.

    Raises
    ------
    DataError
        Naming class, part and number.
    """
    for part, fewest in FEWEST.items():
        rows = parts.rows(part)
        for at, name in enumerate(task.classes):
            found = len({parts.patients[row] for row in rows if task.labels[row] == at})
            if found < fewest:
                raise DataError(
                    f"the {part} part has {amount(found, 'patient')} with '{name}' for task '{task.name}': at "
                    f"least {fewest} "
                    "are needed",
                    "take more patients, another --task, or other --shares",
                )


def check_shares(shares: Sequence[float]) -> tuple[float, float, float]:
    """Return the shares of the parts.

    Raises
    ------
    UsageError
        When they are not three positive numbers that add to 1.
    """
    if len(shares) != 3 or not all(one > 0 for one in shares) or abs(sum(shares) - 1) > 1e-6:
        raise UsageError(
            f"--shares {','.join(f'{one:g}' for one in shares)}: three numbers above 0 that add to 1 are needed",
            "write --shares 0.7,0.15,0.15",
        )
    training, validation, test = shares
    return training, validation, test
