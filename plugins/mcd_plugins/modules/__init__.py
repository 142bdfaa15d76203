"""Any network that Python can import, as target."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader."""
    return [Component("module", "mcd_plugins.modules.loader:ModuleLoader", "A function that returns an nn.Module")]
