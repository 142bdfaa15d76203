"""Any model of timm as target."""

from mcd import Component, hookimpl

_WEIGHTS = tuple(f"checkpoint=*.{suffix}" for suffix in ("safetensors", "pth", "pt", "ckpt", "bin", "th", "tar"))


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader."""
    home = "mcd_plugins.timm.loader:TimmLoader"
    return [Component("timm", home, "Any timm model by name", requires=("timm",), files=_WEIGHTS)]
