"""How well single neurons agree with a concept: the five measures that pass NeuronEval's sanity checks.

Source: Oikarinen, Yan & Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity Checks", ICML 2025.
Everything is computed at once for many neurons and many weightings of the images: with weights of 1 and 0, for
resamples of the patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcd.scoring.calibration.permutation import Rows

__all__ = ["Ranked", "cosine", "overlap", "pearson", "predicted", "top_thresholds"]

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

_HELD = 2**22
"""Numbers that are held at once while ranks are weighted."""


def pearson(activations: Values, concept: Values, weights: Values) -> Values:
    """Return Pearson's r of each neuron with a concept, ``(weightings, neurons)``; NaN where one of them is constant.

    Parameters
    ----------
    activations
        ``(images, neurons)``.
    concept
        ``(images,)``.
    weights
        ``(weightings, images)``, none negative.
    """
    a, c = activations - activations.mean(axis=0), concept - concept.mean()
    total = weights.sum(axis=1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_a, mean_c = weights @ a / total, (weights @ c)[:, None] / total
        spread = weights @ a**2 / total - mean_a**2, (weights @ c**2)[:, None] / total - mean_c**2
        found: Values = (weights @ (a * c[:, None]) / total - mean_a * mean_c) / np.sqrt(spread[0] * spread[1])
    scale = np.finfo(np.float64).eps * len(a)
    flat = (spread[0] <= scale * (a**2).max(axis=0, initial=0)) | (spread[1] <= scale * (c**2).max(initial=0))
    return np.where(flat | ~np.isfinite(found), np.nan, np.clip(found, -1, 1))


def cosine(activations: Values, concept: Values, weights: Values) -> Values:
    """Return the cosine of each neuron's activations and a concept, as `pearson`; NaN where one is 0 everywhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = weights @ activations**2 * (weights @ concept**2)[:, None]
        found: Values = weights @ (activations * concept[:, None]) / np.sqrt(squares)
    return np.where(squares > 0, np.clip(found, -1, 1), np.nan)


def top_thresholds(activations: Values, shares: Values) -> Values:
    """Return above which activation a share of the images lies, ``(shares, neurons)``.

    It is the k-th largest activation with k the share of the images, rounded up. See `predicted`.
    """
    ordered = -np.sort(-activations, axis=0)
    k = np.clip(np.ceil(shares * len(activations) - 1e-9).astype(np.int64), 1, len(activations))
    found: Values = ordered[k - 1]
    return found


def predicted(activations: Values, threshold: Values) -> Flags:
    """Return where neurons are active, ``(images, neurons)``: at their threshold ``(neurons,)`` or above it.

    Where that is a neuron's smallest activation, as it is for most thresholds of one that is mostly 0, above it.
    """
    found: Flags = np.where(threshold > activations.min(axis=0), activations >= threshold, activations > threshold)
    return found


def overlap(active: Flags, concept: Flags, weights: Values) -> tuple[Values, Values]:
    """Return F1 and IoU of each neuron with a concept, each ``(weightings, neurons)``.

    ``F1 = 2 TP / (2 TP + FP + FN)``, ``IoU = TP / (TP + FP + FN)``; NaN where neither ever occurs.

    Parameters
    ----------
    active
        ``(images, neurons)``.
    concept
        ``(images,)``.
    weights
        ``(weightings, images)``.
    """
    both = weights @ (active & concept[:, None]).astype(np.float64)
    either = weights @ active.astype(np.float64) + (weights @ concept.astype(np.float64))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        f1, iou = 2 * both / either, both / (either - both)
    return np.where(either > 0, f1, np.nan), np.where(either > 0, iou, np.nan)


@dataclass(frozen=True)
class Ranked:
    """Images by activation, so that a threshold can be moved over them; equal activations are passed together.

    Parameters
    ----------
    order
        ``(neurons, images)``: row numbers, the largest activation first.
    start, end
        ``(neurons, images)``: the places of the first and the last image with the same activation.
    """

    order: Rows
    start: Rows
    end: Rows

    @classmethod
    def of(cls, activations: Values) -> Ranked:
        """Rank images ``(images, neurons)``."""
        images, neurons = activations.shape
        order = np.argsort(-activations.T, axis=1, kind="stable")
        values = np.take_along_axis(activations.T, order, axis=1)
        place = np.broadcast_to(np.arange(images), (neurons, images))
        new = np.ones((neurons, images + 1), dtype=bool)
        new[:, 1:-1] = values[:, 1:] != values[:, :-1]
        start = np.maximum.accumulate(np.where(new[:, :-1], place, 0), axis=1)
        end = np.minimum.accumulate(np.where(new[:, 1:], place, images - 1)[:, ::-1], axis=1)[:, ::-1]
        return cls(order, start, end)

    def measured(self, concept: Flags, weights: Values) -> tuple[Values, Values, Values]:
        """Return AUROC, AUPRC and balanced AUPRC of each neuron, ``(weightings, neurons)``.

        AUROC is the chance that an image with the concept has a larger activation than one without; a tie is a half.
        AUPRC is average precision: ``Σ (R_t - R_{t-1}) P_t`` over all different activations t as thresholds. In the
        balanced one, images with and without the concept have equal weight in total, so that a neuron by chance has
        0.5 whatever the prevalence. NaN where no image has the concept, or none lacks it.

        Parameters
        ----------
        concept
            ``(images,)``.
        weights
            ``(weightings, images)``.
        """
        neurons, images = self.order.shape
        found = np.empty((3, len(weights), neurons))
        step = max(1, _HELD // max(1, len(weights) * images))
        counts = weights.astype(np.float32)  # exact: whole numbers, far below 2^24
        for at in range(0, neurons, step):
            some = slice(at, at + step)
            found[:, :, some] = self._part(some, concept, counts)
        return found[0], found[1], found[2]

    def _part(self, some: slice, concept: Flags, weights: NDArray[np.float32]) -> Values:
        order = self.order[some]
        there = concept[order]
        of_it = there.nonzero()[1].reshape(len(order), -1)  # each neuron sees the concept equally often
        shape = (len(weights), len(order), order.shape[1] + 1)
        passed, hits = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        weight = weights[:, order]
        np.cumsum(weight, axis=2, out=passed[:, :, 1:])
        np.cumsum(weight * there, axis=2, out=hits[:, :, 1:])

        def at(counted: NDArray[np.float32], places: Rows) -> Values:
            return np.take_along_axis(counted, places[None], axis=2).astype(np.float64)

        end, start = (np.take_along_axis(one[some], of_it, axis=1) for one in (self.end, self.start))
        own = at(weight, of_it)
        hit, missed = at(hits, end + 1), at(passed, end + 1) - at(hits, end + 1)
        before = at(passed, start) - at(hits, start)
        with_it, without = hits[:, :, -1].astype(np.float64), (passed - hits)[:, :, -1].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            area = (own * (without[:, :, None] - (missed + before) / 2)).sum(axis=2) / (with_it * without)
            precision = np.where(own > 0, hit / (hit + missed), 0)
            ratio = (with_it / without)[:, :, None]
            even = np.where(own > 0, hit / (hit + missed * ratio), 0)
            found = np.stack([area, (own * precision).sum(axis=2) / with_it, (own * even).sum(axis=2) / with_it])
        return np.where((with_it > 0) & (without > 0), found, np.nan)
