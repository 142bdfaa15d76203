"""Broad categories on the page: their colours as CSS variables, and the patterns over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import mcd
from mcd_plugins.reporters.facts import Facts
from mcd_plugins.reporters.vocabulary import concept_set_of

__all__ = ["Palette", "PatternFill", "palette_of"]

_PATHS = {
    "dots": "M1 1h1M3 3h1",
    "bars": "M0 2h4",
    "rings": "M1 1h2v2h-2z",
    "stripes": "M-1 5L5 -1M-1 1L1 -1M3 5L5 3",
    "crosses": "M0 0L4 4M4 0L0 4",
}
"""What patterns draw, in a square of 4 by 4."""


@dataclass(frozen=True)
class PatternFill:
    """A colour with a pattern over it, as an SVG pattern: its id, the class of its colour, and its lines."""

    id: str
    hue: str
    path: str


@dataclass(frozen=True)
class Palette:
    """The colours of a page.

    Parameters
    ----------
    categories
        Broad category → class of what has its colour, in the order of the vocabulary.
    patterns
        Those that classes need.
    """

    categories: Mapping[str, str]
    patterns: Sequence[PatternFill]

    @property
    def style(self) -> str:
        """The style sheet: a variable ``--hue-…`` for each colour of the palette, and the classes."""
        hues = mcd.figures.HUES
        light, dark = (" ".join(f"--hue-{name}: {pair[at]};" for name, pair in hues.items()) for at in (0, 1))
        plain = " ".join(f".hue-{name} {{ fill: var(--hue-{name}); }}" for name in hues)
        patterned = " ".join(f".{one.id} {{ fill: url(#{one.id}); }}" for one in self.patterns)
        return (
            f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
            f"@media print {{ :root {{ {light} }} }}\n{plain}\n{patterned}\n"
        )


def palette_of(dissections: Iterable[mcd.Dissection], facts: Sequence[Facts]) -> Palette:
    """Return the colours of the broad categories of runs.

    Those of the vocabularies count, labels or none: a colour does not depend on which categories are shown. Where a
    vocabulary cannot be found again, those of the labels count.
    """
    names: dict[str, bool] = {}  # whether it is mammographic
    counterparts: dict[str, str] = {}
    for one in dissections:
        known = concept_set_of(one)
        if isinstance(known, mcd.ConceptSet):
            for concept in known.concepts:
                names[concept.broad_category] = names.get(concept.broad_category, False) or concept.mammographic
            counterparts = {**known.counterparts, **counterparts}
    labelled = [name for one in facts for row in one.layers for name in row.parts]
    names |= {name: True for name in labelled if name not in names}
    found = mcd.figures.category_colours(names, counterparts, [name for name, own in names.items() if not own])
    classes = {name: "-".join(filter(None, ("hue", found[name].hue, found[name].pattern))) for name in names}
    patterns = {
        classes[name]: PatternFill(classes[name], f"hue-{one.hue}", _PATHS[one.pattern])
        for name, one in found.items()
        if one.pattern
    }
    return Palette(classes, list(patterns.values()))
