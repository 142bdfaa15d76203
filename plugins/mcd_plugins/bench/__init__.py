"""``mcd bench``: labelling methods compared on units of which it is known what they follow, for they were planted."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer ``mcd bench``."""
    return [Component("bench", "mcd_plugins.bench.command:bench", "Try labelling methods on planted units.")]
