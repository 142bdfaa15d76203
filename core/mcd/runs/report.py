"""Reports on stored runs: `mcd.report`, and what ``mcd report`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mcd.api.reporter import Reporter
from mcd.errors import PluginError, UsageError
from mcd.files import check_folder, expanded
from mcd.host import PluginHost
from mcd.networks.foreign import calling
from mcd.runs.dissection import Dissection, opened
from mcd.study.objects import as_choices, host_for
from mcd.study.outputs import outputs
from mcd.study.preparer import Preparer
from mcd.study.study import Choice

__all__ = ["report", "write_report"]

NamedReporter = str | Mapping[str, object]


def report(
    runs: Dissection | str | Path | Sequence[Dissection | str | Path],
    *,
    reporters: NamedReporter | Sequence[NamedReporter] = "html",
    output: str | Path | None = None,
    plugin_files: Sequence[str | Path] = (),
    trust: bool = False,
) -> list[Path]:
    """Report on one run, or on several side by side; return the files written.

    Parameters
    ----------
    runs
        Dissections or run folders.
    reporters
        Names of reporters, or ``{"plugin": …, "options": {…}}``.
    output
        The folder of the files; needed for several runs. By default ``report/`` of the run.
    plugin_files
        Local plugin files that the runs were made with, or that bring reporters.
    trust
        As in `mcd.load`: needed for images of a data set on disk, and for labels that refer to another folder.

    Raises
    ------
    mcd.errors.MCDError
        When a run cannot be read, or a reporter is unknown or refuses the runs.

    Examples
    --------
    >>> import mcd
    >>> mcd.report("runs/x", reporters=["html", "csv:published"])  # doctest: +SKIP
    """
    host = host_for(plugin_files)
    each = [runs] if isinstance(runs, Dissection | str | Path) else list(runs)
    return write_report(host, each, as_choices(reporters), None if output is None else expanded(output), trust=trust)


def write_report(
    host: PluginHost,
    runs: Sequence[Dissection | str | Path],
    choices: Sequence[Choice],
    output: Path | None,
    *,
    trust: bool = False,
) -> list[Path]:
    """Make the reporters, then load the runs, then let each reporter write; see `report`."""
    if not runs:
        raise UsageError("no run given", "mcd report RUN")
    if output is not None:
        check_folder(output)
    elif len(runs) > 1:
        raise UsageError("a report on several runs needs a folder", "give --output DIR")
    reporters = Preparer(host).reporters(choices)
    found = opened(runs, host, trust=trust)
    return [path for reporter in reporters for path in _written(reporter, found, output or found[0].folder / "report")]


def _written(reporter: Reporter, runs: Sequence[Dissection], folder: Path) -> list[Path]:
    failed = f"reporter {reporter.called or type(reporter).__name__} failed"
    with (
        outputs(folder) as fresh,
        calling(failed, "the runs are as they were", kind=PluginError),
    ):
        paths = reporter.report(runs[0], fresh) if len(runs) == 1 else reporter.report_several(runs, fresh)
    return [folder / path.relative_to(fresh) if path.is_relative_to(fresh) else path for path in paths]
