"""Which concepts a probe set shows at all, by its labels: "under-represented" is not "never shown"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.api.closed import CLOSED
from mcd.api.concepts import Concept
from mcd.api.dataset import Sample
from mcd.study.vocabularies.folding import folded

__all__ = ["ABSENT", "PRESENT", "UNKNOWN", "coverage", "presence"]

PRESENT = 1
"""The data set says that the image shows the concept."""
ABSENT = 0
"""The data set says that the image does not show the concept."""
UNKNOWN = -1
"""State of a concept in the labels of an image."""

_VIEWS: Mapping[str, tuple[str, ...]] = {
    "CC": ("CC view", "craniocaudal view"),
    "MLO": ("MLO view", "mediolateral oblique view"),
    "ML": ("ML view", "mediolateral view"),
    "LM": ("LM view", "lateromedial view"),
    "LMO": ("LMO view", "lateromedial oblique view"),
    "XCCL": ("XCCL view", "exaggerated craniocaudal view lateral"),
    "XCCM": ("XCCM view", "exaggerated craniocaudal view medial"),
    "FB": ("FB view", "from-below view", "caudocranial view"),
    "SIO": ("SIO view", "superolateral-inferomedial oblique view"),
    "ISO": ("ISO view", "inferolateral-superomedial oblique view"),
}
_SIDES = {"L": "left", "R": "right"}
_IMPLANT = ("implant", "breast implant", "augmented breast")


def coverage(samples: Iterable[Sample], concepts: Sequence[Concept]) -> pd.DataFrame:
    """Return in how many images a concept is labelled present, and in how many absent; see `presence`.

    Returns
    -------
    pandas.DataFrame
        One row a concept, in their order: concept, positives, negatives, unknown (numbers of images), patients (of
        the positives, where known; NA where no image has a patient).
    """
    samples = list(samples)
    known = presence(samples, concepts)
    positives, negatives = (known == PRESENT).sum(axis=0), (known == ABSENT).sum(axis=0)
    patients: list[set[str]] = [set() for _ in concepts]
    for row, number in np.argwhere(known == PRESENT).tolist():
        patients[number].add(samples[row].patient)
    with_patients = any(one.patient for one in samples)
    return pd.DataFrame(
        {
            "concept": [concept.term for concept in concepts],
            "positives": positives,
            "negatives": negatives,
            "unknown": len(samples) - positives - negatives,
            "patients": pd.array([len(one - {""}) if with_patients else pd.NA for one in patients], dtype="Int64"),
        }
    )


def presence(samples: Sequence[Sample], concepts: Sequence[Concept]) -> NDArray[np.int8]:
    """Return the labelled state of each concept in each image, ``(images, concepts)``: PRESENT, ABSENT or UNKNOWN.

    A finding labels the concept that has its name as term or synonym; so do view, side, density, assessment and
    implant. Blanks, capitals, hyphens and plurals make no difference. Nothing is inferred: that an image with a
    spiculated margin has a mass is known only where the data set says so. A concept that one label
    calls present and another absent is present.
    """
    speaking: dict[str, list[int]] = {}  # by the form of a word
    for number, concept in enumerate(concepts):
        for form in dict.fromkeys(folded(word) for word in (concept.term, *concept.synonyms)):
            speaking.setdefault(form, []).append(number)
    asked: dict[str, list[int]] = {}
    known = np.full((len(samples), len(concepts)), UNKNOWN, dtype=np.int8)
    for row, sample in enumerate(samples):
        states: dict[int, bool] = {}
        for word, there in _statements(sample):
            if word not in asked:
                asked[word] = speaking.get(folded(word), [])
            for number in asked[word]:
                states[number] = states.get(number, False) or there
        known[row, list(states)] = list(states.values())
    return known


def _statements(sample: Sample) -> Iterator[tuple[str, bool]]:
    """Yield everything that the labels of an image say, as a word and whether it holds."""
    yield from sample.findings.items()
    yield from _views(sample)
    for side, word in _SIDES.items():
        if sample.laterality in _SIDES:
            yield f"{word} breast", sample.laterality == side
    for letter in "abcd":
        if sample.density:
            yield f"breast composition {letter}", sample.density == letter
    yield from _assessments(sample.assessment)
    if sample.implant is not None:
        yield from ((word, sample.implant) for word in _IMPLANT)


def _views(sample: Sample) -> Iterator[tuple[str, bool]]:
    for view, words in _VIEWS.items():
        if not sample.view:
            return
        for word in words:
            yield word, sample.view == view
            for side, name in _SIDES.items():
                if sample.view != view or sample.laterality in _SIDES:
                    yield f"{name} {word}", (sample.view, sample.laterality) == (view, side)


def _assessments(assessment: str) -> Iterator[tuple[str, bool]]:
    """Yield the BI-RADS categories; of 4 it is not known whether it is 4A, 4B or 4C."""
    for one in CLOSED["assessment"]:
        if assessment and not (assessment == "4" and one.startswith("4") and one != "4"):
            yield f"BI-RADS {one}", assessment == one or (one == "4" and assessment.startswith("4"))
