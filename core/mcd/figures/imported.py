"""Which figures the tables of an imported run allow."""

from __future__ import annotations

from mcd.errors import UsageError
from mcd.figures.data import FigureData

__all__ = ["check_drawable"]

_OF_TABLES = ("scores", "emergence", "significant", "categories")


def check_drawable(data: FigureData, name: str) -> None:
    """Make sure that a figure needs no more than there is.

    Raises
    ------
    UsageError
        When a run was imported and the figure needs what its tables do not have: in one sentence, what.
    """
    for run in data.runs.values():
        record = run.manifest.imported
        if record is None:
            continue
        if name not in _OF_TABLES:
            raise UsageError(
                f"the labels of {run.folder} were imported, without images, activations, z and q",
                "label the model with mcd for these: mcd dissect --help",
            )
        if name in ("scores", "significant") and not len(data.comparison.thresholds):
            raise UsageError(
                f"which labels of {run.folder} are significant is not known, and scores may not be compared",
                "the mean-score threshold of the paper goes by scores alone: --threshold local"
                if record.score
                else "its labels were imported without scores",
            )
        if name in ("significant", "categories") and not record.concepts:
            raise UsageError(
                f"the labels of {run.folder} have no categories",
                "look them up in a concept set: mcd import FILE --concepts NAME -o RUN",
            )
