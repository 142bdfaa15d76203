"""All figures by name: which runs they apply to, drawn one after the other, or why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from matplotlib.figure import Figure

from mcd.errors import DataError, MCDError, StoreError, UnknownNameError, UsageError, nearest
from mcd.figures.agreement import evaluation
from mcd.figures.change import specialisation
from mcd.figures.data import FigureData
from mcd.figures.images import Neuron, top_images
from mcd.figures.imported import check_drawable
from mcd.figures.ladder import rungs
from mcd.figures.lines import depth
from mcd.figures.matrix import coverage
from mcd.figures.nulls import controls, null
from mcd.figures.shares import categories, significant
from mcd.networks.foreign import calling

__all__ = ["FIGURES", "Drawn", "Refused", "Wanted", "attempted", "check_names", "draw", "figure"]


@dataclass(frozen=True)
class Wanted:
    """What figures show.

    Parameters
    ----------
    layers
        Patterns that pick layers.
    neurons
        Layer and number of those whose top images are drawn.
    copy_images
        See `top_images`.
    """

    layers: tuple[str, ...] = ()
    neurons: tuple[Neuron, ...] = ()
    copy_images: bool = False


@dataclass(frozen=True)
class Drawn:
    """A figure, and the name of its file without an ending."""

    name: str
    figure: Figure


@dataclass(frozen=True)
class Refused:
    """The name of a figure that could not be drawn, and why."""

    name: str
    reason: MCDError

    @property
    def failed(self) -> bool:
        """Whether something is wrong: otherwise the figure does not apply to the runs, or would show nothing."""
        return isinstance(self.reason, StoreError) or not isinstance(self.reason, UsageError | DataError)


_Draw = Callable[[FigureData, str, Wanted], Figure]


@dataclass(frozen=True)
class _Kind:
    """What a figure shows, whether it is one for each run or each change, and how it is drawn."""

    summary: str
    draw: _Draw
    each: str = ""


def _above(data: FigureData, run: str, wanted: Wanted) -> Figure:
    by_threshold = len(data.comparison.thresholds) > 0
    return significant(data, wanted.layers, "published" if by_threshold else "q")


_KINDS: dict[str, _Kind] = {
    "depth": _Kind("mean z of first labels over depth (4A)", lambda data, run, wanted: depth(data, "z", wanted.layers)),
    "scores": _Kind(
        "mean score of first labels over depth, as the paper has it (4A)",
        lambda data, run, wanted: depth(data, "score", wanted.layers),
    ),
    "emergence": _Kind(
        "different concepts over depth", lambda data, run, wanted: depth(data, "concepts", wanted.layers)
    ),
    "significant": _Kind("significant neurons, mammographic or not (4B)", _above),
    "categories": _Kind(
        "categories of significant first labels, layer by layer (4C)",
        lambda data, run, wanted: categories(data, wanted.layers),
    ),
    "specialisation": _Kind(
        "what another run gains and loses by category",
        lambda data, run, wanted: specialisation(data, run or None),
        "other run",
    ),
    "coverage": _Kind(
        "concepts by layers: which are carried where",
        lambda data, run, wanted: coverage(data, run, wanted.layers),
        "run",
    ),
    "null": _Kind("first labels and their null", lambda data, run, wanted: null(data, run, wanted.layers), "run"),
    "rungs": _Kind(
        "how far labels get, layer by layer", lambda data, run, wanted: rungs(data, run, wanted.layers), "run"
    ),
    "controls": _Kind("a run beside its controls", lambda data, run, wanted: controls(data, run, wanted.layers), "run"),
    "evaluation": _Kind(
        "how right labels are, beside what chance reaches", lambda data, run, wanted: evaluation(data, run), "run"
    ),
    "top-images": _Kind(
        "images that neurons respond to most",
        lambda data, run, wanted: top_images(
            data, wanted.neurons, run, layers=wanted.layers, copy_images=wanted.copy_images
        ),
        "run",
    ),
}

FIGURES: dict[str, str] = {name: kind.summary for name, kind in _KINDS.items()}
"""What each figure shows, by name."""


def check_names(names: Sequence[str]) -> None:
    """Make sure that there are figures of these names.

    Raises
    ------
    UnknownNameError
        When there is none.
    """
    for name in names:
        if name not in _KINDS:
            raise UnknownNameError(f"no figure is called '{name}'", nearest(name, _KINDS))


def draw(data: FigureData, wanted: Wanted | None = None, only: Sequence[str] = ()) -> Iterator[Drawn | Refused]:
    """Yield every figure that applies, and why others do not. One that fails does not end the others.

    Parameters
    ----------
    wanted
        What they show.
    only
        Names of those wanted, see `FIGURES`; all by default.

    Raises
    ------
    UnknownNameError
        When no figure has such a name, or a pattern picks no layer.
    """
    wanted = wanted or Wanted()
    check_names(only)
    for name, kind in _KINDS.items():
        if only and name not in only:
            continue
        for run, suffix in _runs(data, kind):
            called = f"{name}{suffix}"
            yield attempted(called, partial(_called, called, data, name, run, wanted))


def figure(data: FigureData, name: str, wanted: Wanted | None = None, run: str | None = None) -> Figure:
    """Return one figure by its name.

    Parameters
    ----------
    wanted
        What it shows.
    run
        Of which run, where there is one for each; by default the first that it can be drawn of.

    Raises
    ------
    UnknownNameError
        When no figure or no run has such a name, or a pattern picks no layer.
    UsageError
        When it needs a comparison of several runs, or would show nothing.
    """
    check_names([name])
    kind = _KINDS[name]
    if kind.each == "other run" and len(data.runs) < 2:
        raise UsageError(
            f"figure {name} needs a comparison: it shows {kind.summary}",
            f'found.compare(other).figure("{name}"), or mcd figures RUN RUN',
        )
    chosen = data.name(run) if run is not None else _runs(data, kind)[0][0]
    with calling(f"figure {name} failed", "--debug shows where", kind=MCDError):
        return _drawn(data, name, chosen, wanted or Wanted())


def _called(called: str, data: FigureData, name: str, run: str, wanted: Wanted) -> Drawn:
    return Drawn(called, _drawn(data, name, run, wanted))


def _drawn(data: FigureData, name: str, run: str, wanted: Wanted) -> Figure:
    check_drawable(data, name)
    return _KINDS[name].draw(data, run, wanted)


T = TypeVar("T")


def attempted(name: str, make: Callable[[], T]) -> T | Refused:
    """Return what is made of a figure; where that fails, which figure it was, and why.

    Raises
    ------
    UnknownNameError
        When something that a user named does not exist: a figure more would not help.
    """
    try:
        with calling(f"figure {name} failed", "--debug shows where", kind=MCDError):
            return make()
    except UnknownNameError:
        raise
    except MCDError as error:
        return Refused(name, error)


def _runs(data: FigureData, kind: _Kind) -> list[tuple[str, str]]:
    """Return of which run each drawing is, and what its name ends in."""
    names = list(data.comparison.heading.runs["run"])
    if kind.each == "run":
        chosen = names
    elif kind.each == "other run" and len(names) > 2:
        chosen = names[1:]
    else:
        return [("", "")]
    if len(chosen) == 1:
        return [(chosen[0], "")]
    return [(name, f"-{plain}") for name, plain in zip(chosen, _plain(chosen), strict=True)]


def _plain(names: Sequence[str]) -> list[str]:
    """Return names that files can have, each different."""
    found = [re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") for name in names]
    return found if len(set(found)) == len(found) and all(found) else [f"{at}" for at in range(1, len(names) + 1)]
