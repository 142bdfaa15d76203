"""A command about two runs. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

import mcd


@mcd.hookimpl
def mcd_register_commands() -> list[mcd.Component]:
    """Offer the command."""
    return [
        mcd.Component(
            "acme-shared", "acme_shared.command:command", "List the concepts that neurons of both runs carry."
        )
    ]
