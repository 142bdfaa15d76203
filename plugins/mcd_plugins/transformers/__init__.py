"""Vision models and CLIP-likes of transformers: targets and dissectors."""

from mcd import Component, hookimpl

_NEEDS = ("transformers",)


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer vision models, and the vision towers of CLIP-likes."""
    home = "mcd_plugins.transformers.loader:TransformersLoader"
    return [Component("transformers", home, "A vision model of transformers, by folder or hub name", _NEEDS)]


@hookimpl
def mcd_register_dissectors() -> list[Component]:
    """Offer the CLIP-likes."""
    home = "mcd_plugins.transformers.dissector:TransformersClip"
    return [Component("transformers-clip", home, "CLIP, SigLIP and their like, by folder or hub name", _NEEDS)]
