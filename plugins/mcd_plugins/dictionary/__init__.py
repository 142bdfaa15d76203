"""``mcd dictionary``: dictionaries of a layer, such as sparse autoencoders, to see the layer through."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer ``mcd dictionary``."""
    summary = "Dictionaries of a layer, such as sparse autoencoders."
    return [Component("dictionary", "mcd_plugins.dictionary.command:dictionary", summary)]
