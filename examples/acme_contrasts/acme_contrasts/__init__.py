"""Units without what neurons share. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

import mcd


@mcd.hookimpl
def mcd_register_units() -> list[mcd.Component]:
    """Offer the source."""
    return [mcd.Component("acme-contrasts", "acme_contrasts.units:Contrasts", "Each neuron less the mean of its layer")]
