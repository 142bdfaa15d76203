"""Every architecture of open_clip: dissector, and image tower as target."""

from mcd import Component, hookimpl

_NEEDS = ("open_clip_torch",)
_WEIGHTS = tuple(f"checkpoint=*.{suffix}" for suffix in ("safetensors", "pth", "pt", "ckpt", "bin", "th"))


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the image towers."""
    return [Component("open-clip", "mcd_plugins.open_clip.loader:OpenClipTower", "An open_clip image tower", _NEEDS)]


@hookimpl
def mcd_register_dissectors() -> list[Component]:
    """Offer the image–text models."""
    return [
        Component(
            "open-clip",
            "mcd_plugins.open_clip.dissector:OpenClip",
            "Any CLIP that open_clip knows, by name or folder",
            _NEEDS,
            files=_WEIGHTS,
        )
    ]
