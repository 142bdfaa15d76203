"""Any classification model of torchvision as target."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader."""
    home = "mcd_plugins.torchvision.loader:TorchvisionLoader"
    return [Component("torchvision", home, "A torchvision classification model", ("torchvision",))]
