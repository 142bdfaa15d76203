"""How well the two networks know what is in a phantom they have not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mcd_plugins.phantom.captions import FACTORS, values_and_phrases
from mcd_plugins.phantom.network import FINDINGS, PhantomClipNetwork, PhantomMammoNetwork

__all__ = ["auroc", "findings", "mammo_auroc", "prompt", "table", "zero_shot_auroc", "zero_shot_by_value"]

_CHUNK = 128


def auroc(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the chance that a positive scores above a negative, ties a half."""
    values, inverse = np.unique(scores, return_inverse=True)
    counts = np.bincount(inverse, minlength=len(values))
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = int(truth.sum()), int((~truth).sum())
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def findings(codes: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which of `FINDINGS` each view has, ``(views, 11)``."""
    column = {name: codes[:, at] for at, name in enumerate(FACTORS)}

    def is_one(factor: str, *values: str) -> NDArray[np.bool_]:
        return np.isin(column[factor], [FACTORS[factor].index(value) for value in values])

    found = {
        "spiculated mass": is_one("mass margin", "spiculated"),
        "suspicious calcifications": is_one("calcification morphology", "amorphous", "pleomorphic", "linear"),
        "dense breast": is_one("density", "c", "d"),
    }
    return np.stack([found[name] if name in found else is_one(name, "present") for name in FINDINGS], axis=1)


def mammo_auroc(model: PhantomMammoNetwork, images: torch.Tensor, codes: NDArray[np.int8]) -> dict[str, float]:
    """Return phantom-mammo's AUROC for every finding."""
    with torch.inference_mode():
        logits = torch.cat([model(chunk) for chunk in torch.split(images, _CHUNK)]).numpy()
    truth = findings(codes)
    return {name: auroc(logits[:, at], truth[:, at]) for at, name in enumerate(FINDINGS)}


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
        [f"| {what} | AUROC |", "|---|---|", *rows, f"| **mean** | **{np.mean(values):.3f}** |",
         f"| **lowest** | **{min(values):.3f}** |", ""]
    )  # fmt: skip
