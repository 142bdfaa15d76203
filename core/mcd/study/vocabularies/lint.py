"""What to know about a concept set before neurons are named with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from mcd.api.concepts import Concept, ConceptSet
from mcd.study.vocabularies.findings import TITLES, Group, Lint, LintFinding, LintKind, Merge
from mcd.study.vocabularies.folding import folded, negated

if TYPE_CHECKING:
    import torch

    from mcd.api.dissector import Dissector

__all__ = ["Reading", "embedded", "groups", "lint"]

_CHUNK = 1024


@dataclass(frozen=True)
class Reading:
    """What a dissector makes of a concept set.

    Parameters
    ----------
    centred
        Text embeddings ``(concepts, D)``, their mean taken off.
    findings
        Remarks of the dissector on the texts.
    not_checked
        What it cannot know.
    """

    centred: torch.Tensor
    findings: tuple[LintFinding, ...]
    not_checked: tuple[str, ...]


def lint(
    concepts: ConceptSet,
    reading: Reading | None = None,
    *,
    alike: float = 0.8,
    temperature: float | None = None,
    smallest: int = 5,
) -> Lint:
    """Look over a concept set.

    Parameters
    ----------
    reading
        What a dissector makes of it (`embedded`); without it, only words are checked.
    alike
        Cosine of centred embeddings from which two concepts count as alike.
    temperature
        The factor before the scorer's softmax over concepts; None where it has none.
    smallest
        Concepts that a category needs to be compared with others.
    """
    found = concepts.concepts
    findings = [*_spelled_alike(found), *_shared_words(found), *_negations(found), *_small(concepts, smallest)]
    merges = [
        Merge(1.0, (one.about[0], one.about[1]), math.nan, (math.nan, math.nan), one.text)
        for one in findings
        if one.kind in ("double", "two-categories", "shared-word")
    ]
    unrelated = math.nan
    not_checked = ("tokens and embeddings: they take a dissector",) if reading is None else reading.not_checked
    if reading is not None:
        pairs = list(_alike(found, reading.centred, alike, temperature))
        findings += [*(LintFinding("alike", one.terms, one.why) for one in pairs), *reading.findings]
        merges = _joined(merges, pairs)
        unrelated = _unrelated(reading.centred, temperature)
    order = list(TITLES)
    return Lint(
        findings=tuple(sorted(findings, key=lambda one: order.index(one.kind))),
        merges=tuple(sorted(merges, key=lambda one: (-one.score, -max(one.cosine, -1.0)))),
        groups=groups(concepts),
        unrelated=unrelated,
        not_checked=not_checked,
    )


def embedded(concepts: Sequence[Concept], dissector: Dissector, device: torch.device) -> Reading:
    """Ask a dissector about concepts.

    A concept is the mean of the normalised embeddings of its prompts, as in a run. The mean over all concepts is
    taken off: it is the same for every concept, so a softmax over concepts never sees it.

    Raises
    ------
    mcd.errors.PluginLoadError
        When the dissector does not keep to its contract.
    """
    from torch.nn.functional import normalize

    from mcd.networks.texts import averaged, encode

    prompts = [prompt for concept in concepts for prompt in concept.prompts]
    texts = averaged(encode(dissector, prompts, device), [len(concept.prompts) for concept in concepts])
    means = normalize(texts, dim=1)
    cut = [LintFinding("cut", (text,), f"'{text[:60]}…'") for text in dissector.too_long(prompts)]
    unknown = dissector.unknown(prompts)
    strange = [
        LintFinding("unknown", (text,), f"'{text}': {', '.join(words)}")
        for text, words in (unknown or {}).items()
        if words
    ]
    not_checked = () if unknown is not None else (f"unknown words: {dissector.name} does not report them",)
    return Reading(means - means.mean(dim=0), (*cut, *strange), not_checked)


def groups(concepts: ConceptSet) -> tuple[Group, ...]:
    """Return the broad categories with their sizes, and their shares of all concepts."""
    sizes = {name: sum(map(len, parts.values())) for name, parts in concepts.broad_categories.items()}
    total = sum(sizes.values())
    return tuple(Group(name, size, size / total, len(concepts.broad_categories[name])) for name, size in sizes.items())


def _spelled_alike(concepts: Sequence[Concept]) -> Iterator[LintFinding]:
    by_form: dict[str, list[Concept]] = {}
    for concept in concepts:
        by_form.setdefault(folded(concept.term), []).append(concept)
    for same in by_form.values():
        for first, second in combinations(same, 2):
            here = (first.broad_category, first.category)
            there = (second.broad_category, second.category)
            kind: LintKind = "double" if here == there else "two-categories"
            text = f"'{first.term}' ({first.category}) and '{second.term}' ({second.category})"
            yield LintFinding(kind, (first.term, second.term), text)


def _shared_words(concepts: Sequence[Concept]) -> Iterator[LintFinding]:
    """Find synonyms that are the term, or a synonym, of another concept: they speak for both."""
    owners: dict[str, dict[int, str]] = {}  # form → number of a concept → its own spelling; empty for the term
    for number, concept in enumerate(concepts):
        owners.setdefault(folded(concept.term), {})[number] = ""
    for number, concept in enumerate(concepts):
        for word in concept.synonyms:
            owners.setdefault(folded(word), {}).setdefault(number, word)
    found = {
        pair: claims[pair[1]] or claims[pair[0]]
        for claims in owners.values()
        for pair in combinations(sorted(claims), 2)
    }
    for (first, second), shared in sorted(found.items()):
        if shared:  # two terms of one form are doubles
            one, other = concepts[first].term, concepts[second].term
            yield LintFinding("shared-word", (one, other), f"'{shared}' speaks for '{one}' and '{other}'")


def _negations(concepts: Sequence[Concept]) -> Iterator[LintFinding]:
    for concept in concepts:
        word = negated(concept.term)
        if word:
            yield LintFinding("negation", (concept.term,), f"'{concept.term}' ({word})")


def _small(concepts: ConceptSet, smallest: int) -> Iterator[LintFinding]:
    for broad, categories in concepts.broad_categories.items():
        for category, entries in categories.items():
            if len(entries) < smallest:
                text = f"{broad} › {category}: {len(entries)}"
                yield LintFinding("small", (broad, category), text)


def _taken(own: float, other: float, temperature: float | None) -> float:
    """Return the other's part of the two probabilities, for two cosines with an image."""
    return math.nan if temperature is None else (1 - math.tanh(temperature * (own - other) / 2)) / 2


