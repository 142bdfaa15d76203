"""Labels of other tools looked up in a concept set, or made one of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcd.api.concept_entries import clean, key
from mcd.api.concepts import ConceptSet
from mcd.errors import printable
from mcd.study.vocabularies.folding import folded

__all__ = ["Matched", "matched"]

_UNSORTED = "uncategorised"


@dataclass(frozen=True)
class Matched:
    """Labels as concepts.

    Parameters
    ----------
    concepts
        The set: that of the labels, or the one that they were looked up in, with those that it has not after it.
    term
        Label → its term there.
    ambiguous
        Labels that several concepts could be, with their terms. They are kept as they are.
    strangers
        Terms of the labels that the set has not, ambiguous ones included; they count as not mammographic.
    """

    concepts: ConceptSet
    term: Mapping[str, str]
    ambiguous: Mapping[str, tuple[str, ...]]
    strangers: tuple[str, ...] = ()


def matched(labels: Sequence[str], name: str, concepts: ConceptSet | None = None) -> Matched:
    """Return labels as concepts of a set.

    A label is a concept where it is its term but for capitals and blanks; or else where it is a spelling of its term or
    of a synonym, and of no other's.

    Parameters
    ----------
    labels
        Each once, with a letter at least.
    name
        What a set that is made of them is called.
    concepts
        The set that they are looked up in; None for one of the labels themselves.
    """
    terms: dict[str, str] = {}
    own = {label: terms.setdefault(key(_cleaned(label)), _cleaned(label)) for label in labels}
    if concepts is None:
        entries = [{"term": term} for term in terms.values()]
        made = {"name": name, "broad_categories": {_UNSORTED: {_UNSORTED: entries}}}
        return Matched(ConceptSet.model_validate(made), own, {})
    exact = {key(one.term): one.term for one in concepts.concepts}
    forms: dict[str, dict[str, None]] = {}
    for one in concepts.concepts:
        for word in (one.term, *one.synonyms):
            forms.setdefault(folded(word), {})[one.term] = None
    found: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    strangers: dict[str, None] = {}
    for label, term in own.items():
        meant = tuple(forms.get(folded(term), ()))
        if key(term) in exact:
            found[label] = exact[key(term)]
        elif len(meant) == 1:
            found[label] = meant[0]
        else:
            found[label] = term
            strangers[term] = None
            if meant:
                ambiguous[label] = meant
    return Matched(_with(concepts, tuple(strangers)), found, ambiguous, tuple(strangers))


def _cleaned(label: str) -> str:
    return clean(printable(label))


def _with(concepts: ConceptSet, strangers: Sequence[str]) -> ConceptSet:
    """Return a set with terms that it has not, which are not mammographic as far as is known."""
    if not strangers:
        return concepts
    place = f"not in {concepts.name}"
    data = concepts.model_dump(mode="json", exclude_defaults=True)
    data["broad_categories"][place] = {place: [{"term": one, "mammographic": False} for one in strangers]}
    return ConceptSet.model_validate(data)
