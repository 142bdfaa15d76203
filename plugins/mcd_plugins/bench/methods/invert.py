"""INVERT: the formula of annotated concepts that a unit's activations tell apart best.

Source: Bykov et al., Labeling Neural Representations with Inverse Recognition, NeurIPS 2023 (arXiv 2311.13594),
equations 1 to 3, with the beam search and the settings of the released code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import mannwhitneyu, rankdata

from mcd_plugins.bench.contract import AND, OR, SINGLE, TIED, Case, Decision, Flags, Method, Numbers, Values
from mcd_plugins.bench.methods.choice import activations

__all__ = ["BEAM", "LARGEST", "METHODS", "SIGNIFICANT", "Formula", "areas", "search"]

BEAM = 5
"""Formulas that are kept of each length."""

LARGEST = 0.5
"""Largest share of the images that a formula may hold on."""

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Formula:
    """What was found for one unit.

    Parameters
    ----------
    terms
        Concepts and whether each is negated, one or two.
    joined
        ``"and"`` or ``"or"``; empty for one concept.
    area
        Area under the ROC curve of the unit for it.
    p
        Of the two-sided Mann–Whitney test. As published, it knows nothing of the search.
    """

    terms: tuple[tuple[int, bool], ...]
    joined: str
    area: float
    p: float


def search(responses: Values, annotations: Values, length: int, seed: int) -> list[Formula | None]:
    """Return the best formula of each unit; None where no concept can be tested.

    All concepts and their negations are tried alone; the `BEAM` best that hold on at most half of the images are joined
    by AND and OR with every other one. Images on which an annotation that takes part is unknown are left out (the
    published data have none). Equal areas are put in order by chance, a shorter formula before a longer one.

    Parameters
    ----------
    responses
        A, ``(images, units)``.
    annotations
        ``(images, concepts)``: 1 present, 0 absent, NaN not known.
    length
        1 or 2 concepts.
    """
    annotated = np.flatnonzero((~np.isnan(annotations)).any(axis=0))
    order = np.random.default_rng(seed).permutation(annotated)
    truth = annotations[:, order]
    present, known = truth == 1, ~np.isnan(truth)
    atoms = _Atoms(np.concatenate([present, known & ~present], axis=1), np.concatenate([known, known], axis=1), order)
    return [_searched(column, atoms, length) for column in responses.T]


@dataclass(frozen=True)
class _Atoms:
    """Concepts and their negations: where each holds and where that is known, ``(images, 2 · concepts)`` bool."""

    holds: Flags
    known: Flags
    order: Numbers

    def term(self, atom: int) -> tuple[int, bool]:
        """Return the concept of an atom and whether it is negated."""
        negated, place = divmod(atom, len(self.order))
        return int(self.order[place]), bool(negated)

    def joined(self, atom: int) -> Iterator[tuple[str, Flags, Flags]]:
        """Return what it makes with every atom: the operator, where it holds and where that is known."""
        known = self.known & self.known[:, [atom]]
        yield "and", self.holds & self.holds[:, [atom]], known
        yield "or", (self.holds | self.holds[:, [atom]]) & known, known


def _searched(column: Values, atoms: _Atoms, length: int) -> Formula | None:
    found = areas(column, atoms.holds, atoms.known)
    ranked = _ranked(found, _allowed(atoms.holds, atoms.known))[:BEAM]
    if not len(ranked):
        return None
    top = int(ranked[0])
    best, joined = found[top], ""
    terms: tuple[tuple[int, bool], ...] = (atoms.term(top),)
    holds, known = atoms.holds[:, top], atoms.known[:, top]
    for atom in ranked.tolist() if length > 1 else ():
        for operator, true, seen in atoms.joined(atom):
            area = areas(column, true, seen)
            other = np.arange(len(area)) % len(atoms.order) != atom % len(atoms.order)
            first = _ranked(area, other & _allowed(true, seen))[:1]
            if len(first) and area[first[0]] > best:
                at = int(first[0])
                best, joined, terms = area[at], operator, (atoms.term(atom), atoms.term(at))
                holds, known = true[:, at], seen[:, at]
    p = mannwhitneyu(column[known & holds], column[known & ~holds], alternative="two-sided").pvalue
    return Formula(terms, joined, float(best), float(p))


def _allowed(holds: Flags, known: Flags) -> Flags:
    count, images = holds.sum(axis=0), known.sum(axis=0)
    allowed: Flags = (count > 0) & (count < images) & (count <= LARGEST * images)
    return allowed


def _ranked(area: Values, allowed: Flags) -> Numbers:
    """Return the allowed formulas, largest area first, equal ones as they come."""
    order = np.argsort(np.where(np.isnan(area), np.inf, -area), kind="stable")
    return order[allowed[order]]


def areas(column: Values, holds: Flags, known: Flags) -> Values:
    """Return the area under the ROC curve of a unit for each formula, ``(formulas,)``; ties count half.

    Sums of whole numbers and halves: the same on every machine. NaN for a formula that holds nowhere, or everywhere.

    Parameters
    ----------
    column
        Activations, ``(images,)``.
    holds, known
        ``(images, formulas)``: where each formula holds, only where that is known.
    """
    if known.all():
        count = holds.sum(axis=0)
        above = rankdata(column) @ holds.astype(np.float64) - count * (count + 1) / 2
        with np.errstate(invalid="ignore"):
            area: Values = above / (count * (len(column) - count))
        return area
    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.diff(column[order], prepend=-np.inf))
    positive = np.add.reduceat(holds[order], starts, axis=0, dtype=np.float64)
    negative = np.add.reduceat((known & ~holds)[order], starts, axis=0, dtype=np.float64)
    below = np.cumsum(negative, axis=0) - negative / 2
    with np.errstate(invalid="ignore"):
        found: Values = (positive * below).sum(axis=0) / (positive.sum(axis=0) * negative.sum(axis=0))
    return found


def _said(formula: Formula | None) -> list[int]:
    """Return the concepts that a formula asserts; of one that only denies, those it denies, for want of others."""
    if formula is None:
        return []
    return [one for one, denied in formula.terms if not denied] or [one for one, _ in formula.terms]


def _decided(case: Case, length: int) -> Decision:
    found = search(activations(case), case.annotations.astype(np.float64), length, case.seed)
    terms = [_said(one) for one in found]
    p = np.array([f.p if f else np.nan for f in found])
    return Decision(
        first=np.array([one[0] if one else -1 for one in terms]),
        score=np.array([f.area if f else np.nan for f in found]),
        claimed=np.nan_to_num(p, nan=1.0) < SIGNIFICANT,
        p=p,
        more=tuple(tuple(one[1:]) for one in terms),
    )


def _method(name: str, length: int, made_for: tuple[str, ...]) -> Method:
    return Method(
        name=name,
        source=f"Bykov et al., INVERT, NeurIPS 2023 (arXiv 2311.13594), eq. 1 to 3, length {length}",
        needs=("annotations",),
        made_for=made_for,
        decide=partial(_decided, length=length),
        rule="Mann–Whitney p below .05, not corrected for the search",
    )


METHODS = (_method("INVERT", 1, (SINGLE, TIED)), _method("INVERT, 2 concepts", 2, (SINGLE, AND, OR, TIED)))
