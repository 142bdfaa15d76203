"""How well a classifier does: measures with intervals over patients, and whether its probabilities are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcd_plugins.finetune.tasks import Task

__all__ = [
    "DRAWS",
    "Bin",
    "Calibration",
    "Measure",
    "best_threshold",
    "calibration_of",
    "measured",
    "primary",
    "probabilities",
]

DRAWS = 1000
"""Resamples of patients."""
_BINS = 10
_AT_ONCE = 100
"""Resamples in memory together."""

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """One number with its 95 % interval: percentiles over resamples of patients, None where no resample has it."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Bin:
    """Images of about the same predicted probability: how many, the mean of it, and how often it was true."""

    images: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities are right: of the event, or with several classes of the one that was predicted.

    Parameters
    ----------
    bins
        Of equally many images, in order of probability.
    error
        The expected calibration error: the mean of |predicted − observed|, weighted by images (Naeini et al. 2015).
    """

    bins: tuple[Bin, ...]
    error: float


def probabilities(logits: Floats) -> Floats:
    """Return ``(images, classes)`` from logits ``(images, outputs)``; one output is that of the second of two."""
    if logits.shape[1] == 1:
        both = np.stack([logits[:, 0], -logits[:, 0]], axis=1)  # each from its own logit: 1 - p has lost a small one
        return np.asarray(1 / (1 + np.exp(np.clip(both, -700, 700))))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return found


def primary(task: Task, predicted: Floats, labels: Labels) -> float:
    """Return what early stopping goes by: AUROC; with several classes its mean over them, each against the rest."""
    ones = np.ones((1, len(labels)))
    return float(np.mean([_auroc(predicted[:, at], labels == at, ones)[0] for at in _events(task)]))


def _events(task: Task) -> range:
    return range(1, 2) if task.binary else range(len(task.classes))


def measured(
    task: Task, predicted: Floats, labels: Labels, patients: Labels, threshold: float, seed: int, draws: int = DRAWS
) -> dict[str, Measure]:
    """Return AUROC, AUPRC, kappa, accuracy, macro-F1 and the Brier score.

    Kappa is weighted quadratically where classes are ordered (Cohen 1968). With several classes AUROC and AUPRC are
    means over classes, each against the rest, and follow by class.

    Parameters
    ----------
    predicted
        ``(images, classes)`` probabilities.
    labels, patients
        ``(images,)`` class, and number of the patient.
    threshold
        From which probability on a yes or no question is answered yes; chosen on the validation part.
    seed, draws
        Of the resamples: patients with replacement, all images of each.
    """
    weights = _resampled(patients, seed, draws)
    said = (predicted[:, 1] >= threshold).astype(np.int64) if task.binary else predicted.argmax(axis=1)
    parts = [_each(task, predicted, labels, said, some) for some in np.array_split(weights, max(1, draws // _AT_ONCE))]
    return {name: _interval(np.concatenate([one[name] for one in parts])) for name in parts[0]}


def _each(task: Task, predicted: Floats, labels: Labels, said: Labels, weights: Floats) -> dict[str, Floats]:
    """Return every measure for each row of weights."""
    confusion = _confusion(labels, said, weights, len(task.classes))
    areas = {at: _auroc(predicted[:, at], labels == at, weights) for at in _events(task)}
    precisions = {at: _average_precision(predicted[:, at], labels == at, weights) for at in _events(task)}
    found: dict[str, Floats] = {
        "AUROC": np.mean(list(areas.values()), axis=0),
        "AUPRC": np.mean(list(precisions.values()), axis=0),
        "quadratic kappa" if task.ordinal else "kappa": _kappa(confusion, quadratic=task.ordinal),
        "accuracy": np.trace(confusion, axis1=1, axis2=2) / confusion.sum(axis=(1, 2)),
        "macro F1": _macro_f1(confusion),
    }
    missed = ((predicted - np.eye(len(task.classes))[labels]) ** 2).sum(axis=1) / (2 if task.binary else 1)
    found["Brier score"] = weights @ missed / weights.sum(axis=1)
    if not task.binary:
        found |= {f"AUROC {task.classes[at]}": one for at, one in areas.items()}
        found |= {f"AUPRC {task.classes[at]}": one for at, one in precisions.items()}
    return found


def _interval(values: Floats) -> Measure:
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return Measure(float(values[0]), None, None)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Measure(float(values[0]), float(low), float(high))


def _resampled(patients: Labels, seed: int, draws: int) -> Floats:
    """Return ``(1 + draws, images)`` how often each image counts: once, then as often as its patient is drawn."""
    count = int(patients.max()) + 1
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    return np.concatenate([np.ones((1, len(patients))), times[:, patients].astype(np.float64)])


def _ends(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the order of scores, highest first, and the last place of each group of equal ones."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return order, ends


def _auroc(scores: Floats, truth: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the area under the ROC curve for each row of weights: how often a positive is above a negative, ties ½."""
    order, ends = _ends(scores)
    own = weights[:, order]
    hits = np.cumsum(own * truth[order], axis=1)[:, ends]
    alarms = np.cumsum(own * ~truth[order], axis=1)[:, ends]
    zero = np.zeros((len(weights), 1))
    area = (np.diff(alarms, prepend=zero, axis=1) * (hits + np.concatenate([zero, hits[:, :-1]], axis=1)) / 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = area / (hits[:, -1] * alarms[:, -1])
    return found


def _average_precision(scores: Floats, truth: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return average precision for each row of weights: precision at each threshold, weighted by the gain in recall."""
    order, ends = _ends(scores)
    own = weights[:, order]
    hits = np.cumsum(own * truth[order], axis=1)[:, ends]
    shown = np.cumsum(own, axis=1)[:, ends]
    gained = np.diff(hits, prepend=np.zeros((len(weights), 1)), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(shown > 0, hits / shown, 0.0)
        found: Floats = (gained * precision).sum(axis=1) / hits[:, -1]
    return found


def _confusion(labels: Labels, said: Labels, weights: Floats, classes: int) -> Floats:
    """Return ``(rows of weights, true class, predicted class)``."""
    cells = np.eye(classes * classes)[labels * classes + said]
    found: Floats = (weights @ cells).reshape(-1, classes, classes)
    return found


def _kappa(confusion: Floats, *, quadratic: bool) -> Floats:
    classes = np.arange(confusion.shape[1])
    apart = (classes[:, None] - classes[None]) ** 2 if quadratic else classes[:, None] != classes[None]
    mass = confusion.sum(axis=(1, 2))
    expected = confusion.sum(axis=2)[:, :, None] * confusion.sum(axis=1)[:, None, :] / mass[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = 1 - (confusion * apart).sum(axis=(1, 2)) / (expected * apart).sum(axis=(1, 2))
    return found


def _macro_f1(confusion: Floats) -> Floats:
    """Return the mean of F1 over the classes that images have or are said to have; a resample may lack some."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    total = confusion.sum(axis=1) + confusion.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.nanmean(2 * hits / total, axis=1)
    return found


def best_threshold(predicted: Floats, labels: Labels) -> float:
    """Return the probability that parts yes from no best: the highest sensitivity + specificity (Youden 1950)."""
    order, ends = _ends(predicted)
    truth = labels[order] == 1
    hits, alarms = np.cumsum(truth)[ends], np.cumsum(~truth)[ends]
    gain = hits / max(1, hits[-1]) - alarms / max(1, alarms[-1])
    return float(predicted[order][ends][int(np.argmax(gain))])


def calibration_of(task: Task, predicted: Floats, labels: Labels) -> Calibration:
    """Return the calibration curve of probabilities ``(images, classes)``."""
    if task.binary:
        shown, true = predicted[:, 1], labels == 1
    else:
        shown, true = predicted.max(axis=1), predicted.argmax(axis=1) == labels
    order = np.argsort(shown, kind="stable")
    bins = [
        Bin(len(rows), float(shown[rows].mean()), float(true[rows].mean()))
        for rows in np.array_split(order, min(_BINS, len(order)))
    ]
    error = sum(one.images * abs(one.predicted - one.observed) for one in bins) / len(order)
    return Calibration(tuple(bins), float(error))
