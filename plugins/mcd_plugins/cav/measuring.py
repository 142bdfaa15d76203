"""Directions of all layers, fitted and tested: one row a layer, concept, version, method and class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from mcd.errors import DataError
from mcd_plugins.cav.asked import Asked
from mcd_plugins.cav.concepts import states_of
from mcd_plugins.cav.exchange import Exchange
from mcd_plugins.cav.null import ConceptSets, Judged, NullVectors, q_values
from mcd_plugins.cav.scores import Area, area
from mcd_plugins.cav.text import text_map, text_vectors
from mcd_plugins.cav.vectors import Fitter, contrast, residual

__all__ = ["TEXT", "Direction", "Found", "Row", "found_in", "measured"]

States = NDArray[np.int8]

TEXT = "text"
"""The method of a direction that is found through an image–text model."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction of a layer.

    Parameters
    ----------
    layer, concept
        Of what.
    method
        How it was fitted: pattern, ridge, logistic, or `TEXT`.
    without
        The nuisances that were taken out of features before.
    vector
        ``(channels,)`` float32 of length 1; None where there is none.
    problem
        Why there is none.
    area
        How well it separates held-out images with the concept from those without; None where they are not labelled.
    r2
        Of a text: the held-out R² of the map that it came through, and its lower bound. NaN of others.
    staying
        The share of the images with the concept (of a text: of all) that keep their patient in a random one.
    smallest
        The chance that a random one is the concept itself: about the smallest p.
    counts
        Images present, absent, unknown; patients, patients_fitted, patients_held_out.
    """

    layer: str
    concept: str
    method: str
    without: tuple[str, ...]
    vector: torch.Tensor | None = None
    problem: str = ""
    area: Area | None = None
    r2: tuple[float, float] = (float("nan"), float("nan"))
    staying: float = float("nan")
    smallest: float = float("nan")
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called besides its layer and method."""
        return f"{self.concept} without {', '.join(self.without)}" if self.without else self.concept


@dataclass(frozen=True, eq=False)
class Row:
    """The sensitivity of a class to a direction.

    Parameters
    ----------
    direction
        Of which.
    at
        Number of the class.
    judged
        Its scores; None where there is no direction, or every gradient is zero.
    band
        ``(3, images of the class)``: sensitivity of each image, and the null's 2.5 and 97.5 percentiles; None as
        ``judged``.
    """

    direction: Direction
    at: int
    judged: Judged | None
    band: NDArray[np.float64] | None

    @property
    def p(self) -> float:
        """Of the mean sensitivity; NaN without a test."""
        return float("nan") if self.judged is None else self.judged.p_sensitivity


@dataclass(frozen=True, eq=False)
class Found:
    """What was found.

    Parameters
    ----------
    asked
        What went in.
    rows
        In the order of layers, versions, methods, concepts, classes.
    """

    asked: Asked
    rows: Sequence[Row]

    @cached_property
    def q(self) -> NDArray[np.float64]:
        """Q of each row, over all rows that were tested."""
        return q_values(np.array([one.p for one in self.rows]))

    @property
    def directions(self) -> list[Direction]:
        """All directions, in order."""
        return list({id(one.direction): one.direction for one in self.rows}.values())


def measured(asked: Asked) -> Found:
    """Fit all directions and test them.

    Raises
    ------
    mcd.errors.MCDError
        When an image cannot be decoded, or a layer gives nothing that a direction could be fitted to.
    """
    asked, features, gradients = _read(asked)
    rows: list[Row] = []
    for layer in asked.layers:
        rows += found_in(asked, layer.name, features[layer.name], gradients[layer.name])
    return Found(asked, rows)


Layers = Mapping[str, torch.Tensor]


def _read(asked: Asked) -> tuple[Asked, Layers, Layers]:
    """Return features of the samples and gradients in the tested images, by layer; each image is read once.

    What is asked comes back without images that could not be decoded.
    """
    layers, skip, of = asked.layers, asked.skip, [one.of for one in asked.classes]
    tested = asked.tested.passed(layers, gradients_of=of, images=asked.ids, skip=skip)
    held: set[str] = set(asked.ids)
    passed: list[Layers] = []
    decoded: list[bool] = []
    for one in asked.examples:
        if one is asked.tested:
            rest = one.passed(layers, images=[each for each in one.ids if each not in held], skip=skip)
            place = {each: at for at, each in enumerate((*tested.image_ids, *rest.image_ids))}
            order = torch.tensor([place[each] for each in one.ids if each in place])
            both = {name: torch.cat([values, rest.activations[name]]) for name, values in tested.activations.items()}
            passed.append({name: values[order] for name, values in both.items()})
        else:
            own = one.passed(layers, skip=skip)
            place = dict.fromkeys(own.image_ids, 0)
            passed.append(own.activations)
        decoded += [each in place for each in one.ids]
    there = set(tested.image_ids)
    left = asked.decoded(np.array(decoded), np.array([each in there for each in asked.ids]))
    return left, {each.name: torch.cat([one[each.name] for one in passed]) for each in layers}, tested.gradients


