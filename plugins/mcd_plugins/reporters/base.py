"""What the reporters of summaries have in common: their settings, and one file for one run or several."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pydantic

import mcd
from mcd.plugins import Resamples, write_atomically
from mcd_plugins.reporters.comparisons import compared
from mcd_plugins.reporters.summaries import Summary, SummarySettings, summarised

__all__ = ["SummaryReporter"]


class SummaryReporter(mcd.Reporter):
    """Base of reporters that write one text file about one run, or several side by side."""

    class Options(mcd.Options):
        """Settings of a summary."""

        neurons: int = pydantic.Field(default=3, ge=0, le=10_000, description="neurons shown a layer, clearest first")
        concepts: int = pydantic.Field(
            default=3, ge=1, le=10_000, description="concepts shown a layer, most frequent first"
        )
        bootstrap: Resamples = pydantic.Field(
            default=200, description="several runs: probe sets drawn for intervals, 0 for no intervals"
        )

    options: Options
    file: ClassVar[str]

    @abc.abstractmethod
    def lines(self, summary: Summary) -> Iterator[str]:
        """Yield the lines of the file."""

    def report(self, dissection: mcd.Dissection, folder: Path) -> list[Path]:
        """Write the file about one run."""
        return self._write(summarised(dissection, self._settings()), folder)

    def report_several(self, dissections: Sequence[mcd.Dissection], folder: Path) -> list[Path]:
        """Write the file about several runs.

        Raises
        ------
        UsageError
            When there are more than 26: each is named by a letter.
        """
        return self._write(compared(dissections, self._settings(), self.options.bootstrap), folder)

    def _settings(self) -> SummarySettings:
        return SummarySettings(self.options.concepts, self.options.neurons)

    def _write(self, summary: Summary, folder: Path) -> list[Path]:
        path = folder / self.file
        write_atomically(path, "".join(f"{line}\n" for line in self.lines(summary)).encode())
        return [path]
