"""Labels as files: csv, json, parquet."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_reporters() -> list[Component]:
    """Offer the three file formats."""
    return [
        Component("csv", "mcd_plugins.reporters.files:CsvReporter", "Labels as CSV, also with the published columns"),
        Component("json", "mcd_plugins.reporters.files:JsonReporter", "Labels by layer and neuron, with top images"),
        Component("parquet", "mcd_plugins.reporters.files:ParquetReporter", "Labels as Parquet, with top images"),
    ]
