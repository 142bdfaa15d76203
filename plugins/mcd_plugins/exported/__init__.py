"""Programs of torch.export as targets."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader."""
    home = "mcd_plugins.exported.loader:ExportLoader"
    return [Component("torch-export", home, "A torch.export program (.pt2), without its source", files=("*.pt2",))]
