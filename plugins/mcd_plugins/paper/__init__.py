"""``mcd paper``: the set-ups of Mammo-CLIP Dissect, run with what is in a folder, and its claims answered."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer ``mcd paper``."""
    return [Component("paper", "mcd_plugins.paper.command:paper", "Run the paper's set-ups, and answer its claims.")]
