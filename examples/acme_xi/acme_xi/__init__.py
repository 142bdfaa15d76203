"""A scorer of any dependence. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

import mcd


@mcd.hookimpl
def mcd_register_scorers() -> list[mcd.Component]:
    """Offer the scorer."""
    return [
        mcd.Component(
            "acme-xi",
            "acme_xi.scorer:XiScorer",
            "Chatterjee's xi: does a neuron follow a concept, up, down or otherwise?",
        )
    ]
