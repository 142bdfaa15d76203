"""Any network that Python can import, as target."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader."""
    home = "mcd_plugins.modules.loader:ModuleLoader"
    return [Component("module", home, "A function that returns an nn.Module", files=("*.py:FUNCTION",))]
