"""How many neurons carry a concept above chance, in the sentences that notebooks and all reporters begin with."""

from __future__ import annotations

import math

from mcd.errors import amount

__all__ = ["above_chance_said", "by_chance"]


def above_chance_said(*, named: int, neurons: int, labelled: bool, judged: bool, q: float) -> list[str]:
    """Return what a run has learned, before any concept is named: one or two sentences.

    Parameters
    ----------
    named
        Neurons with a significant label, or with any label where significance was not computed.
    neurons
        All neurons of the run.
    labelled
        Whether any neuron has a label.
    judged
        Whether significance was computed.
    q
        The false discovery rate of significant labels.
    """
    of = amount(neurons, "neuron")
    if not labelled:
        return [
            f"Nothing: none of {of} responds differently to different images.",
            "Weights that were not loaded look like this, and layers behind a constant; mcd layers lists others.",
        ]
    if not judged:
        return [
            f"Not known: {named:,} of {of} have a label, but no label was tested against chance, and some concept "
            "always fits a neuron best."
        ]
    if not named:
        return [f"Nothing above chance: none of {of} has a significant concept (q ≤ {q:g})."]
    part = "<1%" if named / neurons < 0.005 else f"{named / neurons:.0%}"
    return [
        f"{named:,} of {of} ({part}) {'carries' if named == 1 else 'carry'} a concept above chance; "
        f"chance explains {by_chance(q, named)} of these (q ≤ {q:g})."
    ]


def by_chance(level: float, discovered: int) -> str:
    """Return how many of so many discoveries are expected to be false at a false discovery rate, in words."""
    expected = level * discovered
    return "fewer than 1" if expected < 1 else f"about {math.floor(expected + 0.5):,}"
