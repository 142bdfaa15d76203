"""What the bench asks of a method: a case, what the method decides of it, and what is known of the method.

A case holds what a labelling method may see, and never what was planted: that is kept beside it (`mcd_plugins.bench
.plants`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import mcd

__all__ = [
    "AND",
    "CONFOUNDED",
    "DEAD",
    "FOLLOWING",
    "NOISE",
    "OR",
    "PLANTS",
    "SINGLE",
    "SUPERPOSED",
    "TIED",
    "TWO",
    "Case",
    "Decision",
    "Flags",
    "Located",
    "Matrix",
    "Method",
    "Needs",
    "Numbers",
    "Values",
]

Matrix = NDArray[np.float32]
Values = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Needs = Literal["similarity", "embeddings", "annotations", "maps", "untrained"]

NOISE, DEAD, CONFOUNDED = "noise", "dead", "confounded"
SINGLE, AND, OR, TWO, SUPERPOSED, TIED = "single", "and", "or", "two", "superposed", "tied"
PLANTS = (NOISE, DEAD, CONFOUNDED, SINGLE, AND, OR, TWO, SUPERPOSED, TIED)
"""Kinds of planted units; docs/explanation/planted-truth.md says what each is."""
FOLLOWING = PLANTS[3:]
"""Those that follow concepts of the vocabulary."""


@dataclass(frozen=True)
class Located:
    """Where an image shows a concept: a box, in fractions of width (x) and height (y); x1 and y1 are exclusive."""

    concept: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, eq=False)
class Case:
    """One layer to be labelled: everything that a method may use. Arrays are not to be written to.

    Parameters
    ----------
    activations
        A, ``(images, units)`` float32: finite; a column may be constant (a dead unit) or have many equal values.
    similarity
        P, ``(images, concepts)`` float32: cosine of the dissector's embeddings of image and concept.
    images
        ``(images, D)`` float32: the dissector's image embeddings, each of length 1.
    texts
        ``(concepts, D)`` float32: its embeddings of the concepts' prompts, each of length 1.
    empty
        ``(D,)`` float32: that of the prompt without a concept, of length 1.
    annotations
        ``(images, concepts)`` float32: 1 present, 0 absent, NaN not known. All NaN for a concept that is not annotated.
    patients
        Of each image; empty texts where not known.
    concepts
        The columns of P.
    facts
        What else is known of the images: ``view``, ``laterality``, ``vendor``, ``implant``; one text an image, empty
        where not known.
    statistics
        ``(images, n)`` float32: what of each image has nothing to do with a finding (brightness, layout …); None where
        no image is seen.
    untrained
        A of networks of the same architecture with random weights, each ``(images, units of it)`` float32; may be none.
    maps
        ``(images, units, height, width)`` float32: where each unit responds; the mean over positions is A. None where
        maps are not kept.
    boxes
        For each image where it shows which concept; empty where nothing is located.
    seed
        Of everything that a method draws at random.
    """

    activations: Matrix
    similarity: Matrix
    images: Matrix
    texts: Matrix
    empty: Matrix
    annotations: Matrix
    patients: tuple[str, ...]
    concepts: tuple[mcd.Concept, ...]
    facts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    statistics: Matrix | None = None
    untrained: tuple[Matrix, ...] = ()
    maps: Matrix | None = None
    boxes: tuple[tuple[Located, ...], ...] = ()
    seed: int = 0

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.activations.shape[1])


@dataclass(frozen=True, eq=False)
class Decision:
    """What a method says of every unit of a case.

    Parameters
    ----------
    first
        ``(units,)`` int64: the concept that it names first; -1 where it names none.
    score
        ``(units,)`` float64: of that concept, as published; NaN where it names none.
    claimed
        ``(units,)`` bool: whether the unit has a label by the method's own rule. A method without a rule claims every
        unit that it names.
    p
        ``(units,)`` float64: of the unit as a whole, uniform for a unit that follows nothing, NaN where there is none;
        None for a method without p.
    more
        For each unit the further concepts that the method says, best first; empty where it says one at most.
    lacking
        What the case would need for the method to decide anything, in words; empty where it could.
    """

    first: Numbers
    score: Values
    claimed: Flags
    p: Values | None = None
    more: tuple[tuple[int, ...], ...] = ()
    lacking: str = ""

    def __post_init__(self) -> None:
        units = self.first.shape
        others = [self.score.shape, self.claimed.shape, *([] if self.p is None else [self.p.shape])]
        if self.first.ndim != 1 or any(one != units for one in others) or len(self.more) not in (0, *units):
            raise ValueError(f"a decision holds arrays of shapes {[units, *others]}, not of one value a unit")


@dataclass(frozen=True)
class Method:
    """A method, under the name that it was published by.

    Parameters
    ----------
    name
        As its authors call it; unique in the bench. At most 22 characters, so that tables fit a terminal.
    source
        Paper, year and equation or section of the formula: ``"Oikarinen & Weng 2023, SoftWPMI"``.
    needs
        What of a case it reads besides A.
    made_for
        The plants that its paper makes it for; it is tried on all.
    decide
        Names the units of a case.
    rule
        When it claims a label, in words; empty where it has no rule.
    """

    name: str
    source: str
    needs: tuple[Needs, ...]
    made_for: tuple[str, ...]
    decide: Callable[[Case], Decision]
    rule: str = ""

    def lacks(self, case: Case) -> str:
        """Return what it needs and a case does not have, in words; an empty text where it has all."""
        has = {
            "similarity": True,
            "embeddings": True,
            "annotations": bool((~np.isnan(case.annotations)).any()),
            "maps": case.maps is not None and any(case.boxes),
            "untrained": bool(case.untrained),
        }
        words = {
            "annotations": "annotations",
            "maps": "activation maps and boxes",
            "untrained": "networks with random weights",
        }
        return ", ".join(words[one] for one in self.needs if not has[one])
