"""Labels as files: csv, json, parquet; summaries as Markdown and LaTeX."""

from mcd import Component, hookimpl


@hookimpl
def mcd_register_reporters() -> list[Component]:
    """Offer three formats of labels and two of summaries."""
    return [
        Component(
            "csv",
            "mcd_plugins.reporters.files:CsvReporter",
            "Labels as CSV, also with the published columns",
            files=("*.csv",),
        ),
        Component(
            "json",
            "mcd_plugins.reporters.files:JsonReporter",
            "Labels by layer and neuron, with top images",
            files=("*.json",),
        ),
        Component(
            "latex",
            "mcd_plugins.reporters.latex:LatexReporter",
            "Tables for a paper: LaTeX with booktabs",
            files=("*.tex",),
        ),
        Component(
            "markdown",
            "mcd_plugins.reporters.markdown:MarkdownReporter",
            "A summary for a paper or an issue",
            files=("*.md",),
        ),
        Component(
            "parquet",
            "mcd_plugins.reporters.files:ParquetReporter",
            "Labels as Parquet, with top images",
            files=("*.parquet",),
        ),
    ]
