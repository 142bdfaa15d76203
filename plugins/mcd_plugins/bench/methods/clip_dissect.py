"""The five similarity functions of CLIP-Dissect, and the threshold of Mammo-CLIP Dissect.

Source: Oikarinen & Weng, CLIP-Dissect, ICLR 2023 (arXiv 2204.10965), section 3.2, with the settings of the released
code. Where `mcd` has a scorer that is the published formula, it is used, in float64: so the decision is the same with
any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mcd_plugins.bench.contract import SINGLE, TIED, Case, Decision, Flags, Method, Numbers, Values
from mcd_plugins.bench.methods.choice import activations as a_of
from mcd_plugins.bench.methods.choice import few, named, top_images
from mcd_plugins.bench.methods.choice import similarity as p_of
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.evidence import EvidenceScorer
from mcd_plugins.scorers.soft_wpmi import SoftWPMI
from mcd_plugins.scorers.wpmi import WPMI

__all__ = ["METHODS", "TOP_FRACTION", "cos", "cos_cubed", "passes_mean", "rank_reorder", "soft_wpmi", "wpmi"]

TOP_FRACTION = 0.05
"""Share of the images that rank reorder orders."""


def cos(activations: Values, similarity: Values) -> Values:
    """Return the cosine of each unit's activations and each concept's similarities, ``(units, concepts)``.

    NaN for a unit of zeros, which has no direction.
    """
    return _array(Cosine().score(_tensor(activations), _tensor(similarity)))


def cos_cubed(activations: Values, similarity: Values) -> Values:
    """Return the cosine of both, centred and cubed, norms at least 0.001, ``(units, concepts)``.

    0 for what is the same on every image, as released.
    """
    found: Values = np.nan_to_num(_array(CosineCubed().score(_tensor(activations), _tensor(similarity))))
    return found


def rank_reorder(activations: Values, similarity: Values, ranked: Numbers) -> Values:
    """Return how well a concept orders a unit's top images, ``(units, concepts)``.

    ``-(mean |t - t'|³ / mean |t - random order|³) / √(mean similarity)``: t the top activations, t' the same as the
    concept orders the images. The random order is its expectation: the released code draws five permutations, without a
    seed; one number a unit, which changes no label. NaN where the mean similarity is not positive (the released code
    names such a concept first), and where the top activations are all equal.

    Parameters
    ----------
    activations, similarity
        A ``(images, units)`` and P ``(images, concepts)``.
    ranked
        The `TOP_FRACTION` of images, strongest first, ``(n, units)``.
    """
    top = np.take_along_axis(activations, ranked, axis=0)
    by_chance = (np.abs(top[:, None] - top[None]) ** 3).mean(axis=(0, 1))
    scores = np.empty((activations.shape[1], similarity.shape[1]))
    with np.errstate(invalid="ignore", divide="ignore"):
        for unit, images in enumerate(ranked.T):
            shown = similarity[images]
            place = shown.argsort(axis=0, kind="stable").argsort(axis=0)
            moved = top[::-1, unit][place]
            error = (np.abs(top[:, unit, None] - moved) ** 3).mean(axis=0)
            scores[unit] = -(error / by_chance[unit]) / np.sqrt(shown.mean(axis=0))
    return np.where(np.isfinite(scores), scores, np.nan)


def wpmi(ranked: Numbers, similarity: Values) -> Values:
    """Return WPMI, prior over the layer, a = 2, λ = 0.6, ``(units, concepts)``.

    Parameters
    ----------
    ranked
        The top images, ``(k, units)``; published: k = 28.
    similarity
        P, ``(images, concepts)``.
    """
    return _evidence(WPMI(WPMI.Options(top_k=len(ranked), prior="layer")), ranked, similarity)


def soft_wpmi(ranked: Numbers, similarity: Values) -> Values:
    """Return soft WPMI, prior over the layer, a = 10, λ = 1, weights from .998 to .97; published: k = 100."""
    return _evidence(SoftWPMI(SoftWPMI.Options(top_k=len(ranked), prior="layer")), ranked, similarity)


def passes_mean(best: Values) -> Flags:
    """Return which units the local threshold of Mammo-CLIP Dissect keeps, ``(units,)``.

    Those whose best score is at least the layer's mean of best scores. Source: arXiv 2509.21102 and its notebook
    ``process_result_csvs``.
    """
    kept: Flags = best >= best.mean()
    return kept


def _evidence(scorer: EvidenceScorer, ranked: Numbers, similarity: Values) -> Values:
    # ranked, not scored from activations: as published, dead units take part in the prior and have a score
    return _array(scorer.score_ranked(torch.from_numpy(np.ascontiguousarray(ranked)), _tensor(similarity)))


def _tensor(values: Values) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))


def _array(values: torch.Tensor) -> Values:
    found: Values = values.numpy().astype(np.float64)
    return found


def _cos(case: Case) -> Decision:
    return named(case, cos(a_of(case), p_of(case)))


def _cos_cubed(case: Case) -> Decision:
    return named(case, cos_cubed(a_of(case), p_of(case)))


def _rank_reorder(case: Case) -> Decision:
    top = top_images(case, max(3, int(TOP_FRACTION * len(case.activations))))  # two have hardly an order
    return named(case, rank_reorder(a_of(case), p_of(case), top))


def _wpmi(case: Case) -> Decision:
    return named(case, wpmi(top_images(case, few(case, 28)), p_of(case)))


def _soft_wpmi(case: Case) -> Decision:
    return named(case, soft_wpmi(top_images(case, few(case, 100)), p_of(case)))


def _above_mean(case: Case) -> Decision:
    return named(case, soft_wpmi(top_images(case, few(case, 100)), p_of(case)), passes_mean)


_PAPER = "Oikarinen & Weng, CLIP-Dissect, ICLR 2023 (arXiv 2204.10965)"


def _method(name: str, section: str, decide: Callable[[Case], Decision]) -> Method:
    return Method(name, f"{_PAPER}, {section}", ("similarity",), (SINGLE, TIED), decide)


METHODS = (
    _method("CLIP-Dissect cos", "Cos", _cos),
    _method("CLIP-Dissect cos-cubed", "Cos cubed, of its released code (Label-free CBM, ICLR 2023)", _cos_cubed),
    _method("CLIP-Dissect rank", "Rank reorder", _rank_reorder),
    _method("CLIP-Dissect WPMI", "WPMI", _wpmi),
    _method("CLIP-Dissect soft-WPMI", "SoftWPMI", _soft_wpmi),
    Method(
        name="Mammo-CLIP Dissect",
        source="Mammo-CLIP Dissect, 2025 (arXiv 2509.21102), local threshold on soft WPMI",
        needs=("similarity",),
        made_for=(SINGLE, TIED),
        decide=_above_mean,
        rule="its score is at least the mean of the layer's",
    ),
)
