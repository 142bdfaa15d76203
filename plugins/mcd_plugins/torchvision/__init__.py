"""Any classification model of torchvision as target."""

from mcd import Component, hookimpl

_WEIGHTS = tuple(f"checkpoint=*.{suffix}" for suffix in ("safetensors", "pth", "pt", "ckpt", "bin", "th", "tar"))


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader."""
    home = "mcd_plugins.torchvision.loader:TorchvisionLoader"
    return [Component("torchvision", home, "A torchvision classification model", ("torchvision",), files=_WEIGHTS)]
