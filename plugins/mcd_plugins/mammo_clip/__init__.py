"""Mammo-CLIP from its released checkpoints: dissector, target, fine-tuned classifiers, preprocessing."""

from mcd import Component, hookimpl

_NEEDS = ("timm", "transformers")
_RELEASED = ("*b[25]-model-best*.tar", "*mammo*clip*.tar", "*mammo*clip*.pth")
"""How the released checkpoints are called, and how people call their copies."""


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the image towers."""
    home = "mcd_plugins.mammo_clip.loader"
    return [
        Component(
            "mammo-clip", f"{home}:MammoClipTower", "Mammo-CLIP's image tower from its .tar", _NEEDS, files=_RELEASED
        ),
        Component(
            "mammo-clip-classifier",
            f"{home}:MammoClipClassifier",
            "A fine-tuned classifier's .pth",
            _NEEDS,
            files=("*.pth",),
        ),
        Component("mammo-clip-imagenet", f"{home}:ImageNetTower", "The same network with ImageNet weights (G)", _NEEDS),
    ]


@hookimpl
def mcd_register_dissectors() -> list[Component]:
    """Offer the image–text model, and the published set-up with random heads."""
    home = "mcd_plugins.mammo_clip.dissector"
    return [
        Component(
            "mammo-clip",
            f"{home}:MammoClip",
            "Mammo-CLIP B2 or B5 from its released .tar",
            _NEEDS,
            files=("*.tar", *_RELEASED),
        ),
        Component(
            "mammo-clip-random-heads",
            f"{home}:RandomHeads",
            "The paper's dissector of G: towers never aligned, random heads; a control, no labels to trust",
            _NEEDS,
        ),
    ]


@hookimpl
def mcd_register_preprocessings() -> list[Component]:
    """Offer the published recipe."""
    return [
        Component(
            "mammo-clip",
            "mcd_plugins.mammo_clip.preprocessing:MammoClipPreprocessing",
            "As published: border, 8 bit, breast crop, 1520×912, min–max, one mean and deviation",
            ("opencv-python-headless",),
        )
    ]
