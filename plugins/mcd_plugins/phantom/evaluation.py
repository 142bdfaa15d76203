"""How well the networks know what is in a phantom they have not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mcd_plugins.phantom.captions import FACTORS, values_and_phrases
from mcd_plugins.phantom.network import CALCIFICATIONS, EVERYDAY, FINDINGS, PhantomClipNetwork, PhantomMammoNetwork

__all__ = [
    "auroc",
    "calc_auroc",
    "calcifications",
    "findings",
    "general_auroc",
    "mammo_auroc",
    "output_auroc",
    "prompt",
    "table",
    "zero_shot_auroc",
    "zero_shot_by_value",
]

_CHUNK = 128
_SUSPICIOUS = ("amorphous", "pleomorphic", "linear")
"""Calcification morphologies that are not typically benign."""


def auroc(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the chance that a positive scores above a negative, ties a half."""
    values, inverse = np.unique(scores, return_inverse=True)
    counts = np.bincount(inverse, minlength=len(values))
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = int(truth.sum()), int((~truth).sum())
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def findings(codes: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which of `FINDINGS` each view has, ``(views, 11)``."""
    found = {
        "spiculated mass": _is_one(codes, "mass margin", "spiculated"),
        "suspicious calcifications": _is_one(codes, "calcification morphology", *_SUSPICIOUS),
        "dense breast": _is_one(codes, "density", "c", "d"),
    }
    return np.stack([found[name] if name in found else _is_one(codes, name, "present") for name in FINDINGS], axis=1)


def calcifications(codes: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which of `CALCIFICATIONS` each view has, ``(views, 14)``; without calcifications it has none."""
    morphologies, distributions = FACTORS["calcification morphology"], FACTORS["calcification distribution"]
    benign = [name for name in morphologies if name not in _SUSPICIOUS]
    found = [
        _is_one(codes, "calcifications", "present"),
        _is_one(codes, "calcification morphology", *benign),
        _is_one(codes, "calcification morphology", *_SUSPICIOUS),
        *(_is_one(codes, "calcification morphology", name) for name in morphologies),
        *(_is_one(codes, "calcification distribution", name) for name in distributions),
    ]
    return np.stack(found, axis=1)


def _is_one(codes: NDArray[np.int8], factor: str, *values: str) -> NDArray[np.bool_]:
    column = codes[:, list(FACTORS).index(factor)]
    return np.isin(column, [FACTORS[factor].index(value) for value in values])


def output_auroc(
    model: PhantomMammoNetwork, images: torch.Tensor, truth: NDArray[np.bool_], names: Sequence[str]
) -> dict[str, float]:
    """Return the AUROC of every output of a classifier for its truth ``(images, outputs)``."""
    with torch.inference_mode():
        logits = torch.cat([model(chunk) for chunk in torch.split(images, _CHUNK)]).numpy()
    return {name: auroc(logits[:, at], truth[:, at]) for at, name in enumerate(names)}


def mammo_auroc(model: PhantomMammoNetwork, images: torch.Tensor, codes: NDArray[np.int8]) -> dict[str, float]:
    """Return phantom-mammo's AUROC for every finding."""
    return output_auroc(model, images, findings(codes), FINDINGS)


def calc_auroc(model: PhantomMammoNetwork, images: torch.Tensor, codes: NDArray[np.int8]) -> dict[str, float]:
    """Return phantom-calc's AUROC for each of its outputs on calcifications."""
    return output_auroc(model, images, calcifications(codes), CALCIFICATIONS)


def general_auroc(model: PhantomMammoNetwork, images: torch.Tensor, kinds: NDArray[np.int64]) -> dict[str, float]:
    """Return phantom-general's AUROC for every kind of image, each against the rest."""
    return output_auroc(model, images, kinds[:, None] == np.arange(len(EVERYDAY)), EVERYDAY)


def zero_shot_by_value(
    model: PhantomClipNetwork, images: torch.Tensor, codes: NDArray[np.int8]
) -> dict[str, dict[str, float]]:
    """Return phantom-clip's AUROC for every value of every factor, with nothing fitted.

    A value's score is the cosine with its first phrase minus the mean cosine with those of the other values
    of the factor. Only views to which the factor applies count: the margin is judged where there is a mass.
    """
    found: dict[str, dict[str, float]] = {}
    with torch.inference_mode():
        embedded = torch.cat([model.image_tower(chunk) for chunk in torch.split(images, _CHUNK)])
        image = torch.nn.functional.normalize(embedded)
        for at, (factor, values) in enumerate(FACTORS.items()):
            texts = model.text_tower([prompt(factor, value) for value in values])
            cosine = (image @ torch.nn.functional.normalize(texts).T).numpy()
            applies = codes[:, at] >= 0
            found[factor] = {}
            for number, value in enumerate(values):
                others = [one for one in range(len(values)) if one != number]
                score = cosine[:, number] - cosine[:, others].mean(axis=1)
                found[factor][value] = auroc(score[applies], codes[applies, at] == number)
    return found


def zero_shot_auroc(model: PhantomClipNetwork, images: torch.Tensor, codes: NDArray[np.int8]) -> dict[str, float]:
    """Return phantom-clip's AUROC for every factor: the mean over its values, each against the rest."""
    by_value = zero_shot_by_value(model, images, codes)
    return {factor: float(np.mean(list(areas.values()))) for factor, areas in by_value.items()}


def prompt(factor: str, value: str) -> str:
    """Return the words that stand for a value in zero-shot evaluation: its first phrase."""
    return next(phrase for name, one, phrase in values_and_phrases() if (name, one) == (factor, value))


def table(scores: Mapping[str, float], what: str) -> str:
    """Return the scores as a Markdown table, with mean and minimum."""
    rows: Sequence[str] = [f"| {name} | {score:.3f} |" for name, score in scores.items()]
    values = list(scores.values())
    return "\n".join(
        [
            f"| {what} | AUROC |",
            "|---|---|",
            *rows,
            f"| **mean** | **{np.mean(values):.3f}** |",
            f"| **lowest** | **{min(values):.3f}** |",
            "",
        ]
    )
