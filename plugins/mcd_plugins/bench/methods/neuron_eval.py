"""NeuronEval's choice of a measure: Pearson's correlation.

Source: Oikarinen et al., Evaluating Neuron Explanations, ICML 2025: one of the five measures that pass both of its
sanity checks.
"""

from __future__ import annotations

import torch

from mcd_plugins.bench.contract import SINGLE, TIED, Case, Decision, Method, Values
from mcd_plugins.bench.methods.choice import activations as a_of
from mcd_plugins.bench.methods.choice import named
from mcd_plugins.bench.methods.choice import similarity as p_of
from mcd_plugins.scorers.pearson import Pearson

__all__ = ["METHODS", "pearson"]


def pearson(activations: Values, similarity: Values) -> Values:
    """Return the correlation of activations and similarities, ``(units, concepts)``; NaN for constant columns."""
    found: Values = Pearson().score(torch.from_numpy(activations), torch.from_numpy(similarity)).numpy()
    return found


def _decided(case: Case) -> Decision:
    return named(case, pearson(a_of(case), p_of(case)))


METHODS = (
    Method(
        name="NeuronEval Pearson",
        source="Oikarinen et al., Evaluating Neuron Explanations, ICML 2025, correlation",
        needs=("similarity",),
        made_for=(SINGLE, TIED),
        decide=_decided,
    ),
)
