"""From stored runs of one probe set to comparisons, answers, tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import mcd
from mcd.errors import MCDError
from mcd_plugins.paper.claims import Answer, Pair, answer, answer_about_one, claims, unanswered
from mcd_plugins.paper.studies import CLASSIFIERS, GENERAL, MAMMO

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "Studied", "drawings", "studied"]

_STAGES = (1, 4, 7)
"""Of which the paper's figures 4B and 4C show the last block."""
_PAPER = {
    "scores": "figure-4a",
    "depth": "figure-4a-z",
    "significant": "figure-4b",
    "categories": "figure-4c",
}
"""Figures of G and M, and how their files are called."""
_FOR_ALL_LAYERS = ("scores", "depth")
_OF_EACH_RUN = ("coverage", "null", "rungs")


@dataclass(frozen=True)
class Studied:
    """All runs on one probe set, and what they say.

    Parameters
    ----------
    probe_set
        Id of the inventory.
    runs
        By name.
    general
        G and M side by side, or M alone.
    tuned
        M and the classifiers side by side; None where there is no classifier.
    answers
        To the claims.
    """

    probe_set: str
    runs: Mapping[str, mcd.Dissection]
    general: mcd.figures.FigureData
    tuned: mcd.figures.FigureData | None
    answers: tuple[Answer, ...]

    def comparisons(self) -> Iterator[tuple[str, mcd.figures.FigureData]]:
        """Yield both by the name of their folder."""
        yield "general", self.general
        if self.tuned is not None:
            yield "tuned", self.tuned


def studied(probe_set: str, names: Sequence[str], found: Sequence[mcd.Dissection], resamples: int) -> Studied:
    """Compare the runs of one probe set, and answer the claims.

    Parameters
    ----------
    names
        Of the runs, as the study has them.
    resamples
        How many probe sets are drawn for intervals.
    """
    runs = dict(zip(names, found, strict=True))
    settings = mcd.ComparisonSettings(threshold="global", resamples=resamples)
    general = mcd.figures.collect([runs[one] for one in (GENERAL, MAMMO) if one in runs], settings)
    classifiers = [one for one in CLASSIFIERS if one in runs]
    tuned = None
    if classifiers:
        tuned = mcd.figures.collect([runs[one] for one in (MAMMO, *classifiers)], settings)
    return Studied(probe_set, runs, general, tuned, tuple(_answers(probe_set, runs, general, tuned)))


def _answers(
    probe_set: str,
    runs: Mapping[str, mcd.Dissection],
    general: mcd.figures.FigureData,
    tuned: mcd.figures.FigureData | None,
) -> Iterator[Answer]:
    pairs = {1: [Pair(GENERAL, MAMMO, general)] if GENERAL in runs else [], 2: []}
    if tuned is not None:
        pairs[2] = [Pair(MAMMO, one, tuned) for one in CLASSIFIERS if one in runs]
    lacking = {1: "G is missing", 2: "there is no classifier"}
    said: dict[tuple[str, str], Answer] = {}
    for claim in claims():
        if claim.question == 3:
            for name in runs:
                data = general if name in general.runs or tuned is None else tuned
                yield answer_about_one(claim, probe_set, data, name)
            continue
        for pair in pairs[claim.question]:
            before = {one: found for (one, run), found in said.items() if run == pair.run}
            said[claim.id, pair.run] = answer(claim, probe_set, pair, before)
            yield said[claim.id, pair.run]
        if not pairs[claim.question]:
            yield unanswered(claim, probe_set, lacking[claim.question])


@dataclass(frozen=True)
class Drawing:
    """A figure as a file, or why there is none.

    Parameters
    ----------
    name
        Of the file, without an ending.
    summary
        What it shows.
    content
        Its bytes (PNG); empty where it was not drawn.
    refused
        Why not.
    """

    name: str
    summary: str
    content: bytes = b""
    refused: str = ""


def drawings(studied: Studied) -> Iterator[Drawing]:
    """Yield figures 4A to 4C of G and M, then the rest: change by category of each classifier, and of each run."""
    ends = mcd.figures.Wanted(tuple(_last_blocks(studied.general)))
    yield from _drawn(studied.general, _FOR_ALL_LAYERS, None)
    yield from _drawn(studied.general, ("significant",), ends)
    yield _made(
        "figure-4b-significant",
        "the same by significance instead of the mean score",
        lambda: mcd.figures.significant(studied.general, ends.layers),
    )
    yield from _drawn(studied.general, ("categories",), ends)
    yield from _drawn(studied.general, ("emergence", *_OF_EACH_RUN), None)
    if studied.tuned is not None:
        yield from _drawn(studied.tuned, ("specialisation",), None)
        for name in _OF_EACH_RUN:
            for run in studied.tuned.runs:
                if run not in studied.general.runs:
                    make = partial(mcd.figures.figure, studied.tuned, name, run=run)
                    yield _made(f"{name}-{run}", mcd.figures.FIGURES[name], make)


def _drawn(data: mcd.figures.FigureData, names: Sequence[str], wanted: mcd.figures.Wanted | None) -> Iterator[Drawing]:
    drawn = list(mcd.figures.draw(data, wanted, names))
    drawn.sort(key=lambda one: _PAPER.get(one.name, one.name))
    for one in drawn:
        kind = next(name for name in names if one.name == name or one.name.startswith(f"{name}-"))
        called = _PAPER.get(one.name, one.name)
        if isinstance(one, mcd.figures.Refused):
            yield Drawing(called, _summary(kind), refused=one.reason.summary)
        else:
            yield Drawing(called, _summary(kind), mcd.figures.figure_bytes(one.figure, "png"))


def _summary(kind: str) -> str:
    """Return what a figure shows; where it goes by the mean score instead of significance, it is said so."""
    if kind == "significant":
        return "neurons with a first label whose score reaches the mean, as the paper has it (4B)"
    return mcd.figures.FIGURES[kind]


def _made(called: str, summary: str, make: Callable[[], Figure]) -> Drawing:
    try:
        return Drawing(called, summary, mcd.figures.figure_bytes(make(), "png"))
    except MCDError as error:
        return Drawing(called, summary, refused=error.summary)


def _last_blocks(data: mcd.figures.FigureData) -> list[str]:
    """Return the last block of the stages that the paper shows."""
    layers = data.one()[1].layers
    found = []
    for stage in _STAGES:
        blocks = [one for one in layers if one.startswith(f"blocks.{stage - 1}.")]
        found += blocks[-1:]
    return found
