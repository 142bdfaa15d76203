"""What runs say side by side, as tables, figures and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mcd.comparison.agreement import Agreement
from mcd.comparison.alignment import Alignment
from mcd.comparison.changes import Changes, Matching
from mcd.comparison.heading import Heading
from mcd.comparison.layers import ALL, emergence
from mcd.comparison.shown import comparison_html
from mcd.runs.dissection import Dissection
from mcd.runs.shown import ReportPath
from mcd.scoring.calibration.thresholds import MeanScoreThreshold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcd.figures.data import FigureData

__all__ = ["AgreementOf", "Comparison", "ComparisonSettings"]


@dataclass(frozen=True)
class ComparisonSettings:
    """How runs are compared.

    Parameters
    ----------
    align
        How layers are aligned; see `align`.
    match
        How neurons of layers of the same width are paired; see `pair_neurons`.
    threshold
        Whether to apply the mean-score threshold of the paper as well, and which;
        see `mcd.scoring.calibration.thresholds`.
    resamples, seed
        How many probe sets are drawn for intervals, 0 for no intervals; and what decides them.
    top
        How many concepts of a neuron an agreement looks at.
    """

    align: Alignment | Mapping[str, str] = "auto"
    match: Matching = "identity"
    threshold: MeanScoreThreshold | None = None
    resamples: int = 200
    seed: int = 0
    top: int = 10


@dataclass(frozen=True)
class AgreementOf:
    """How far two runs of the same neurons agree.

    Parameters
    ----------
    a, b
        Names of the runs.
    agreement
        See `Agreement`.
    validity
        Where one of them is of annotations and the other of an image–text model, how far that can be trusted by
        concept; see `mcd.comparison.validity.COLUMNS`. The agreement is then over the concepts that both have.
    """

    a: str
    b: str
    agreement: Agreement
    validity: pd.DataFrame = field(default_factory=pd.DataFrame)

    def table(self, part: str) -> pd.DataFrame:
        """Return one of its tables: ``neurons`` (those that differ most first), ``layers``, ``moves``, ``validity``."""
        found = self.agreement
        if part == "validity":
            table = self.validity
        elif part == "neurons":
            table = found.neurons.sort_values(["same", "overlap", "correlation"], kind="stable")
        else:
            table = found.by("layer") if part == "layers" else found.moves()
        return table.assign(a=self.a, b=self.b)


@dataclass(frozen=True, repr=False)
class Comparison:
    """What runs say side by side. The first run is the reference.

    Parameters
    ----------
    heading
        What went in, the same for all runs, and a row for each run.
    run_notes, own_notes
        What a reader must know of single runs, and of the comparison; `notes` is both.
    agreements
        For runs of the same neurons, each pair of them. The tables below are then empty.
    layers, categories
        See `layer_table` and `category_table`: of all dissected layers, and of all compared ones together, ``(all)``.
        ``place`` is empty for a layer that is compared with none.
    differences
        See `difference_table`: every other run against the reference.
    thresholds
        See `threshold_table`; without rows where it was not asked for.
    changes
        For each other run whose layers are as wide as those of the reference.
    concepts
        See `represented`.
    carriers
        How many neurons of each layer respond to each concept; see `LoadedRun.carriers`.
    runs, settings
        What was compared, and how; figures are drawn from the runs.
    """

    heading: Heading
    run_notes: tuple[str, ...]
    own_notes: tuple[str, ...] = ()
    agreements: tuple[AgreementOf, ...] = ()
    layers: pd.DataFrame = field(default_factory=pd.DataFrame)
    categories: pd.DataFrame = field(default_factory=pd.DataFrame)
    differences: pd.DataFrame = field(default_factory=pd.DataFrame)
    thresholds: pd.DataFrame = field(default_factory=pd.DataFrame)
    changes: tuple[Changes, ...] = ()
    concepts: pd.DataFrame = field(default_factory=pd.DataFrame)
    carriers: pd.DataFrame = field(default_factory=pd.DataFrame)
    runs: tuple[Dissection, ...] = ()
    settings: ComparisonSettings = ComparisonSettings()

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.heading.runs["run"]))
        return f"<Comparison of {names}: {self.heading.runs['images'].iloc[0]} images>"

    def _repr_html_(self) -> str:
        return comparison_html(self)

    def figure(
        self,
        name: str,
        run: str | None = None,
        *,
        layers: Sequence[str] = (),
        neurons: Sequence[tuple[str, int]] = (),
        copy_images: bool = False,
    ) -> Figure:
        """Return one of the figures of the runs by its name, as ``mcd figures`` draws it; a notebook shows it.

        Parameters
        ----------
        name
            One of ``mcd.figures.FIGURES``.
        run
            Of which run, where there is one for each; by default the first that it can be drawn of.
        layers, neurons, copy_images
            What it shows; see `mcd.figures.Wanted`.

        Raises
        ------
        UsageError
            When no figure or run has such a name, or it would show nothing.
        """
        import mcd  # the public face, which stands above: imported when it is called

        mcd.figures.check_names([name])
        wanted = mcd.figures.Wanted(tuple(layers), tuple(neurons), copy_images)
        return mcd.figures.figure(self._drawn_from, name, wanted, run)

    @cached_property
    def _drawn_from(self) -> FigureData:
        import mcd

        if self.agreements:  # of runs of the same neurons figures show what is not compared
            return mcd.figures.collect(self.runs, self.settings)
        return mcd.figures.FigureData.of(self.runs, self)

    def report(self, reporter: str | Mapping[str, object] = "html", *, output: str | Path) -> ReportPath:
        """Report on the runs side by side by one reporter; see `mcd.report`.

        Returns
        -------
        pathlib.Path
            Of its first file, which a notebook shows as a link; of the folder where it writes none.
        """
        import mcd

        written = mcd.report(self.runs, reporters=reporter, output=output)
        return ReportPath(written[0] if written else output)

    @property
    def notes(self) -> tuple[str, ...]:
        """What may not be compared, and what the runs do not allow."""
        return self.run_notes + self.own_notes

    @property
    def nothing(self) -> str:
        """Why there is nothing to compare, as a sentence; empty where some neuron has a significant first label."""
        whole = self.layers[self.layers["layer"] == ALL] if len(self.layers) else self.layers
        if not len(whole) or whole["significant"].any():
            return ""
        counts = " or ".join(f"{row['run']} (0 of {row['neurons']})" for row in whole.to_dict("records"))
        return f"There is nothing to compare: no neuron of {counts} has a significant first label."

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return every table that has rows, by name; those of several pairs of runs under each other."""
        found = {
            "runs": self.heading.runs,
            "layers": self.layers,
            "categories": self.categories,
            "differences": self.differences,
            "thresholds": self.thresholds,
            "concepts": self.concepts,
            "carriers": self.carriers,
        }
        for part in ("neurons", "layers", "categories", "concepts"):
            parts = [getattr(one, part).assign(run=one.run) for one in self.changes]
            found[f"changes_{part}"] = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        if len(self.layers):
            found["emergence"] = emergence(self.layers, self.categories)
        for part in ("neurons", "layers", "moves"):
            parts = [one.table(part) for one in self.agreements]
            found[f"agreement_{part}"] = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        judged = [one.table("validity") for one in self.agreements if len(one.validity)]
        found["validity"] = pd.concat(judged, ignore_index=True) if judged else pd.DataFrame()
        return {name: table for name, table in found.items() if len(table)}
