"""Folders of image files as probe set."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_datasets() -> list[Component]:
    """Offer the data set."""
    return [Component("images", "mcd_plugins.datasets.images:ImageFolder", "A folder of PNG, JPEG, TIFF or BMP files")]
