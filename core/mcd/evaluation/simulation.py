"""How well a label predicts the activation on patients that were not used to fit the prediction.

Source: Oikarinen & Weng, "Linear Explanations for Individual Neurons", ICML 2024, simulation scoring. There a network
simulates; here the prediction is ``scale · concept + offset``, fitted by least squares on the naming half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcd.evaluation.agreement import pearson

__all__ = ["scale_of", "simulation"]

Values = NDArray[np.float64]


def scale_of(activations: Values, concept: Values) -> Values:
    """Return the scale of the least-squares prediction of each neuron by a concept, ``(neurons,)``.

    Parameters
    ----------
    activations
        ``(images, neurons)``, of the naming half.
    concept
        ``(images,)``; NaN where not known: such images are left out. Without two different values the scale is 0.
    """
    known = ~np.isnan(concept)
    c = concept[known] - (concept[known].mean() if known.any() else 0)
    square = float(c @ c)
    if square <= np.finfo(np.float64).eps:
        return np.zeros(activations.shape[1])
    found: Values = c @ activations[known] / square
    return found


def simulation(scale: Values, activations: Values, concept: Values, weights: Values) -> Values:
    """Return the correlation of predicted and true activation on held-out images, ``(weightings, neurons)``.

    Correlation knows no scale and no offset, but a sign: it is Pearson's r of activation and concept, times the sign
    of the fitted scale. 0 where the prediction is the same for all images, since it then says nothing.

    Parameters
    ----------
    scale
        ``(neurons,)``, from `scale_of`.
    activations, concept, weights
        Of the held-out images, as in `mcd.evaluation.agreement.pearson`.
    """
    found: Values = np.where(scale == 0, 0.0, np.sign(scale) * pearson(activations, concept, weights))
    return found
