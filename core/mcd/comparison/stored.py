"""Stored runs compared in one call: `mcd.compare`, and the files of ``mcd compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mcd.comparison.alignment import Alignment
from mcd.comparison.changes import Matching
from mcd.comparison.compared import Comparison, ComparisonSettings
from mcd.comparison.comparing import compare as compare_dissections
from mcd.files import check_folder, expanded, write_atomically
from mcd.runs.dissection import Dissection
from mcd.runs.loading import opened
from mcd.scoring.calibration.thresholds import MeanScoreThreshold
from mcd.study.csv_cells import csv_bytes
from mcd.study.objects import host_for
from mcd.study.outputs import outputs

__all__ = ["compare", "write_comparison"]


def compare(
    runs: Sequence[Dissection | str | Path],
    *,
    align: Alignment | Mapping[str, str] = "auto",
    match: Matching = "identity",
    threshold: MeanScoreThreshold | None = None,
    resamples: int = 200,
    seed: int = 0,
    top: int = 10,
    output: str | Path | None = None,
    plugin_files: Sequence[str | Path] = (),
    trust: bool = False,
) -> Comparison:
    """Compare runs: of several models, or of one model by several dissectors or scorers.

    Parameters
    ----------
    runs
        Dissections or run folders. Of several models, the first is the reference.
    align, match, threshold, resamples, seed, top
        As in `mcd.ComparisonSettings`.
    output
        A folder for the tables, the same files that ``mcd compare --output`` writes.
    plugin_files
        Local plugin files that the runs were made with.
    trust
        As in `mcd.load`: needed where a run was scored with a function of a file.

    Returns
    -------
    mcd.Comparison

    Raises
    ------
    mcd.errors.MCDError
        When a run cannot be read, or the runs may not be compared: the message says in what they differ.

    Examples
    --------
    >>> import mcd
    >>> found = mcd.compare(["runs/general", "runs/mammo"])  # doctest: +SKIP
    >>> found.tables()["differences"]  # doctest: +SKIP
    """
    if output is not None:
        check_folder(expanded(output))
    found = compare_dissections(
        _loaded(runs, plugin_files, trust=trust),
        ComparisonSettings(align=align, match=match, threshold=threshold, resamples=resamples, seed=seed, top=top),
    )
    if output is not None:
        write_comparison(expanded(output), found)
    return found


def _loaded(
    runs: Sequence[Dissection | str | Path], plugin_files: Sequence[str | Path], *, trust: bool
) -> list[Dissection]:
    known = all(isinstance(run, Dissection) for run in runs) and not plugin_files  # each has its plugins
    return opened(runs, None if known else host_for(plugin_files), trust=trust)


def write_comparison(folder: Path, found: Comparison) -> None:
    """Write every table of a comparison as CSV, and its notes as text.

    Raises
    ------
    mcd.errors.UsageError
        When files are in the way that mcd did not write.
    mcd.errors.StoreError
        When the disk is full or may not be written.
    """
    with outputs(folder) as fresh:
        for name, table in found.tables().items():
            write_atomically(fresh / f"{name}.csv", csv_bytes(table))
        notes = [*found.heading.lines(), *found.notes]
        write_atomically(fresh / "notes.txt", "".join(f"{line}\n" for line in notes).encode())
