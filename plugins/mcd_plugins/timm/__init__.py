"""Any model of timm as target."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_models() -> list[Component]:
    """Offer the loader."""
    return [Component("timm", "mcd_plugins.timm.loader:TimmLoader", "Any timm model by name", requires=("timm",))]
