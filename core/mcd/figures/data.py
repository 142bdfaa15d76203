"""What figures are drawn from: stored runs, and the tables that a comparison makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcd.comparison.compared import Comparison, ComparisonSettings
from mcd.comparison.comparing import describe
from mcd.errors import UnknownNameError, nearest
from mcd.runs.dissection import Dissection
from mcd.runs.revived import concepts_of

__all__ = ["FigureData", "collect"]


@dataclass(frozen=True)
class FigureData:
    """What figures are drawn from.

    Parameters
    ----------
    runs
        Stored runs by what they are called, the reference first.
    comparison
        Their tables. Of a single run, and of runs of the same neurons, it has those that need no other model.
    counterparts
        Broad category → the one of the published set that it stands for, where the concept set says so.
    """

    runs: Mapping[str, Dissection]
    comparison: Comparison
    counterparts: Mapping[str, str] = field(default_factory=dict)

    @property
    def judged(self) -> bool:
        """Whether it is known which labels are significant; not of imported ones: then all first labels are drawn."""
        return all(one.manifest.imported is None for one in self.runs.values())

    @classmethod
    def of(cls, dissections: Sequence[Dissection], comparison: Comparison) -> FigureData:
        """Return what figures of runs are drawn from, given their comparison."""
        return cls(
            runs=dict(zip(comparison.heading.runs["run"].tolist(), dissections, strict=True)),
            comparison=comparison,
            counterparts=concepts_of(dissections[0]).counterparts,
        )

    def name(self, run: str | None = None) -> str:
        """Return the name of a run; of the first one when none is asked for.

        Raises
        ------
        UnknownNameError
            When there is no such run.
        """
        names = list(self.runs)
        if run is not None and run not in names:
            raise UnknownNameError(f"no run is called '{run}'", nearest(run, names))
        return names[0] if run is None else run

    def one(self, run: str | None = None) -> tuple[str, Dissection]:
        """Return a run with its name; the first one when none is asked for. Raises as `name` does."""
        name = self.name(run)
        return name, self.runs[name]


def collect(dissections: Sequence[Dissection], settings: ComparisonSettings | None = None) -> FigureData:
    """Return what figures of stored runs are drawn from.

    Parameters
    ----------
    dissections
        One run, or several on the same images; the first is the reference.
    settings
        How they are compared, whether there are intervals, and whether the mean-score threshold is applied.

    Raises
    ------
    UsageError
        When there is no run, significance was not computed for one, or they cannot be compared.
    DataError
        When a run's labels are not what its settings give now.
    """
    return FigureData.of(dissections, describe(dissections, settings))
