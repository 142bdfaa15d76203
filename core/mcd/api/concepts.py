"""The contract of concept sets: the words that neurons are named with."""

from __future__ import annotations

import abc
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath
from typing import Annotated

import pydantic
from pydantic import Field
from pydantic_core import InitErrorDetails, PydanticCustomError

from mcd.api.base import Configured, digest
from mcd.documents import read_document, read_text, validate_document
from mcd.errors import ConfigError

__all__ = ["Concept", "ConceptEntry", "ConceptSet", "ConceptSource", "join"]

_UNSORTED = "uncategorised"


@dataclass(frozen=True)
class Concept:
    """One thing that a neuron can be named after.

    Parameters
    ----------
    term
        What tables and reports show; unique in its set.
    category, broad_category
        Where it belongs: broad category › category › concept.
    prompt
        What the dissector reads; the term where nothing else is said.
    synonyms
        Other words for it, for people who search. They are not scored.
    mammographic
        False for what is not about the breast: controls and confounders.
    """

    term: str
    category: str
    broad_category: str
    prompt: str = ""
    synonyms: tuple[str, ...] = ()
    mammographic: bool = True

    def __post_init__(self) -> None:
        if not self.prompt:
            object.__setattr__(self, "prompt", self.term)


def _clean(text: str) -> str:
    cleaned = " ".join(unicodedata.normalize("NFC", text).split())
    if not cleaned:
        raise ValueError("must not be empty")
    if not cleaned.isprintable():
        raise ValueError("has a character that cannot be printed")
    return cleaned


def _key(text: str) -> str:
    """Return what makes two terms the same: neither capitals nor blanks make a difference."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def _named_parts(value: object) -> object:
    if not isinstance(value, Mapping):
        raise ValueError("must be names, each with what belongs to it: broad category, category, list of concepts")
    seen: dict[str, str] = {}
    for name in map(str, value):
        if _key(name) in seen:
            raise ValueError(f"'{name}' and '{seen[_key(name)]}' are the same name")
        seen[_key(name)] = name
    return value


def _concept_list(value: object) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError("a category holds a list of concepts, one '- term' a line")
    return value


Name = Annotated[str, pydantic.AfterValidator(_clean)]


class ConceptEntry(pydantic.BaseModel):
    """A concept as it is written in a concept set: only its term, or its term and more."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    term: Name = Field(description="what tables and reports show")
    synonyms: tuple[Name, ...] = Field(default=(), description="other words for it; they are not scored")
    prompt: Name | None = Field(default=None, description="what the dissector reads; by default the term")
    mammographic: bool | None = Field(default=None, description="by default what the set says")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_term(cls, value: object) -> object:
        return {"term": value} if isinstance(value, str | int | float) else value


Entries = Annotated[tuple[ConceptEntry, ...], Field(min_length=1), pydantic.BeforeValidator(_concept_list)]
Categories = Annotated[dict[Name, Entries], Field(min_length=1), pydantic.BeforeValidator(_named_parts)]
BroadCategories = Annotated[dict[Name, Categories], Field(min_length=1), pydantic.BeforeValidator(_named_parts)]


