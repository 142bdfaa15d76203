"""The dissector ``annotations``: the labels of a data set give concepts meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

import pydantic
import torch

import mcd
from mcd.plugins import ABSENT, PRESENT, presence, split_rows

__all__ = ["Annotations"]

_SIDES = {"L": "left breast", "R": "right breast"}
_ACQUISITION, _COMPOSITION = "Acquisition", "Anatomy and composition"
_FINDINGS = "Findings and characterisation"
_COLUMNS = ("vendor", "collection")
"""Facts of an image that are a word of their own, as COLUMN: VALUE."""
_Place = tuple[str, str, str]
"""Broad category, category and term of a concept."""


class Annotations(mcd.AnnotationDissector):
    """The data set's own labels as concepts: no weights, any data set with labels.

    P is 1 where a concept is annotated as present, 0 where it is annotated as absent, NaN where nothing is known: an
    image of which nothing is known takes no part in the score of that concept. Without a concept set, the concepts are
    all that is annotated: findings, density, implant, BI-RADS assessment, view, side, vendor, the collection where
    there are several, and the values of the columns that `labels` names. Of a vocabulary, those concepts are answered
    that have the name of a label as term or synonym.
    """

    class Options(mcd.Options):
        """Settings of the annotations."""

        fewest: int = pydantic.Field(
            default=10,
            ge=1,
            le=1_000_000,
            description="how many patients (images where patients are not known) must have a concept, and how many "
            "must lack it, for it to be assessed",
        )
        labels: tuple[str, ...] = pydantic.Field(
            default=(),
            description="columns of the data set's own labels whose values are concepts too, as COLUMN: VALUE",
        )

        @pydantic.field_validator("labels", mode="before")
        @classmethod
        def _as_list(cls, given: object) -> object:
            return [one.strip() for one in given.split(",") if one.strip()] if isinstance(given, str) else given

    options: Options
    name = "annotations"

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self.fewest = self.options.fewest

    def concepts(self, samples: Sequence[mcd.Sample]) -> mcd.ConceptSet:
        """Return all that is annotated of some image, as present or absent."""
        broad: dict[str, dict[str, list[dict[str, object]]]] = {}
        seen: set[str] = set()
        for group, category, term in [*_findings(samples), *_facts(samples), *self._columns(samples)]:
            if term.casefold() not in seen:
                seen.add(term.casefold())
                entry = {"term": term, "mammographic": group != _ACQUISITION}
                broad.setdefault(group, {}).setdefault(category, []).append(entry)
        if not broad:
            raise mcd.errors.DataError(
                "the data set annotates nothing: its images have no findings and no other labels",
                "use a data set with labels (mcd data check shows them), or an image–text model as dissector; a torch "
                "data set has labels where items are (image, {'mass': True}), or (image, number) and it has `classes`",
            )
        return mcd.ConceptSet.model_validate(
            {"name": "annotations", "description": "what the data set annotates", "broad_categories": broad}
        )

    def _columns(self, samples: Sequence[mcd.Sample]) -> Iterator[_Place]:
        for column in _COLUMNS:
            values = sorted({value for one in samples for value in _values(one, column)})
            for value in values if column == "vendor" or len(values) > 1 else ():
                yield _ACQUISITION, column.capitalize(), f"{column}: {value}"
        for column in self.options.labels:
            for value in sorted({value for one in samples for value in _values(one, column)}):
                yield "Labels of the data set", column, f"{column}: {value}"

    def annotate(self, samples: Sequence[mcd.Sample], concepts: Sequence[mcd.Concept]) -> torch.Tensor:
        """Return 1, 0 or NaN of each image and concept, ``(images, concepts)``."""
        known = torch.from_numpy(presence(samples, concepts))
        found = torch.full(known.shape, float("nan"))
        found[known == PRESENT], found[known == ABSENT] = 1, 0
        for number, concept in enumerate(concepts):
            for column in (*_COLUMNS, *self.options.labels):
                if concept.term.startswith(f"{column}: "):
                    found[:, number] = _holds(samples, column, concept.term.removeprefix(f"{column}: "))
        return found


def _findings(samples: Sequence[mcd.Sample]) -> Iterator[_Place]:
    known = _lexicon()
    for name in sorted({name for sample in samples for name in sample.findings}):
        yield *known.get(name.casefold(), (_FINDINGS, "Findings")), name


def _facts(samples: Sequence[mcd.Sample]) -> Iterator[_Place]:
    for letter in sorted({one.density for one in samples if one.density}):
        yield _COMPOSITION, "Breast composition", f"breast composition {letter}"
    if any(one.implant is not None for one in samples):
        yield _COMPOSITION, "Implant", "breast implant"
    for number in sorted({one.assessment for one in samples if one.assessment}):
        yield "Interpretation", "Assessment", f"BI-RADS {number}"
    for view in sorted({one.view for one in samples if one.view}):
        yield _ACQUISITION, "View", f"{view} view"
    for side in sorted({one.laterality for one in samples if one.laterality in _SIDES}):
        yield _ACQUISITION, "Side", _SIDES[side]


def _values(sample: mcd.Sample, column: str) -> list[str]:
    return split_rows(getattr(sample, column) if column in _COLUMNS else sample.labels.get(column, ""))


def _holds(samples: Sequence[mcd.Sample], column: str, value: str) -> torch.Tensor:
    """Return for each image whether a column has a value, ``(images,)``: 1, 0, or NaN where it has none."""
    each = ([said.casefold() for said in _values(one, column)] for one in samples)
    return torch.tensor([float(value.casefold() in said) if said else float("nan") for said in each])


@cache
def _lexicon() -> dict[str, tuple[str, str]]:
    """Return where the findings of data sets belong in the lexicon that they are named by: term → categories."""
    terms = mcd.ConceptSet.from_file(files("mcd_concepts").joinpath("birads.yaml")).concepts
    return {one.term.casefold(): (one.broad_category, one.category) for one in terms}
