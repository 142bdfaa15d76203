"""How concepts are written as prompts: settings of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import pydantic

from mcd.api.base import digest
from mcd.options import Settings

if TYPE_CHECKING:
    from mcd.api.concepts import Concept

__all__ = ["Wording"]

PLACE = "{concept}"


class Wording(Settings):
    """How concepts become texts, and texts become one similarity a concept."""

    templates: tuple[str, ...] = pydantic.Field(
        default=(),
        description="sentence around a concept, such as 'a mammogram showing {concept}'; the normalised embeddings "
        "of several are averaged",
    )
    synonyms: Literal["off", "max", "log-mean-exp"] = pydantic.Field(
        default="off",
        description="whether an image is also compared with the synonyms of a concept, and how their cosines become "
        "one before the scorer sees them",
    )
    sharpness: float = pydantic.Field(
        default=10.0, gt=0, le=1e6, description="of log-mean-exp: the higher, the nearer to max"
    )
    reference: str = pydantic.Field(
        default="", description="a prompt without a concept, whose cosine with the image is subtracted from every other"
    )

    @pydantic.field_validator("templates", mode="before")
    @classmethod
    def _one_or_more(cls, templates: object) -> object:
        return (templates,) if isinstance(templates, str) else templates

    @pydantic.field_validator("templates")
    @classmethod
    def _placed(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if template.count(PLACE) != 1:
                example = f"'a mammogram showing {PLACE}'"
                raise ValueError(f"template {template!r} must hold {PLACE} once, where the concept goes: {example}")
        return templates

    def texts(self, form: str) -> list[str]:
        """Return a text in every template; by itself where there are none."""
        return [template.replace(PLACE, form) for template in self.templates] or [form]

    def names(self, concept: Concept) -> list[list[str]]:
        """Return the names under which a concept is compared with images; each is one text or several."""
        own = [text for form in concept.prompts for text in self.texts(form)]
        also = [] if self.synonyms == "off" else [self.texts(one) for one in concept.synonyms]
        return [own, *also]

    def idle(self, concepts: Sequence[Concept]) -> str:
        """Say what of these settings changes nothing with these concepts; an empty text where all of them do."""
        if self.synonyms != "off" and not any(one.synonyms for one in concepts):
            return f"no concept has synonyms: --synonyms {self.synonyms} changes nothing"
        return ""

    def fingerprint(self, concepts: Sequence[Concept]) -> str:
        """Return a digest of everything that a dissector reads, and what becomes of it."""
        texts = [text for concept in concepts for name in self.names(concept) for text in name]
        return digest(self.model_dump_json(), *texts)
