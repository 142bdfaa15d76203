"""How a concept set is written: its concepts, categories and broad categories, and what is wrong with them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import pydantic
from pydantic import Field
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

__all__ = ["AsWritten", "BroadCategories", "ConceptEntry", "Name", "clean", "foreign", "key", "repeated"]


def clean(text: str) -> str:
    """Return a name without stray blanks.

    Raises
    ------
    ValueError
        When nothing is left, or something that cannot be printed.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", text).split())
    if not cleaned:
        raise ValueError("must not be empty")
    if not cleaned.isprintable():
        raise ValueError("has a character that cannot be printed")
    return cleaned


def key(text: str) -> str:
    """Return what makes two terms the same: neither capitals nor blanks make a difference."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def _named_parts(value: object) -> object:
    if not isinstance(value, Mapping):
        raise ValueError("must be names, each with what belongs to it: broad category, category, list of concepts")
    seen: dict[str, str] = {}
    for name in map(str, value):
        if key(name) in seen:
            raise ValueError(f"'{name}' and '{seen[key(name)]}' are the same name")
        seen[key(name)] = name
    return value


def _concept_list(value: object) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError("a category holds a list of concepts, one '- term' a line")
    return value


Name = Annotated[str, pydantic.AfterValidator(clean)]
AsWritten = pydantic.WithJsonSchema({"type": ["string", "number"]})
"""Schema for editors: a number in YAML is read as the text that is written."""


class ConceptEntry(pydantic.BaseModel):
    """A concept as it is written in a concept set: only its term, or its term and more."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    term: Name = Field(description="what tables and reports show")
    synonyms: tuple[Name, ...] = Field(default=(), description="other words for it; scored only where they are pooled")
    prompt: Name | None = Field(default=None, description="what the dissector reads; by default the term")
    prompts: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
        default=None, description="several forms of what the dissector reads, instead of prompt"
    )
    mammographic: bool | None = Field(default=None, description="by default that of the set")
    opposite: Name | None = Field(default=None, description="what is said where it is absent: no mass")
    codes: dict[Name, Annotated[Name, AsWritten]] = Field(
        default_factory=dict, description="its codes in other vocabularies, such as SCT: 129768003"
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_term(cls, value: object) -> object:
        return {"term": value} if isinstance(value, str | int | float) else value

    @pydantic.model_validator(mode="after")
    def _one_way_to_be_read(self) -> ConceptEntry:
        if self.prompt and self.prompts:
            raise ValueError("give prompt or prompts, not both")
        seen = [key(prompt) for prompt in self.prompts or ()]
        twice = next((prompt for at, prompt in enumerate(self.prompts or ()) if seen[at] in seen[:at]), None)
        if twice:
            raise ValueError(f"prompt '{twice}' is given twice")
        return self

    @property
    def read_as(self) -> tuple[str, ...]:
        """Everything the dissector reads for it."""
        return self.prompts or (self.prompt or self.term,)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, object]:
        """Say to editors what the validator above takes."""
        found = handler.resolve_ref_schema(handler(schema))
        return {
            "description": "a concept: its term, or its term and more",
            "anyOf": [{"type": ["string", "number"]}, dict(found)],
        }


Entries = Annotated[tuple[ConceptEntry, ...], Field(min_length=1), pydantic.BeforeValidator(_concept_list)]
Categories = Annotated[dict[Name, Entries], Field(min_length=1), pydantic.BeforeValidator(_named_parts)]
BroadCategories = Annotated[dict[Name, Categories], Field(min_length=1), pydantic.BeforeValidator(_named_parts)]


def repeated(broad_categories: BroadCategories) -> Iterator[InitErrorDetails]:
    """Yield a problem, with its place, for each repeated term."""
    seen: dict[str, str] = {}
    for broad, categories in broad_categories.items():
        for category, entries in categories.items():
            for at, entry in enumerate(entries):
                first = seen.get(key(entry.term))
                if first is None:
                    seen[key(entry.term)] = f"{broad} › {category}"
                    continue
                said = {"term": entry.term, "first": first}
                yield InitErrorDetails(
                    type=PydanticCustomError("repeated_term", "'{term}' is given twice, first in {first}", said),
                    loc=("broad_categories", broad, category, at, "term"),
                    input=None,
                )


def foreign(counterparts: Mapping[str, str], broad_categories: Mapping[str, object]) -> Iterator[InitErrorDetails]:
    """Yield a problem, with its place, for each counterpart of a broad category that there is not."""
    there = ", ".join(broad_categories)
    for name in counterparts:
        if name not in broad_categories:
            said = {"name": name, "there": there}
            yield InitErrorDetails(
                type=PydanticCustomError("no_category", "there is no broad category '{name}'; there is: {there}", said),
                loc=("counterparts", name),
                input=None,
            )
