"""Findings about a concept set, and how they are reported. Light: the command line reads the kinds for its flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["TITLES", "Group", "Lint", "LintFinding", "LintKind", "Merge"]

LintKind = Literal["double", "two-categories", "shared-word", "alike", "cut", "unknown", "negation", "small"]
TITLES: Mapping[LintKind, str] = {
    "double": "one term twice, but for number, hyphens or spelling",
    "two-categories": "one term in two categories, but for number, hyphens or spelling",
    "shared-word": "a word for two concepts",
    "alike": "so alike to the dissector that they split each other's probability",
    "cut": "longer than what the dissector reads",
    "unknown": "with words that the dissector's tokenizer does not know",
    "negation": "described by what is absent; image-text models hardly distinguish that from its presence",
    "small": "categories too small to compare",
}


@dataclass(frozen=True)
class LintFinding:
    """One finding about a concept set.

    Parameters
    ----------
    kind
        What sort of thing.
    about
        The terms, or the category, that it is about.
    text
        It in words.
    """

    kind: LintKind
    about: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Merge:
    """Two concepts that could be one.

    Parameters
    ----------
    score
        1 for one word in two spellings or a word that both claim, else the cosine of their centred embeddings.
    terms
        The two.
    cosine
        Of their centred embeddings; NaN without a dissector.
    taken
        For an image that says the one, what part the other takes of the probability of both; both ways round. NaN
        without a dissector, or for a scorer without a softmax.
    why
        In words.
    """

    score: float
    terms: tuple[str, str]
    cosine: float
    taken: tuple[float, float]
    why: str


@dataclass(frozen=True)
class Group:
    """A broad category, how many concepts it has, and its share: what it gets of labels that mean nothing."""

    name: str
    concepts: int
    share: float
    categories: int


@dataclass(frozen=True)
class Lint:
    """All that was found.

    Parameters
    ----------
    findings
        In the order of `TITLES`, then of the set.
    merges
        Pairs that could be one concept, the likeliest first.
    groups
        Broad categories with sizes and shares.
    unrelated
        What part a concept that has nothing to do with the image takes: what ``taken`` is to be read against. NaN
        without a dissector, or for a scorer without a softmax.
    not_checked
        What could not be checked, and why.
    """

    findings: tuple[LintFinding, ...]
    merges: tuple[Merge, ...]
    groups: tuple[Group, ...]
    unrelated: float
    not_checked: tuple[str, ...]
