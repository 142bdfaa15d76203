"""Unit sources that read a safetensors file: what a layer can be seen through."""

from mcd import Component, hookimpl

_FILES = ("*.safetensors",)


@hookimpl
def mcd_register_units() -> list[Component]:
    """Offer the sources."""
    return [
        Component(
            "directions",
            "mcd_plugins.units.directions:Directions",
            "Directions of a layer: concept activation vectors, a linear probe, an SVM, your own",
            files=_FILES,
        ),
        Component(
            "dictionary",
            "mcd_plugins.units.dictionary:Dictionary",
            "Latents of a sparse autoencoder or another dictionary",
            files=_FILES,
        ),
        Component("groups", "mcd_plugins.units.groups:Groups", "Means of z-scored neurons", files=_FILES),
        Component("pca", "mcd_plugins.units.pca:PrincipalAxes", "Principal axes of a layer", files=_FILES),
    ]
