"""Units of which it is known what they follow, planted into the activations of a layer.

A planted unit is a unit of the layer as far as its values go: the values of a real unit, in another order. The order is
that of ``SNR · signal + noise``. The signal is the truth of concepts, standardised; the noise is a real unit whose
images were permuted, patients as blocks, as normal scores. A unit that follows nothing has the same noise, and no
signal. docs/explanation/planted-truth.md says what each plant is, and is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from mcd.errors import DataError
from mcd.plugins import PermutationUnits
from mcd_plugins.bench.contract import (
    AND,
    CONFOUNDED,
    DEAD,
    NOISE,
    OR,
    SINGLE,
    SUPERPOSED,
    TIED,
    TWO,
    Case,
    Matrix,
    Numbers,
    Values,
)
from mcd_plugins.bench.material import Material, correlations, levels

__all__ = ["ALIKE", "SNR", "Planted", "Truth", "can_be_planted", "clusters", "planted"]

SNR = (0.25, 0.5, 1.0)
"""Standard deviation of the signal in those of the noise; units of a plant take these in turn."""
CONFOUNDED_SNR = 2.0

ALIKE = 0.5
"""Correlation of truths above which two concepts are near-synonyms."""

_FEWEST_IMAGES, _FEWEST_SHARE, _FEWEST_PATIENTS = 8, 0.03, 5
"""What a concept, or a conjunction, must be true of, and not true of, for a unit to follow it."""
_ACTIVE = 0.15
"""Share of the images for which a tied unit is above zero."""
_STEPS = 4
"""Whole numbers that a tied unit takes, 0 to 3."""
_LOADINGS = 3
"""Units that each superposed concept is a part of."""
_OVERCOMPLETE = 2
"""Superposed concepts for each unit."""
_TIED_NOISE = 4
"""One in so many noise units is tied."""


@dataclass(frozen=True)
class Truth:
    """What a planted unit follows.

    Parameters
    ----------
    plant
        Its kind, of `mcd_plugins.bench.contract.PLANTS`.
    right
        The concepts that it follows; none for noise, dead and confounded units.
    cluster
        These and their near-synonyms.
    snr
        Of the planted signal; 0 where there is none.
    follows
        In words.
    """

    plant: str
    right: frozenset[int] = frozenset()
    cluster: frozenset[int] = frozenset()
    snr: float = 0.0
    follows: str = ""


@dataclass(frozen=True, eq=False)
class Planted:
    """A case, and what was planted into it: of each unit its truth, None for a unit of the layer as it is."""

    case: Case
    truths: tuple[Truth | None, ...]


def clusters(truth: Values) -> tuple[frozenset[int], ...]:
    """Return for each concept its near-synonyms, itself included: those whose truth correlates by more than `ALIKE`.

    Over the images of which both are known. Where nearly all of these lack both, as where only normal images are known
    to lack anything, that would make everything alike: of at least a third of the images that show one of two
    near-synonyms it must be known whether they show the other.

    Parameters
    ----------
    truth
        ``(images, concepts)``; NaN where not known.
    """
    shown, known = (truth == 1).astype(np.float64), (~np.isnan(truth)).astype(np.float64)
    judged = shown.T @ known >= shown.sum(axis=0)[:, None] / 3
    alike = (correlations(truth, truth) > ALIKE) & judged & judged.T
    return tuple(frozenset({at, *np.flatnonzero(row).tolist()}) for at, row in enumerate(alike))


def can_be_planted(truth: Values, patients: Sequence[str]) -> bool:
    """Return whether enough images and patients show a concept, and enough do not, for a unit to follow it.

    Parameters
    ----------
    truth
        ``(images,)``: 1, 0, or NaN where it is not known.
    patients
        Of each image, empty where not known.
    """
    units = PermutationUnits.of(patients, "patient" if any(patients) else "image")
    least = max(_FEWEST_IMAGES, _FEWEST_SHARE * int((~np.isnan(truth)).sum()))
    both = np.stack([truth == 1, truth == 0], axis=1)
    return bool((both.sum(axis=0) >= least).all() and (units.having(both) >= _FEWEST_PATIENTS).all())


def planted(material: Material, counts: Mapping[str, int], seed: int) -> Planted:
    """Return a layer with planted units among its own.

    The planted ones take the places of units of the layer, drawn at random; where it has fewer, there is none of its
    own left.

    Parameters
    ----------
    material
        What they are planted into.
    counts
        How many units of each plant.
    seed
        Of everything that is drawn.

    Raises
    ------
    DataError
        When the material has too few images, or nothing that a plant could follow.
    """
    return _Planter(material, seed).planted(counts)


@dataclass(frozen=True, eq=False)
class _Unit:
    """Values ``(images,)`` of a planted unit, which unit of the layer its values are of, in which order, its truth."""

    values: Values
    base: int
    order: Numbers
    truth: Truth


class _Planter:
    def __init__(self, material: Material, seed: int) -> None:
        self._of = material
        self._seed = seed
        self._rng = np.random.default_rng([seed, 2])
        self._units = PermutationUnits.of(material.patients, "patient" if any(material.patients) else "image")
        self._live = np.flatnonzero(material.live)
        if not len(self._live):
            raise DataError(f"{material.name}: no unit of the layer responds to anything", "choose another layer")
        self._clusters = clusters(material.truth)
        self._usable = self._usable_concepts()

    def planted(self, counts: Mapping[str, int]) -> Planted:
        makers = {
            NOISE: self._noise,
            DEAD: self._dead,
            CONFOUNDED: self._confounded,
            SINGLE: self._single,
            AND: self._joined,
            OR: self._joined,
            TWO: self._joined,
            TIED: self._single,
        }
        made: list[_Unit] = []
        for plant, count in counts.items():
            if plant == SUPERPOSED:
                made += self._superposed(count)
            else:
                made += [makers[plant](plant, number) for number in range(count)]
        return self._placed(made)

    def _usable_concepts(self) -> Numbers:
        """Return the concepts that enough images show, and enough do not."""
        enough = [at for at in range(len(self._of.concepts)) if self._enough(self._of.truth[:, at])]
        if len(enough) < 2:
            raise DataError(
                f"{self._of.name}: {len(enough)} of {len(self._of.concepts)} concepts can be planted: one must be true "
                f"of {_FEWEST_IMAGES} images, {_FEWEST_SHARE:.0%} of all, and {_FEWEST_PATIENTS} patients, and untrue "
                "of as many",
                "use more images, or a data set that annotates more",
            )
        return np.array(enough, dtype=np.int64)

    def _enough(self, truth: Values) -> bool:
        if self._of.truth_is == "annotations":
            return can_be_planted(truth, self._of.patients)
        known = ~np.isnan(truth)
        return bool(known.sum() >= _FEWEST_IMAGES and np.ptp(truth[known]) > 0)

    def _shuffled(self) -> tuple[int, Numbers]:
        """Return a unit of the layer and a permutation of its images that keeps patients together."""
        base = int(self._rng.choice(self._live))
        return base, self._units.permutations(1, self._rng)[0]

    def _following(self, signal: Values, truth: Truth) -> _Unit:
        base, order = self._shuffled()
        own = self._of.activations[order, base].astype(np.float64)
        height = truth.snr * levels(signal[:, None])[:, 0] + _normal_scores(own, self._rng)
        values = np.empty(len(own))
        values[np.argsort(height, kind="stable")] = np.sort(own)
        if truth.plant == TIED:
            values = self._tied(height, own)
        return _Unit(values, base, order, truth)

    def _tied(self, height: Values, own: Values) -> Values:
        """Return what has many equal values, in the range of a real unit: mostly zeros, or whole numbers."""
        if self._rng.random() < 0.5:
            above = np.maximum(height - np.quantile(height, 1 - _ACTIVE), 0)
            active: Values = above / above.max() * max(float(np.abs(own).max()), 1e-6)
            return active
        share = (height - height.min()) / np.ptp(height)
        found: Values = np.minimum(np.floor(share * _STEPS), _STEPS - 1)
        return found

    def _noise(self, plant: str, number: int) -> _Unit:
        base, order = self._shuffled()
        own = self._of.activations[order, base].astype(np.float64)
        tied = number % _TIED_NOISE == _TIED_NOISE - 1
        values = self._tied(_normal_scores(own, self._rng), own) if tied else own
        return _Unit(values, base, order, Truth(plant, follows="nothing"))

    def _dead(self, plant: str, _number: int) -> _Unit:
        base, order = self._shuffled()
        return _Unit(np.zeros(len(order)), base, order, Truth(plant, follows="nothing"))

    def _confounded(self, plant: str, number: int) -> _Unit:
        names = list(self._of.confounders)
        if not names:
            raise DataError(
                f"{self._of.name}: nothing is known of the images that units could be confounded with",
                "use images with view, side or vendor, or leave confounded units out",
            )
        name = names[number % len(names)]
        return self._following(self._of.confounders[name], Truth(plant, snr=CONFOUNDED_SNR, follows=name))

    def _single(self, plant: str, number: int) -> _Unit:
        concept = int(self._rng.choice(self._usable))
        return self._following(self._of.truth[:, concept], self._truth(plant, [concept], SNR[number % len(SNR)]))

    def _joined(self, plant: str, number: int) -> _Unit:
        """Return a unit that follows two concepts: both together, either, or the sum of both."""
        for _ in range(1000):
            pair = self._rng.choice(self._usable, 2, replace=False).tolist()
            truth = self._of.truth[:, pair]
            if self._of.truth_is != "annotations":
                truth = levels(truth)
            signal = {AND: truth.min(axis=1), OR: truth.max(axis=1), TWO: levels(truth).sum(axis=1)}[plant]
            apart = self._of.concepts[pair[0]].category != self._of.concepts[pair[1]].category
            if apart and pair[1] not in self._clusters[pair[0]] and (plant == TWO or self._enough(signal)):
                return self._following(signal, self._truth(plant, pair, SNR[number % len(SNR)]))
        raise DataError(
            f"{self._of.name}: no two concepts of different categories are true of enough images together",
            "use more images",
        )

    def _superposed(self, count: int) -> list[_Unit]:
        """Return units that share more concepts than they are, each concept in a few of them."""
        size = min(_OVERCOMPLETE * count, len(self._usable))
        chosen = self._rng.choice(self._usable, size, replace=False)
        loadings = np.zeros((size, count))
        for row in loadings:
            places = self._rng.choice(count, min(_LOADINGS, count), replace=False)
            row[places] = self._rng.choice([-1.0, 1.0], len(places))
        for unit in np.flatnonzero(~(loadings > 0).any(axis=0)).tolist():
            loadings[int(self._rng.integers(size)), unit] = 1.0  # it follows something at least
        signal = levels(self._of.truth[:, chosen]) @ loadings
        return [
            self._following(
                signal[:, unit],
                self._truth(SUPERPOSED, chosen[loadings[:, unit] > 0].tolist(), SNR[unit % len(SNR)]),
            )
            for unit in range(count)
        ]

    def _truth(self, plant: str, concepts: Sequence[int], snr: float) -> Truth:
        joint = {AND: " AND ", OR: " OR "}.get(plant, " + ")
        return Truth(
            plant,
            frozenset(concepts),
            frozenset().union(*(self._clusters[one] for one in concepts)),
            snr,
            joint.join(self._of.concepts[one].term for one in concepts),
        )

    def _placed(self, made: Sequence[_Unit]) -> Planted:
        """Return the layer with units in the places of its own, in random order."""
        of = self._of
        left = max(0, of.activations.shape[1] - len(made))
        kept = np.sort(self._rng.choice(of.activations.shape[1], left, replace=False))
        place = self._rng.permutation(left + len(made))
        columns = [of.activations[:, kept], np.stack([one.values for one in made], axis=1).astype(np.float32)]
        truths: list[Truth | None] = [*([None] * left), *(one.truth for one in made)]
        maps = None
        if of.maps is not None:
            own = np.stack([self._map(of.maps, one) for one in made], axis=1)
            maps = np.concatenate([of.maps[:, kept], own], axis=1)[:, place]
        case = Case(
            activations=np.concatenate(columns, axis=1)[:, place],
            similarity=of.similarity,
            images=of.images,
            texts=of.texts,
            empty=of.empty,
            annotations=of.annotations,
            patients=of.patients,
            concepts=of.concepts,
            facts=of.facts,
            statistics=of.statistics,
            untrained=of.untrained,
            maps=maps,
            boxes=of.boxes,
            seed=self._seed,
        )
        return Planted(case, tuple(truths[at] for at in place.tolist()))

    def _map(self, maps: Matrix, unit: _Unit) -> Matrix:
        """Return where a planted unit responds, ``(images, height, width)``, with the unit's values as means.

        What it responds more than its noise lies in the boxes of its concepts; over the whole image where it has none.
        """
        own = maps[unit.order, unit.base].astype(np.float64)
        more = unit.values - own.mean(axis=(1, 2))
        spread = np.ones_like(own)
        for image in np.flatnonzero(more > 0).tolist():
            mask = np.zeros(own.shape[1:])
            for box in self._of.boxes[image] if self._of.boxes else ():
                if box.concept in unit.truth.right:
                    mask = np.maximum(mask, _covered(box.y0, box.y1, own.shape[1], box.x0, box.x1, own.shape[2]))
            if mask.any():
                spread[image] = mask / mask.mean()
        found: Matrix = (own + more[:, None, None] * spread).astype(np.float32)
        found[unit.values == 0] = 0
        return found


def _covered(y0: float, y1: float, rows: int, x0: float, x1: float, columns: int) -> Values:
    """Return how much of each cell of a grid a box covers, ``(rows, columns)``."""

    def along(low: float, high: float, cells: int) -> Values:
        edges = np.arange(cells + 1) / cells
        found: Values = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * cells
        return found

    found: Values = np.outer(along(y0, y1, rows), along(x0, x1, columns))
    return found


def _normal_scores(values: Values, rng: np.random.Generator) -> Values:
    """Return values as normal scores (Blom 1958, eq. 6.10.2), equal values in random order."""
    order = np.lexsort((rng.random(len(values)), values))
    rank = np.empty(len(values))
    rank[order] = np.arange(1, len(values) + 1)
    found: Values = ndtri((rank - 0.375) / (len(values) + 0.25))
    return found
