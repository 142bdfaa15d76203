"""``mcd cav``: concept activation vectors, how sensitive outputs are to them, and what that is worth against chance."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer ``mcd cav``."""
    return [Component("cav", "mcd_plugins.cav.command:cav", "Test concept activation vectors.")]
