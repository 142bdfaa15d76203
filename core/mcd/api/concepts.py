"""The contract of concept sets: the words that neurons are named with."""

from __future__ import annotations

import abc
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath
from typing import Annotated, Literal

import pydantic
from pydantic import Field
from pydantic_core import InitErrorDetails

from mcd.api.base import Configured, digest
from mcd.api.concept_entries import AsWritten, BroadCategories, ConceptEntry, Name, clean, foreign, key, repeated
from mcd.api.schema import Schema
from mcd.api.shown import concept_set_html
from mcd.documents import SUFFIXES, Document, read_document, read_text, validate_document
from mcd.errors import ConfigError, amount
from mcd.files import expanded
from mcd.options import in_words

__all__ = ["Concept", "ConceptEntry", "ConceptFile", "ConceptSet", "ConceptSource", "join"]

SCHEMA = Schema("concepts", remedy="see the format that is read with: mcd concepts schema")
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
    prompts
        Forms of what the dissector reads, never empty; the term where nothing else is said.
    synonyms
        Other words for it. They are scored only where synonyms are pooled.
    mammographic
        False for what is not about the breast: controls and confounders.
    opposite
        What is said where it is absent ("no mass"), or an empty text.
    codes
        Its codes in other vocabularies: name → code.
    """

    term: str
    category: str
    broad_category: str
    prompts: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    mammographic: bool = True
    opposite: str = ""
    codes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if isinstance(self.prompts, str):
            raise TypeError(f"concept '{self.term}': prompts is a text; write prompts=({self.prompts!r},)")
        if not self.prompts:
            object.__setattr__(self, "prompts", (self.term,))

    @property
    def prompt(self) -> str:
        """The first of its prompts."""
        return self.prompts[0]


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
    version: Annotated[str, AsWritten] = Field(default="", description="change it when concepts change")
    licence: str = Field(default="", description="SPDX identifier of the licence")
    language: str = Field(default="en", description="language of the terms, as in BCP 47: en, de, pt-BR")
    description: str = Field(default="", description="what the set is for")
    sources: tuple[str, ...] = Field(default=(), description="where the terms come from")
    mammographic: bool = Field(default=True, description="the default of its concepts")
    counterparts: dict[Name, Name] = Field(
        default_factory=dict,
        description="broad category → the broad category of the published set that it stands for in the paper",
    )
    broad_categories: BroadCategories = Field(description="broad categories › categories › concepts")

    @pydantic.model_validator(mode="after")
    def _coherent(self) -> ConceptSet:
        problems = self._problems()
        if problems:
            raise pydantic.ValidationError.from_exception_data(type(self).__name__, problems)
        return self

    def _problems(self) -> list[InitErrorDetails]:
        return [*repeated(self.broad_categories), *foreign(self.counterparts, self.broad_categories)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {amount(len(self.concepts), 'concept')}>"

    def _repr_html_(self) -> str:
        return concept_set_html(self)

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        """All concepts in the order in which they are written: the columns of P and S."""
        return tuple(
            Concept(
                term=entry.term,
                category=category,
                broad_category=broad,
                prompts=entry.read_as,
                synonyms=entry.synonyms,
                mammographic=self.mammographic if entry.mammographic is None else entry.mammographic,
                opposite=entry.opposite or "",
                codes=entry.codes,
            )
            for broad, categories in self.broad_categories.items()
            for category, entries in categories.items()
            for entry in entries
        )

    def fingerprint(self) -> str:
        """Return a digest of what decides a run: the concepts in their order, where they belong, and their prompts.

        The set's name and description, opposites and codes take no part; nor do synonyms, which decide only where a
        study pools them: what is read then is in the digest of its wording.
        """
        decisive = ("term", "category", "broad_category", "prompts", "mammographic")
        return digest(json.dumps([[getattr(concept, name) for name in decisive] for concept in self.concepts]))

    @classmethod
    def from_file(cls, path: str | Path | Traversable) -> ConceptSet:
        """Read a ``.yaml`` or ``.yml`` file, or a ``.txt`` file of one term a line.

        Blank lines of a text file are dropped, nothing else: lists published for CLIP-Dissect and its
        descendants are read as they are.

        Raises
        ------
        ConfigError
            When it cannot be read or is not a valid concept set, with the line of every problem.
        """
        file = expanded(path) if isinstance(path, str | Path) else path
        suffix = PurePath(file.name).suffix.lower()
        if suffix == ".txt":
            lines = enumerate(read_text(file).splitlines(), start=1)
            words = [(f"{file}:{number}", line) for number, line in lines if line.strip()]
            return cls._from_rows(words, PurePath(file.name).stem, str(file))
        if file.is_file() and suffix not in (*SUFFIXES, ".toml"):  # of TOML, the reader of documents says what to do
            raise ConfigError(
                f"{file}: not a kind of file that is read here",
                "use .yaml, .yml or .txt; make one of other files with: mcd concepts import",
            )
        return _whole(file, ())

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
    def from_categories(cls, categories: Mapping[str, Sequence[str]], name: str = "words") -> ConceptSet:
        """Return a set of categories with their words.

        Raises
        ------
        ConfigError
            When a category is no list of words, or a word is empty or given twice.
        """
        for category, words in categories.items():
            if isinstance(words, str) or not isinstance(words, Sequence) or not words:
                raise ConfigError(
                    f"{name}: category {category!r} is no list of words", f"write {{{category!r}: [word, …]}}"
                )
        rows = [(f"{name}, {category}", word) for category, words in categories.items() for word in words]
        cls._from_rows(rows, name, name)  # says what is wrong with the words
        sorted_out = {category: [{"term": word} for word in words] for category, words in categories.items()}
        try:
            return cls.model_validate({"name": name, "broad_categories": {_UNSORTED: sorted_out}})
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ConfigError(
                f"{name}: {'.'.join(map(str, first['loc'][1:]))}: {in_words(first)}",
                "see the format with: mcd concepts schema",
            ) from None

    @classmethod
    def _from_rows(cls, rows: Sequence[tuple[str, str]], name: str, source: str) -> ConceptSet:
        if not rows:
            raise ConfigError(f"{source}: there is no concept in it", "write one term a line")
        problems: list[str] = []
        seen: dict[str, str] = {}
        for where, word in rows:
            try:
                first = seen.setdefault(key(clean(word)), where)
            except (TypeError, ValueError) as error:
                problems.append(f"{where}: {error}")
                continue
            if first != where:
                problems.append(f"{where}: '{word.strip()}' is given twice, first in {first}")
        if problems:
            raise ConfigError(problems[0], "give each term once", problems[1:])
        terms = [{"term": word} for _, word in rows]
        return cls.model_validate({"name": name, "broad_categories": {_UNSORTED: {_UNSORTED: terms}}})


class ConceptFile(ConceptSet):
    """A concept set as it is written in a file: it may take in others that lie beside it."""

    model_config = pydantic.ConfigDict(
        title="concept set of mcd",
        json_schema_extra={"anyOf": [{"required": [name]} for name in ("broad_categories", "includes")]},
    )

    schema_: Annotated[Literal["mcd.concepts/1"], pydantic.BeforeValidator(SCHEMA.checked)] = Field(
        default="mcd.concepts/1", alias="schema", description="version of this format"
    )
    includes: tuple[Name, ...] = Field(
        default=(), description="files beside this one, whose concepts come first; a term of several is kept once"
    )
    broad_categories: BroadCategories = Field(
        default_factory=dict, description="broad categories › categories › concepts; not needed beside includes"
    )

    @pydantic.field_validator("includes")
    @classmethod
    def _beside(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name in (".", "..") or any(mark in name for mark in "/\\:"):
                raise ValueError(f"'{name}' is not the name of a file beside this one")
        return names

    def _problems(self) -> list[InitErrorDetails]:
        if self.includes:  # what a counterpart names may be in another file
            return list(repeated(self.broad_categories))
        if not self.broad_categories:
            return [InitErrorDetails(type="missing", loc=("broad_categories",), input=None)]
        return super()._problems()


def _whole(file: Path | Traversable, within: tuple[str, ...]) -> ConceptSet:
    """Return the set of a file, with all it includes; ``within`` names the files that include it."""
    document = read_document(file)
    written = validate_document(document, ConceptFile, "mcd concepts schema")
    own = ConceptSet.model_construct(**{name: getattr(written, name) for name in ConceptSet.model_fields})
    if not written.includes:
        return own
    parts = [
        _included(file, name, (*within, file.name), f"{document.source}:{document.line(('includes', at))}")
        for at, name in enumerate(written.includes)
    ]
    return _including(own, parts, document)


def _included(file: Path | Traversable, name: str, within: tuple[str, ...], where: str) -> ConceptSet:
    if name in within:
        raise ConfigError(
            f"{where}: the files include each other: {' › '.join((*within, name))}", "take one of the includes out"
        )
    folder = getattr(file, "parent", None)  # paths and files in a zip have one, other Traversables need not
    beside = folder.joinpath(name) if isinstance(folder, Traversable) else None
    if beside is None or not beside.is_file():
        raise ConfigError(
            f"{where}: there is no file {name} beside {file.name}",
            "included files lie beside the set: put it there, or take the include out",
        )
    if PurePath(name).suffix.lower() == ".txt":
        return ConceptSet.from_file(beside)
    return _whole(beside, within)


def _including(own: ConceptSet, parts: Sequence[ConceptSet], document: Document) -> ConceptSet:
    """Return a set with those it includes; its own name, version and sources replace theirs."""
    joined = join([*parts, own] if own.broad_categories else parts)
    problems = list(foreign(own.counterparts, joined.broad_categories))
    if problems:
        where = f"{document.source}:{document.line(problems[0]['loc'])}"
        raise ConfigError(
            f"{where}: setting '{'.'.join(map(str, problems[0]['loc']))}': {problems[0]['type']}",
            "see the format with: mcd concepts schema",
        )
    return joined.model_copy(
        update={
            "name": own.name,
            "version": own.version or "+".join(one.version or "?" for one in parts),
            "licence": _licences([own, *parts]),
            "description": own.description or joined.description,
            "sources": tuple(dict.fromkeys([*own.sources, *joined.sources])),
            "counterparts": joined.counterparts | own.counterparts,
        }
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
        if key(concept.term) not in seen:
            seen.add(key(concept.term))
            entry = {name: value for name, value in vars(concept).items() if name in ConceptEntry.model_fields}
            entry["opposite"] = concept.opposite or None
            joined.setdefault(concept.broad_category, {}).setdefault(concept.category, []).append(entry)

    def all_of(values: Iterable[str], between: str) -> str:
        return between.join(dict.fromkeys(value for value in values if value))

    return ConceptSet.model_validate(
        {
            "name": "+".join(one.name for one in sets),
            "version": "+".join(one.version or "?" for one in sets),
            "licence": _licences(sets),
            "language": all_of((one.language for one in sets), ", "),
            "description": all_of((one.description for one in sets), "\n"),
            "sources": tuple(dict.fromkeys(source for one in sets for source in one.sources)),
            "counterparts": {
                name: one.counterparts[name] for one in reversed(sets) for name in one.counterparts if name in joined
            },
            "broad_categories": joined,
        }
    )


def _licences(sets: Iterable[ConceptSet]) -> str:
    """Return the licences of several sets the way SPDX joins them, each once."""
    parts = dict.fromkeys(part for one in sets for part in one.licence.split(" AND ") if part)
    return " AND ".join(f"({part})" if " OR " in part and len(parts) > 1 and part[0] != "(" else part for part in parts)
