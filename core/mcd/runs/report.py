"""Reports on stored runs: `mcd.report`, and what ``mcd report`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcd.api.reporter import Reporter
from mcd.errors import MCDError, PluginError, StoreError, UsageError, together
from mcd.files import check_folder, expanded
from mcd.host import PluginHost
from mcd.networks.foreign import calling
from mcd.runs.dissection import Dissection
from mcd.runs.loading import opened
from mcd.study.objects import as_choices, host_for
from mcd.study.outputs import outputs
from mcd.study.preparer import Preparer
from mcd.study.study import Choice

__all__ = ["Reports", "report", "write_report", "write_reports"]

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
        When a run cannot be read, or a reporter is unknown, refuses the runs or fails; others have then written theirs.

    Examples
    --------
    >>> import mcd
    >>> mcd.report("runs/x", reporters=["html", "csv:published"])  # doctest: +SKIP
    """
    each = [runs] if isinstance(runs, Dissection | str | Path) else list(runs)
    made = next((one for one in each if isinstance(one, Dissection)), None)  # whose plugin files may offer the reporter
    host = made.host if made is not None and not plugin_files else host_for(plugin_files)
    found = write_report(host, each, as_choices(reporters), None if output is None else expanded(output), trust=trust)
    found.check()
    return found.written


def write_report(
    host: PluginHost,
    runs: Sequence[Dissection | str | Path],
    choices: Sequence[Choice],
    output: Path | None,
    *,
    trust: bool = False,
) -> Reports:
    """Make the reporters, then load the runs, then let each reporter write; see `report`."""
    if not runs:
        raise UsageError("no run given", "mcd report RUN")
    if output is not None:
        check_folder(output)
    elif len(runs) > 1:
        raise UsageError("a report on several runs needs a folder", "give --output DIR")
    reporters = Preparer(host).reporters(choices)
    loaded, found = opened(runs, host, trust=trust), Reports()
    for reporter in reporters:
        found.add(reporter, loaded, output or loaded[0].folder / "report", "the runs are as they were")
    return found


def write_reports(dissections: Sequence[Dissection], reporters: Sequence[Reporter]) -> None:
    """Let each reporter write into ``report/`` of each run folder.

    Raises
    ------
    MCDError
        When one failed, after all others have written theirs.
    """
    found = Reports()
    for one in dissections:
        for reporter in reporters:
            kept = f"labels are kept; once it is mended: mcd report {one.folder}"
            found.add(reporter, [one], one.folder / "report", kept)
    found.check()


@dataclass
class Reports:
    """The files that reporters wrote, and the errors of those that failed: one that fails does not end the others."""

    written: list[Path] = field(default_factory=list)
    failed: list[MCDError] = field(default_factory=list)

    def add(self, reporter: Reporter, runs: Sequence[Dissection], folder: Path, hint: str) -> None:
        """Let a reporter write files about a run, or about several side by side, into a folder."""
        failed = f"reporter {reporter.called or type(reporter).__name__} failed"
        try:
            with outputs(folder) as fresh, calling(failed, hint, kind=PluginError):
                paths = reporter.report(runs[0], fresh) if len(runs) == 1 else reporter.report_several(runs, fresh)
        except StoreError:
            raise  # a full disk, a folder that may not be written: the others would meet it too
        except MCDError as error:
            self.failed.append(error)
        else:
            self.written += [folder / one.relative_to(fresh) if one.is_relative_to(fresh) else one for one in paths]

    def check(self) -> None:
        """Raise what failed, if anything did."""
        if self.failed:
            raise together(self.failed)
