"""Blinded neuron cards for a reader study, and the scoring of what readers wrote."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_reporters() -> list[Component]:
    """Offer the cards."""
    return [
        Component(
            "cards",
            "mcd_plugins.cards.reporter:CardsReporter",
            "Blinded neuron cards for a reader study",
            requires=("jinja2",),
        ),
    ]


@hookimpl
def mcd_register_commands() -> list[Component]:
    """Offer ``mcd cards``."""
    return [Component("cards", "mcd_plugins.cards.command:cards", "Score what readers wrote about neuron cards.")]