def _alike(
    concepts: Sequence[Concept], centred: torch.Tensor, threshold: float, temperature: float | None
) -> Iterator[Merge]:
    """Yield pairs above the threshold.

    An image that says concept i and nothing else has the embedding c_i / |c_i|, c centred: its cosine with i is
    |c_i|, with j |c_j| cos(c_i, c_j). Modality gaps make real images say less, so real shares are nearer to 1/2.
    """
    norms = centred.norm(dim=1)
    units = centred / norms.clamp_min(1e-12)[:, None]
    for start in range(0, len(units), _CHUNK):
        cosines = units[start : start + _CHUNK] @ units.T
        for row, column in (cosines >= threshold).triu(start + 1).nonzero().tolist():
            first = start + row
            cosine, lengths = float(cosines[row, column]), (float(norms[first]), float(norms[column]))
            taken = (
                _taken(lengths[0], lengths[1] * cosine, temperature),
                _taken(lengths[1], lengths[0] * cosine, temperature),
            )
            pair = (concepts[first].term, concepts[column].term)
            yield Merge(cosine, pair, cosine, taken, _said(pair, cosine, taken))


def _said(pair: tuple[str, str], cosine: float, taken: tuple[float, float]) -> str:
    named = f"'{pair[0]}' and '{pair[1]}': {cosine:.2f}"
    if math.isnan(taken[0]):
        return named
    return f"{named}; {taken[0]:.0%} of the first goes to the second, {taken[1]:.0%} back"


def _unrelated(centred: torch.Tensor, temperature: float | None) -> float:
    return _taken(float(centred.norm(dim=1).median()), 0.0, temperature)


def _joined(spelled: Sequence[Merge], alike: Sequence[Merge]) -> list[Merge]:
    """Return all pairs once; one that has both reasons keeps the score of its spelling and the numbers of the other."""
    by_pair = {frozenset(one.terms): one for one in alike}
    merged = []
    for one in spelled:
        other = by_pair.pop(frozenset(one.terms), None)
        merged.append(one if other is None else Merge(1.0, one.terms, other.cosine, other.taken, one.why))
    return [*merged, *by_pair.values()]
