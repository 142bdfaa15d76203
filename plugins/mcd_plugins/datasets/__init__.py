"""Image files as probe set: of a folder, of a table, of a list, several as one; and their annotations as dissector."""

from mcd import Component, hookimpl

_HOME = "mcd_plugins.datasets"


@hookimpl
def mcd_register_datasets() -> list[Component]:
    """Offer the data sets."""
    return [
        Component(
            "images",
            f"{_HOME}.images:ImageFolder",
            "A folder of PNG, JPEG, TIFF or BMP files",
            files=("*/*.png", "*/*.jpg", "*/*.jpeg", "*/*.tif", "*/*.tiff", "*/*.bmp", "*/*.pgm"),
        ),
        Component("csv", f"{_HOME}.csv_table:CsvTable", "Images and labels that a table names", files=("*.csv",)),
        Component(
            "imagenet-subset", f"{_HOME}.imagenet:ImageNetSubset", "Natural images from a text list", files=("*.txt",)
        ),
        Component("combine", f"{_HOME}.combine:Combined", "Several data sets as one, each with its share"),
    ]


@hookimpl
def mcd_register_dissectors() -> list[Component]:
    """Offer the annotations of any data set."""
    return [Component("annotations", f"{_HOME}.annotations:Annotations", "The data set's own labels; no weights")]
