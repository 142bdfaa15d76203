"""CoSy's and FADE's measures, adapted to what is annotated: held-out images in the place of generated ones.

CoSy (Kopf et al., "CoSy: Evaluating Textual Explanations of Neurons", NeurIPS 2024) draws images of a label with a
text-to-image model and compares their activations with those of control images: AUC and MAD. FADE (Puri et al., 2025)
names responsiveness and purity. No such model draws mammograms: here the images with the concept are those annotated
so, of patients that did not name the neuron, and the control images those annotated as without it. The names say so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mad", "responsiveness"]

Values = NDArray[np.float64]


def mad(activations: Values, concept: NDArray[np.bool_], weights: Values) -> Values:
    """Return the mean activation difference of CoSy, ``(weightings, neurons)``.

    ``(mean of images with the concept - mean of those without) / sd of those without``; NaN where there are none of
    either, or those without are all the same.

    Parameters
    ----------
    activations
        ``(images, neurons)``.
    concept
        ``(images,)``.
    weights
        ``(weightings, images)``.
    """
    a = activations - activations.mean(axis=0)
    there, lacking = weights * concept, weights * ~concept
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = there @ a / there.sum(axis=1)[:, None]
        total = lacking.sum(axis=1)[:, None]
        control = lacking @ a / total
        variance = lacking @ a**2 / total - control**2
        found: Values = (mean - control) / np.sqrt(variance)
    flat = variance <= np.finfo(np.float64).eps * len(a) * (a**2).max(axis=0, initial=0)
    return np.where(flat | ~np.isfinite(found), np.nan, found)


def responsiveness(auroc: Values) -> Values:
    """Return the Gini coefficient that FADE takes for responsiveness: ``2 AUROC - 1``, 0 by chance."""
    return 2 * auroc - 1
