"""A reporter in one line a layer. Every mcd command imports this file, so it only says what there is."""

from __future__ import annotations

import mcd


@mcd.hookimpl
def mcd_register_reporters() -> list[mcd.Component]:
    """Offer the reporter."""
    return [mcd.Component("acme-lines", "acme_lines.reporter:LinesReporter", "A line of text for each layer")]
