"""Which concepts a probe set shows at all, by its labels: "under-represented" is not "never shown"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from mcd.api.concepts import Concept
from mcd.api.dataset import Sample
from mcd.vocabularies.folding import folded

__all__ = ["coverage"]

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
_ASSESSMENTS = ("0", "1", "2", "3", "4", "4a", "4b", "4c", "5", "6")
_IMPLANT = ("implant", "breast implant", "augmented breast")


def coverage(samples: Iterable[Sample], concepts: Sequence[Concept]) -> pd.DataFrame:
    """Return how often the labels of images say that a concept is there, or that it is not.

    A finding speaks for the concept that has its name as term or synonym; so do view, side, density, assessment and
    implant. Blanks, capitals, hyphens and plurals make no difference. Nothing is inferred: that an image with a
    spiculated margin has a mass is known only where the data set says so. Where one label says that a concept is
    there and another that it is not, it is there.

    Returns
    -------
    pandas.DataFrame
        One row a concept, in their order: concept, positives, negatives, unknown (numbers of images), patients (of
        the positives, as far as the data set tells them apart).
    """
    speaking: dict[str, list[int]] = {}  # by the form of a word
    for number, concept in enumerate(concepts):
        for form in dict.fromkeys(folded(word) for word in (concept.term, *concept.synonyms)):
            speaking.setdefault(form, []).append(number)
    positives, negatives = [0] * len(concepts), [0] * len(concepts)
    patients: list[set[str]] = [set() for _ in concepts]
    forms: dict[str, str] = {}
    images = 0
    for sample in samples:
        images += 1
        states: dict[int, bool] = {}
        for word, there in _statements(sample):
            if word not in forms:
                forms[word] = folded(word)
            for number in speaking.get(forms[word], ()):
                states[number] = states.get(number, False) or there
        for number, there in states.items():
            positives[number] += there
            negatives[number] += not there
            if there and sample.patient:
                patients[number].add(sample.patient)
    return pd.DataFrame(
        {
            "concept": [concept.term for concept in concepts],
            "positives": positives,
            "negatives": negatives,
            "unknown": [images - there - absent for there, absent in zip(positives, negatives, strict=True)],
            "patients": [len(one) for one in patients],
        }
    )


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


def _assessments(told: str) -> Iterator[tuple[str, bool]]:
    """Yield the BI-RADS categories; of 4 it is not known whether it is 4A, 4B or 4C."""
    for one in _ASSESSMENTS:
        if told and not (told == "4" and one.startswith("4") and one != "4"):
            yield f"BI-RADS {one}", told == one or (one == "4" and told.startswith("4"))
