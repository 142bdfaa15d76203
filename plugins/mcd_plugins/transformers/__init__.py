"""Vision models and CLIP-likes of transformers, and MedCLIP's checkpoints: targets and dissectors."""

from mcd import Component, hookimpl

_NEEDS = ("transformers",)
_FOLDER = ("*/config.json",)
_MEDCLIP = ("*medclip*/pytorch_model.bin",)
_MEDCLIP_NEEDS = ("timm", "torchvision", "transformers")


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer vision models, and the vision towers of CLIP-likes."""
    home = "mcd_plugins.transformers.loader:TransformersLoader"
    tower = "mcd_plugins.transformers.medclip:MedClipTower"
    return [
        Component(
            "medclip", tower, "MedCLIP's image tower from its released checkpoint", _MEDCLIP_NEEDS, files=_MEDCLIP
        ),
        Component(
            "transformers", home, "A vision model of transformers, from a folder or the hub", _NEEDS, files=_FOLDER
        ),
    ]


@hookimpl
def mcd_register_dissectors() -> list[Component]:
    """Offer the CLIP-likes."""
    home = "mcd_plugins.transformers.dissector:TransformersClip"
    medclip = "mcd_plugins.transformers.medclip:MedClip"
    return [
        Component(
            "medclip",
            medclip,
            "MedCLIP (chest radiographs) from its released checkpoint",
            _MEDCLIP_NEEDS,
            files=_MEDCLIP,
        ),
        Component(
            "transformers-clip", home, "CLIP, SigLIP and their like, from a folder or the hub", _NEEDS, files=_FOLDER
        ),
    ]
