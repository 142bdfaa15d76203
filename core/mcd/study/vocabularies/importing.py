"""Terms found in files become one concept set, and every decision on the way is reported."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pydantic
import yaml

from mcd.api.concept_entries import clean, key
from mcd.api.concepts import ConceptSet
from mcd.errors import ConfigError, nearest
from mcd.options import in_words
from mcd.study.vocabularies.reading import Found, read_terms

__all__ = ["Imported", "Precedence", "import_files"]

Precedence = Literal["last", "first"]
_UNSORTED = "uncategorised"


@dataclass(frozen=True)
class Imported:
    """A concept set made of files, and what became of what they hold.

    Parameters
    ----------
    concepts
        The set.
    document
        The same, as it is written to a file.
    counts
        How much was found, kept and left out: words → number.
    groups
        Broad category → terms in any of its cells, and terms that were kept there.
    several
        Term → the places it was found at, for those in several; the one that counts comes first.
    without_category, not_listed
        Terms of the list that no category holds; terms of categories that are not in the list, which are left out.
    """

    concepts: ConceptSet
    document: str
    counts: Mapping[str, int]
    groups: Mapping[str, tuple[int, int]]
    several: Mapping[str, tuple[str, ...]]
    without_category: tuple[str, ...]
    not_listed: tuple[str, ...]


@dataclass
class _Term:
    """One term with everything that was found of it, in order."""

    text: str
    listed: bool = False
    cells: list[Found] = field(default_factory=list)


def import_files(
    paths: Sequence[Path],
    name: str,
    *,
    licence: str = "",
    language: str = "en",
    precedence: Precedence = "last",
    controls: Sequence[str] = (),
) -> Imported:
    """Make one concept set of vocabularies in other formats.

    Where one file is a plain list and another has categories, the list says which terms there are, as in the
    published pair of a list and a workbook. Terms are the same when only blanks and capitals differ.

    Parameters
    ----------
    paths
        Files of the kinds that `read_terms` reads.
    precedence
        Which cell decides about a term that stands in several: the published analysis lets the last one win.
    controls
        Broad categories that say nothing about the breast.

    Raises
    ------
    mcd.errors.MCDError
        When a file cannot be read, or a control is not a broad category.
    """
    files = [read_terms(path) for path in paths]
    lists = [found for found in files if not any(one.category or one.broad_category for one in found)]
    has_list = bool(lists) and len(lists) < len(files)
    terms: dict[str, _Term] = {}
    for found in sorted(files, key=lambda one: one not in lists):  # the list's spelling counts
        for one in found:
            term = terms.setdefault(key(one.text), _Term(_cleaned(one)))
            term.listed |= found in lists
            if not has_list or found not in lists:
                term.cells.append(one)
    cells = [one for found in files for one in found if not has_list or found not in lists]
    at = {id(one): number for number, one in enumerate(cells)}
    chosen = [text for text, term in terms.items() if term.listed or not has_list]
    chosen.sort(key=lambda text: at[id(_deciding(terms[text], precedence))] if terms[text].cells else len(at))
    kept = {text: terms[text] for text in chosen}
    data = {
        "name": name,
        "licence": licence,
        "language": language,
        "description": f"Imported. Of several places of a term the {precedence} one counts.",
        "sources": [f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths],
        "broad_categories": _arranged(kept.values(), precedence, _controls(controls, kept.values(), precedence)),
    }
    return Imported(
        concepts=_validated(data),
        document=yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=118),
        counts=_counts(lists if has_list else [], cells, terms, kept),
        groups=_groups(kept.values(), precedence),
        several={
            term.text: tuple(one.where for one in _ordered(term, precedence))
            for term in kept.values()
            if len(term.cells) > 1
        },
        without_category=tuple(term.text for term in kept.values() if not _place(term, precedence)[2]),
        not_listed=tuple(term.text for text, term in terms.items() if text not in kept),
    )


def _cleaned(found: Found) -> str:
    try:
        return clean(found.text)
    except ValueError as error:
        raise ConfigError(f"{found.where}: {error}", "correct the file; see: mcd concepts import --help") from None


def _validated(data: Mapping[str, object]) -> ConceptSet:
    try:
        return ConceptSet.model_validate(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"{' › '.join(map(str, first['loc']))}: {in_words(first)}",
            "correct the file; see: mcd concepts import --help",
        ) from None


def _ordered(term: _Term, precedence: Precedence) -> list[Found]:
    return term.cells if precedence == "first" else term.cells[::-1]


def _deciding(term: _Term, precedence: Precedence) -> Found:
    """Return the place of a term that says where it belongs; the one that counts where none does."""
    ordered = _ordered(term, precedence)
    return next((one for one in ordered if one.category.strip() or one.broad_category.strip()), ordered[0])


def _place(term: _Term, precedence: Precedence) -> tuple[str, str, bool]:
    """Return broad category, category, and whether any file names them; one name serves as both."""
    if not term.cells:
        return _UNSORTED, _UNSORTED, False
    decisive = _deciding(term, precedence)
    broad, category = " ".join(decisive.broad_category.split()), " ".join(decisive.category.split())
    return broad or category or _UNSORTED, category or broad or _UNSORTED, bool(broad or category)


def _controls(names: Sequence[str], terms: Iterable[_Term], precedence: Precedence) -> set[str]:
    there = {key(broad): broad for broad, _, _ in (_place(term, precedence) for term in terms)}
    for name in names:
        if key(name) not in there:
            raise ConfigError(f"no broad category is called '{name}'", nearest(name, there.values()))
    return {key(name) for name in names}


def _arranged(terms: Iterable[_Term], precedence: Precedence, controls: set[str]) -> dict[str, dict[str, list[object]]]:
    """Return broad categories › categories › entries, in the order in which the files have them."""
    spelled: dict[str, str] = {}
    arranged: dict[str, dict[str, list[object]]] = {}
    for term in terms:
        broad, category, _ = _place(term, precedence)
        there = arranged.setdefault(spelled.setdefault(key(broad), broad), {})
        column = spelled.setdefault(f"{key(broad)}\n{key(category)}", category)
        there.setdefault(column, []).append(_entry(term, precedence, key(broad) in controls))
    return arranged


def _entry(term: _Term, precedence: Precedence, control: bool) -> object:
    cells = _ordered(term, precedence)
    synonyms = {key(word): " ".join(word.split()) for one in cells for word in one.synonyms if key(word)}
    synonyms.pop(key(term.text), None)
    optional = {
        "synonyms": list(synonyms.values()),
        "prompt": next((one.prompt for one in cells if one.prompt.strip()), ""),
        "opposite": next((one.opposite for one in cells if one.opposite.strip()), ""),
    }
    entry: dict[str, object] = {"term": term.text, **{name: value for name, value in optional.items() if value}}
    flags = [one.mammographic for one in cells if one.mammographic is not None]
    if control or flags:
        entry["mammographic"] = False if control else flags[0]
    return entry if len(entry) > 1 else term.text


def _counts(
    lists: Sequence[Sequence[Found]], cells: Sequence[Found], terms: Mapping[str, _Term], kept: Mapping[str, _Term]
) -> dict[str, int]:
    counts: dict[str, int] = {}
    if lists:
        counts["terms in the list"] = sum(map(len, lists))
    counts["places of terms" if lists else "terms found"] = len(cells)
    counts["distinct as written"] = len({one.text for one in cells})
    counts["distinct but for blanks and capitals"] = len({key(one.text) for one in cells})
    counts["in several places"] = sum(len(term.cells) > 1 for term in kept.values())
    if lists:
        counts["in the list, without a category"] = sum(not term.cells for term in kept.values())
        counts["with a category, not in the list"] = len(terms) - len(kept)
    counts["concepts"] = len(kept)
    return counts


def _groups(terms: Iterable[_Term], precedence: Precedence) -> dict[str, tuple[int, int]]:
    inside: dict[str, int] = {}
    won: dict[str, int] = {}
    for term in terms:
        broad, _, placed = _place(term, precedence)
        won[broad] = won.get(broad, 0) + 1
        every = [" ".join((one.broad_category or one.category).split()) for one in term.cells] if placed else [broad]
        for name in filter(None, dict.fromkeys(every)):
            inside[name] = inside.get(name, 0) + 1
    return {name: (count, won.get(name, 0)) for name, count in inside.items()}
