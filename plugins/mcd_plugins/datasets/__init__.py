"""Image files as probe set: of a folder, of a table, of a list, and several data sets as one."""

from mcd import Component, hookimpl

_HOME = "mcd_plugins.datasets"


@hookimpl
def mcd_register_datasets() -> list[Component]:
    """Offer the data sets."""
    return [
        Component("images", f"{_HOME}.images:ImageFolder", "A folder of PNG, JPEG, TIFF or BMP files"),
        Component("csv", f"{_HOME}.csv_table:CsvTable", "Images and labels that a table names"),
        Component("imagenet-subset", f"{_HOME}.imagenet:ImageNetSubset", "Natural images from a text list"),
        Component("combine", f"{_HOME}.combine:Combined", "Several data sets as one, each with its share"),
    ]
