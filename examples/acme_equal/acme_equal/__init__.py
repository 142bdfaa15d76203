"""A recipe that undoes grey curves. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

import mcd


@mcd.hookimpl
def mcd_register_preprocessings() -> list[mcd.Component]:
    """Offer the recipe."""
    return [
        mcd.Component(
            "acme-equal",
            "acme_equal.recipe:EqualRecipe",
            "The breast's histogram made flat: every vendor's greys alike",
        )
    ]