class ConceptSet(pydantic.BaseModel):
    """A vocabulary: concepts in categories, with its licence and where it comes from.

    Examples
    --------
    >>> words = ConceptSet.from_words(["spiculated margin", "skin fold"])
    >>> [concept.prompt for concept in words.concepts]
    ['spiculated margin', 'skin fold']
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="what tables call the set")
    version: str = Field(default="", description="change it when concepts change")
    licence: str = Field(default="", description="SPDX identifier of the licence")
    language: str = Field(default="en", description="language of the terms, as in BCP 47: en, de, pt-BR")
    description: str = Field(default="", description="what the set is for")
    sources: tuple[str, ...] = Field(default=(), description="where the terms come from")
    mammographic: bool = Field(default=True, description="what concepts are unless they say otherwise")
    broad_categories: BroadCategories = Field(description="broad categories › categories › concepts")

    @pydantic.model_validator(mode="after")
    def _distinct_terms(self) -> ConceptSet:
        problems = list(_repeated(self.broad_categories))
        if problems:
            raise pydantic.ValidationError.from_exception_data(type(self).__name__, problems)
        return self

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        """All concepts in the order in which they are written: the columns of P and S."""
        return tuple(
            Concept(
                term=entry.term,
                category=category,
                broad_category=broad,
                prompt=entry.prompt or "",
                synonyms=entry.synonyms,
                mammographic=self.mammographic if entry.mammographic is None else entry.mammographic,
            )
            for broad, categories in self.broad_categories.items()
            for category, entries in categories.items()
            for entry in entries
        )

    def fingerprint(self) -> str:
        """Return a digest of the concepts in their order; the set's name and description take no part."""
        return digest(json.dumps([list(vars(concept).items()) for concept in self.concepts]))

    @classmethod
    def from_file(cls, path: str | Path | Traversable) -> ConceptSet:
        """Read a ``.yaml``, ``.yml`` or ``.toml`` file, or a ``.txt`` file of one term a line.

        Blank lines of a text file are dropped, nothing else: lists published for CLIP-Dissect and its
        descendants are read as they are.

        Raises
        ------
        ConfigError
            When it cannot be read or is not a valid concept set, with the line of every problem.
        """
        file = Path(path) if isinstance(path, str) else path
        suffix = PurePath(file.name).suffix.lower()
        if suffix == ".txt":
            lines = enumerate(read_text(file).splitlines(), start=1)
            words = [(f"{file}:{number}", line) for number, line in lines if line.strip()]
            return cls._from_rows(words, PurePath(file.name).stem, str(file))
        if file.is_file() and suffix not in (".yaml", ".yml", ".toml"):
            raise ConfigError(f"{file}: not a kind of file that is read here", "use .yaml, .yml, .toml or .txt")
        return validate_document(read_document(file), cls)

    @classmethod
    def from_words(cls, words: Sequence[str], name: str = "words") -> ConceptSet:
        """Return a set without categories.

        Raises
        ------
        ConfigError
            When there is no word, or one is empty or given twice.
        """
        if isinstance(words, str):
            raise ConfigError(f"{name}: a list of words is needed, not one text", f"write [{words!r}]")
        return cls._from_rows([(f"{name}, word {at}", word) for at, word in enumerate(words, start=1)], name, name)

    @classmethod
    def _from_rows(cls, rows: Sequence[tuple[str, str]], name: str, source: str) -> ConceptSet:
        if not rows:
            raise ConfigError(f"{source}: there is no concept in it", "write one term a line")
        problems: list[str] = []
        seen: dict[str, str] = {}
        for where, word in rows:
            try:
                first = seen.setdefault(_key(_clean(word)), where)
            except (TypeError, ValueError) as error:
                problems.append(f"{where}: {error}")
                continue
            if first != where:
                problems.append(f"{where}: '{word.strip()}' is given twice, first in {first}")
        if problems:
            raise ConfigError("\n  ".join(problems), "give each term once")
        terms = [{"term": word} for _, word in rows]
        return cls.model_validate({"name": name, "broad_categories": {_UNSORTED: {_UNSORTED: terms}}})


def _repeated(broad_categories: BroadCategories) -> Iterator[InitErrorDetails]:
    """Yield a problem, with its place, for each term that is there already."""
    seen: dict[str, str] = {}
    for broad, categories in broad_categories.items():
        for category, entries in categories.items():
            for at, entry in enumerate(entries):
                first = seen.get(_key(entry.term))
                if first is None:
                    seen[_key(entry.term)] = f"{broad} › {category}"
                    continue
                said = {"term": entry.term, "first": first}
                yield InitErrorDetails(
                    type=PydanticCustomError("repeated_term", "'{term}' is given twice, first in {first}", said),
                    loc=("broad_categories", broad, category, at, "term"),
                    input=None,
                )


class ConceptSource(Configured, abc.ABC):
    """Base of concept sets that are not a file in a package: made by code, read from elsewhere."""

    @abc.abstractmethod
    def load(self) -> ConceptSet:
        """Return the concept set.

        Raises
        ------
        mcd.errors.MCDError
            When it cannot be had.
        """


def join(sets: Sequence[ConceptSet]) -> ConceptSet:
    """Return several sets as one; a term that two of them have is kept once, as the first has it.

    Raises
    ------
    ConfigError
        When there is none.
    """
    if not sets:
        raise ConfigError("there is no concept set to join", "give at least one")
    seen: set[str] = set()
    joined: dict[str, dict[str, list[dict[str, object]]]] = {}
    for concept in (concept for one in sets for concept in one.concepts):
        if _key(concept.term) not in seen:
            seen.add(_key(concept.term))
            entry = {name: value for name, value in vars(concept).items() if name in ConceptEntry.model_fields}
            joined.setdefault(concept.broad_category, {}).setdefault(concept.category, []).append(entry)

    def all_of(values: Iterable[str], between: str) -> str:
        return between.join(dict.fromkeys(value for value in values if value))

    return ConceptSet.model_validate(
        {
            "name": "+".join(one.name for one in sets),
            "version": "+".join(one.version or "?" for one in sets),
            "licence": all_of((one.licence for one in sets), " AND "),  # the way SPDX joins them
            "language": all_of((one.language for one in sets), ", "),
            "description": all_of((one.description for one in sets), "\n"),
            "sources": tuple(dict.fromkeys(source for one in sets for source in one.sources)),
            "broad_categories": joined,
        }
    )
