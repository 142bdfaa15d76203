"""``mcd reproduce``: a ledger of the field's published numbers, each derived anew and judged."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer ``mcd reproduce``."""
    return [
        Component("reproduce", "mcd_plugins.reproduce.command:reproduce", "Derive the field's published numbers anew.")
    ]
