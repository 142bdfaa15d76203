"""Tasks by name: which label each image has, out of which classes; unknown where a data set does not say."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import DataError, UnknownNameError, amount, nearest
from mcd.plugins import split_rows

__all__ = ["NAMED", "UNKNOWN", "Task", "task_of"]

UNKNOWN = -1
"""Class of an image whose label is not known."""
_MOST_CLASSES = 20
"""More values than that are measurements or names, no classes."""
_PRESENCE = {
    **dict.fromkeys(("1", "yes", "y", "true", "present", "positive", "1.0"), 1),
    **dict.fromkeys(("0", "no", "n", "false", "absent", "negative", "0.0"), 0),
}
_NOT_KNOWN = frozenset(("unknown", "not known", "nan", "na", "n/a", "null", "?"))
"""What tables say where they do not know: no class, and no absence."""
_DENSITIES = {name: at % 4 for at, name in enumerate(("a", "b", "c", "d", "1", "2", "3", "4"))}
_ASSESSMENTS = {**{str(at): at - 1 for at in range(1, 6)}, **{f"4{letter}": 3 for letter in "abc"}}
_OFF_SCALE = ("0", "6")
"""Assessments that are no degree of suspicion: incomplete, and known malignancy."""
_SUSPICIOUS = (
    "amorphous calcifications",
    "coarse heterogeneous calcifications",
    "fine pleomorphic calcifications",
    "fine linear calcifications",
    "fine linear branching calcifications",
    "fine-linear branching calcifications",
)
"""Morphologies that make calcifications suspicious (BI-RADS, 5th edition)."""

NAMED: Mapping[str, str] = {
    "density": "BI-RADS composition, a to d",
    "assessment": "BI-RADS category 1 to 5; 4a to 4c count as 4, 0 and 6 are left out",
    "mass": "whether there is a mass",
    "suspicious calcification": "whether there are calcifications of suspicious morphology",
    "calcification": "whether there are calcifications",
}
"""Tasks that need no column, each with what it tells apart."""
_ALSO = {"bi-rads": "assessment", "birads": "assessment", "calcifications": "calcification", "masses": "mass"} | {
    "suspicious calcifications": "suspicious calcification"
}
_FACTS = ("view", "laterality", "vendor", "implant")


@dataclass(frozen=True, eq=False)
class Task:
    """What is learned.

    Parameters
    ----------
    name
        ``density``, ``mass``, a finding or a label column.
    classes
        What the outputs of a classifier stand for, in order; two for a yes or no question, whose one output is the
        second.
    ordinal
        Whether the classes have an order.
    labels
        ``(images,)`` the class of each image, `UNKNOWN` where it is not known.
    rows
        ``(images, 2)`` how many rows of the release's table say no, and how many yes, of a yes or no question: the
        published scripts count these, not images.
    left_out
        What is to be said of images without a label.
    """

    name: str
    classes: tuple[str, ...]
    ordinal: bool
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    left_out: str = ""

    @property
    def binary(self) -> bool:
        """Whether it is a yes or no question, with one output."""
        return len(self.classes) == 2

    @property
    def outputs(self) -> int:
        """How many outputs a classifier has."""
        return 1 if self.binary else len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """What the outputs are called: one that is a finding has the name of that concept."""
        if self.binary and self.classes[0] == f"no {self.classes[1]}":
            return (self.classes[1],)
        return tuple(f"{self.name} {one}" for one in (self.classes[1:] if self.binary else self.classes))

    @property
    def known(self) -> NDArray[np.int64]:
        """Rows of the images that have a label."""
        return np.flatnonzero(self.labels != UNKNOWN)


def task_of(name: str, samples: Sequence[mcd.Sample], column: str | None = None) -> Task:
    """Return a task with the labels of images.

    Parameters
    ----------
    name
        One of `NAMED`, a finding, a fact (view, laterality, vendor, implant) or a label column.
    column
        The label column that holds the labels of the task, where the data set does not give them in its own words.

    Raises
    ------
    UnknownNameError
        When nothing is called so; the hint has the nearest name.
    DataError
        When no image has a label, all have the same, or the column holds labels of another task.
    """
    asked = name.strip().lower()
    asked = _ALSO.get(asked, asked)
    if column is not None:
        task = _of_column(asked, name, samples, column)
    elif asked == "density":
        task = _scaled("density", [one.density for one in samples], _DENSITIES, "abcd", "density")
    elif asked == "assessment":
        task = _assessment([one.assessment for one in samples], "assessment")
    elif (finding := _finding(asked, samples)) is not None:
        task = _of_finding(asked if asked in NAMED else finding, finding, samples)
    elif asked in _FACTS:
        task = _nominal(asked, [_fact(one, asked) for one in samples])
    else:
        task = _nominal(name, _column_values(name, samples))
    return _checked(task)


def _finding(asked: str, samples: Sequence[mcd.Sample]) -> str | None:
    """Return the finding that a task asks for, as the data set calls it; None where it is none."""
    distinct = {id(one.findings): one.findings for one in samples}.values()
    known = {concept for findings in distinct for concept in findings}
    forms = (asked, f"{asked}s", asked.removesuffix("s"), asked.removesuffix("es"))
    found = next((one for one in forms if one in known), None)
    if found is None and asked in NAMED:
        return "suspicious calcifications" if asked == "suspicious calcification" else forms[1]
    return found


def _of_finding(name: str, finding: str, samples: Sequence[mcd.Sample]) -> Task:
    states = [one.findings.get(finding) for one in samples]
    if finding == "suspicious calcifications" and not any(state is not None for state in states):
        states = [_any_of(one.findings) for one in samples]
    if all(state is None for state in states):
        raise DataError(
            f"no image says whether there is {finding}, which task '{name}' asks for",
            _where(name, samples),
        )
    labels = np.array([UNKNOWN if state is None else int(state) for state in states], dtype=np.int64)
    rows = np.array([_rows(one, finding, label) for one, label in zip(samples, labels, strict=True)], dtype=np.int64)
    return Task(name, (f"no {finding}", finding), False, labels, rows)


def _any_of(findings: Mapping[str, bool]) -> bool | None:
    """Return whether calcifications are of a suspicious morphology; None where no morphology is known."""
    states = [findings[name] for name in _SUSPICIOUS if name in findings]
    return any(states) if states else None


def _rows(sample: mcd.Sample, finding: str, label: int) -> tuple[int, int]:
    """Return how many rows of the release say no, and yes: of an image with several boxes, a row a box."""
    if label == UNKNOWN:
        return 0, 0
    places = {(one.x0, one.y0, one.x1, one.y1) for one in sample.boxes}
    positive = {(one.x0, one.y0, one.x1, one.y1) for one in sample.boxes if one.finding == finding}
    rows = [value.lower().split(" | ") for value in sample.labels.values()]
    named = max((sum(finding.removesuffix("s") in one for one in row) for row in rows), default=0)
    total = max(1, len(places), *(len(row) for row in rows))
    yes = min(total, max(len(positive), named, label)) if label else 0
    return total - yes, yes


def _scaled(name: str, values: Sequence[str], scale: Mapping[str, int], classes: Iterable[str], what: str) -> Task:
    """Return an ordinal task; values that are none of the scale are labels of another task."""
    texts = [_bare(value, name) for value in values]
    strange = sorted({text for text in texts if text and text not in scale})
    if strange:
        raise DataError(
            f"{what} holds labels of another task than {name}: {', '.join(strange[:5])} "
            f"{'is' if len(strange) == 1 else 'are'} none of {', '.join(scale)}",
            f"train for that column itself: --task {what.split(chr(39))[1]}" if "'" in what else "see the data set",
        )
    labels = np.array([scale.get(text, UNKNOWN) for text in texts], dtype=np.int64)
    return Task(name, tuple(classes), True, labels, np.zeros((len(labels), 2), dtype=np.int64))


def _assessment(values: Sequence[str], what: str) -> Task:
    beside = [_bare(value, "assessment") in _OFF_SCALE for value in values]
    values = ["" if off else value for off, value in zip(beside, values, strict=True)]
    task = _scaled("assessment", values, _ASSESSMENTS, "12345", what)
    if not any(beside):
        return task
    return replace(task, left_out=f"{amount(sum(beside), 'image')} of BI-RADS 0 or 6, which are no degree of suspicion")


def _bare(value: str, name: str) -> str:
    """Return a value without the words around it: ``DENSITY B`` and ``BI-RADS 4a``, and of equal rows one."""
    rows = _known_rows(split_rows(value))
    said = {re.sub(r"^(bi-?rads|density|category|acr)[\s:]*", "", one.lower()) for one in rows}
    if len(said) > 1 and name == "assessment":
        said = {max(said)}  # of several findings the most suspicious
    return said.pop() if len(said) == 1 else "; ".join(sorted(said))


def _of_column(asked: str, name: str, samples: Sequence[mcd.Sample], column: str) -> Task:
    values, what = _column_values(column, samples), f"column '{column}'"
    if asked == "density":
        return _scaled("density", values, _DENSITIES, "abcd", what)
    if asked == "assessment":
        return _assessment(values, what)
    each = [_known_rows(split_rows(value.lower())) for value in values]
    strange = sorted({one for row in each for one in row} - _PRESENCE.keys())
    if strange:
        raise DataError(
            f"{what} holds labels of another task than {name}: {', '.join(strange[:5])} "
            f"{'says' if len(strange) == 1 else 'say'} neither yes nor no",
            f"train for that column itself: --task {column}",
        )
    return _yes_or_no(name, each)


def _known_rows(rows: Iterable[str]) -> list[str]:
    """Return what the rows of an image say, without those that say nothing."""
    return [text for one in rows if (text := one.strip()) and text.lower() not in _NOT_KNOWN]


def _yes_or_no(name: str, each: Sequence[Sequence[str]]) -> Task:
    """Return the task of a column whose rows, one or several an image, say yes or no: present where one says so."""
    states = [[_PRESENCE[one] for one in row] for row in each]
    labels = np.array([max(row, default=UNKNOWN) for row in states], dtype=np.int64)
    rows = np.array([(row.count(0), row.count(1)) for row in states], dtype=np.int64)
    return Task(name, (f"no {name}", name), False, labels, rows)


def _column_values(column: str, samples: Sequence[mcd.Sample]) -> list[str]:
    if not any(column in one.labels for one in samples):
        raise UnknownNameError(f"no image has a label or finding '{column}'", _where(column, samples))
    return [one.labels.get(column, "") for one in samples]


def _where(name: str, samples: Sequence[mcd.Sample]) -> str:
    """Return the hint with the nearest name of what can be learned from these images."""
    known = [fact for fact in ("density", "assessment", *_FACTS) if any(_fact(one, fact) for one in samples)]
    known += sorted({concept for one in samples for concept in one.findings})
    known += sorted({label for one in samples for label in one.labels})
    return nearest(name, known) if known else "these images have no labels: take a data set that has, such as csv:FILE"


def _fact(sample: mcd.Sample, name: str) -> str:
    if name == "implant":
        return "" if sample.implant is None else "yes" if sample.implant else "no"
    return str(getattr(sample, name))


def _nominal(name: str, values: Sequence[str]) -> Task:
    """Return the task of a column: yes or no, ordered where all values are numbers, else without order."""
    each = [_known_rows(split_rows(value.lower())) for value in values]
    if any(each) and all(one in _PRESENCE for row in each for one in row):
        return _yes_or_no(name, each)
    texts = [_one_of(name, value) for value in values]
    distinct = sorted({text for text in texts if text})
    numbers = _numbers(distinct)
    named: dict[float, str] = {}
    for number, text in sorted(zip(numbers, distinct, strict=False), key=lambda one: (one[0], len(one[1]))):
        named.setdefault(number, text)  # 2 and 2.0 are one class
    ordered = list(named.values()) if numbers else distinct
    if len(ordered) > _MOST_CLASSES:
        raise DataError(
            f"'{name}' has {len(ordered)} different values, such as {', '.join(distinct[:3])}: no classes",
            f"take a column of at most {_MOST_CLASSES}",
        )
    place = {text: ordered.index(named[float(text)] if numbers else text) for text in distinct}
    labels = np.array([place.get(text, UNKNOWN) for text in texts], dtype=np.int64)
    rows = np.stack([labels == 0, labels == 1], axis=1).astype(np.int64)
    return Task(name, tuple(ordered), bool(numbers), labels, rows)


def _one_of(name: str, value: str) -> str:
    """Return what all rows of an image say; empty where none says anything.

    Raises
    ------
    DataError
        When they say several things.
    """
    said = list(dict.fromkeys(_known_rows(value.split(" | "))))
    if len(said) > 1:
        raise DataError(
            f"'{name}' says several things of one image, {' and '.join(said[:3])}: no class",
            "take a column that says one of an image; of findings it may be yes and no",
        )
    return said[0] if said else ""


def _numbers(values: Sequence[str]) -> list[float]:
    """Return values as numbers; nothing where one of them is none."""
    try:
        found = [float(value) for value in values]
    except ValueError:
        return []
    return found if all(map(math.isfinite, found)) else []


def _checked(task: Task) -> Task:
    """Return a task without the classes that no image has.

    Raises
    ------
    DataError
        When fewer than two are left.
    """
    there = np.unique(task.labels[task.known])
    if not len(there):
        raise DataError(f"no image has a label for task '{task.name}'", "name the column that has them: --column NAME")
    if len(there) == 1:
        raise DataError(
            f"{amount(len(task.known), 'labelled image')} of one class, '{task.classes[there[0]]}': nothing can be "
            f"learned for task '{task.name}'",
            "take images of both, or another --task",
        )
    unlabelled = int((task.labels == UNKNOWN).sum())
    said = task.left_out or (f"{amount(unlabelled, 'image')} whose label is not known" if unlabelled else "")
    absent = [one for at, one in enumerate(task.classes) if at not in there]
    if task.left_out and unlabelled:
        said = f"{said}, and others whose label is not known: {unlabelled} together"
    if not absent:
        return replace(task, left_out=said)
    place = {int(old): new for new, old in enumerate(there)}
    labels = np.array([place.get(int(one), UNKNOWN) for one in task.labels], dtype=np.int64)
    return replace(task, classes=tuple(task.classes[at] for at in there), labels=labels, left_out=said)