def found_in(asked: Asked, layer: str, features: torch.Tensor, gradients: torch.Tensor) -> Iterator[Row]:
    """Yield the rows of a layer.

    Parameters
    ----------
    features
        ``(samples, channels)``.
    gradients
        ``(tested images, classes, channels)``.
    """
    versions: list[tuple[tuple[str, ...], torch.Tensor]] = [((), features)]
    if asked.columns:
        versions.append((tuple(asked.columns), residual(features, list(asked.columns.values()), ~asked.out)))
    try:
        for without, own in versions:
            for direction, null in chain(_labelled(asked, layer, without, own), _worded(asked, layer, without, own)):
                yield from _rows(asked, direction, null, gradients)
    except DataError as error:
        raise DataError(f"layer {layer}: {error.summary}", error.hint) from None


def _rows(asked: Asked, direction: Direction, null: NullVectors | None, gradients: torch.Tensor) -> Iterator[Row]:
    """Yield the rows of a direction, a class each."""
    for at, one in enumerate(asked.classes):
        mine = gradients[torch.from_numpy(one.rows), at]
        judged = None if null is None else null.judged(mine)
        yield Row(direction, at, judged, None if null is None or judged is None else null.band(mine))


Pair = tuple[Direction, NullVectors | None]


def _labelled(asked: Asked, layer: str, without: tuple[str, ...], features: torch.Tensor) -> Iterator[Pair]:
    """Yield the directions of concepts with labels, each with those of random concepts; None where there is none."""
    fit, settings = ~asked.out, asked.settings
    patients, parts, nuisances = _fitted_on(asked, without)
    chosen = features[torch.from_numpy(fit)]
    for method in settings.methods:
        fitters: dict[bytes, Fitter] = {}  # concepts whose states are known of the same images share one
        for at, concept in enumerate(asked.labels.names):
            state = asked.labels.states[:, at]
            there, lacking = (state == 1)[fit], (state == 0)[fit]
            known = there | lacking
            fitter = fitters.get(known.tobytes()) or Fitter(chosen[torch.from_numpy(known)], method)
            fitters = {known.tobytes(): fitter}
            direction = Direction(layer, concept, method, without, counts=_counts(asked, state))
            if not fitter(contrast(there[known], lacking[known])[:, None]).any():
                why = f"explained by {', '.join(without)}" if without else "features do not differ"
                yield replace(direction, problem=why), None
                continue
            sets = ConceptSets(patients, there, lacking, settings.seed, settings.sets, parts=parts, nuisances=nuisances)
            null = NullVectors.of(fitter, sets)
            own = replace(direction, staying=sets.staying, smallest=sets.smallest)
            yield _worth(asked, own, null, features, state), null


def _fitted_on(asked: Asked, without: Sequence[str]) -> tuple[list[str], list[str], list[list[str]]]:
    """Return of the images that directions are fitted on whose they are, of which breast, and the nuisances."""
    rows = np.flatnonzero(~asked.out).tolist()
    patients, columns = asked.patients, [asked.columns[name] for name in without]
    sides = [asked.samples[row].laterality for row in rows]
    return [patients[row] for row in rows], sides, [[column[row] for row in rows] for column in columns]


def _worded(asked: Asked, layer: str, without: tuple[str, ...], features: torch.Tensor) -> Iterator[Pair]:
    """Yield the directions of texts, each with those of images whose embeddings are other patients'."""
    if asked.texts is None:
        return
    texts, settings, rows = asked.texts, asked.settings, torch.from_numpy(~asked.out)
    patients, parts, nuisances = _fitted_on(asked, without)
    images, exchange = texts.images[rows], Exchange(patients, parts, nuisances)
    found = text_map(features[rows], images, patients, settings.seed)
    states = states_of(asked.samples, texts.names)
    every = np.arange(len(images))
    common = Direction(
        *(layer, "", TEXT, without),
        r2=(found.held_out_r2, found.held_out_low),
        staying=exchange.staying(every >= 0),
        smallest=exchange.smallest(every),
    )
    directions = [
        replace(common, concept=concept, counts=_counts(asked, states[:, at])) for at, concept in enumerate(texts.names)
    ]
    if not found.held_out_low > 0:
        why = "the map to texts explains nothing of held-out patients beyond chance"
        yield from ((replace(one, problem=why), None) for one in directions)
        return
    similar = images @ texts.embeddings.T
    nulls = text_vectors(features[rows], similar, exchange, found.penalty, settings.seed, settings.sets)
    for direction, state, null in zip(directions, states.T, nulls, strict=True):
        yield _worth(asked, direction, null, features, state), null


def _worth(asked: Asked, direction: Direction, null: NullVectors, features: torch.Tensor, state: States) -> Direction:
    """Return a direction with its vector, and its AUROC on held-out patients, where they are labelled."""
    vector = functional.normalize(null.vectors[0], dim=0).float()
    out = asked.out
    own, there, lacking = np.array(asked.patients, dtype=np.str_)[out], (state == 1)[out], (state == 0)[out]
    if min(len(np.unique(own[there])), len(np.unique(own[lacking]))) < 2:
        return replace(direction, vector=vector)
    scores = features[torch.from_numpy(out)].float() @ vector
    return replace(direction, vector=vector, area=area(scores, there, lacking, own.tolist()))


def _counts(asked: Asked, state: States) -> dict[str, int]:
    known, numbers = state >= 0, asked.groups.numbers
    return {
        "present": int((state == 1).sum()),
        "absent": int((state == 0).sum()),
        "unknown": int((~known).sum()),
        "patients": len(np.unique(numbers[known])),
        "patients_fitted": len(np.unique(numbers[known & ~asked.out])),
        "patients_held_out": len(np.unique(numbers[known & asked.out])),
    }
