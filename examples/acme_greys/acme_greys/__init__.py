"""A dissector without weights. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

import mcd


@mcd.hookimpl
def mcd_register_dissectors() -> list[mcd.Component]:
    """Offer the dissector."""
    return [
        mcd.Component(
            "acme-greys",
            "acme_greys.dissector:GreysDissector",
            "Words as directions in a space of grey values; a control",
        )
    ]
