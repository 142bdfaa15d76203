"""Python objects that a run was made with: its own still, or given again, and never another in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcd.api.base import digest
from mcd.api.dataset import Dataset
from mcd.api.dissector import AnyDissector
from mcd.api.model import Target
from mcd.api.scorer import Scorer
from mcd.api.units import Units
from mcd.errors import DataError, UsageError
from mcd.networks.controls import RANDOM_UNITS, RANDOM_WEIGHTS, with_random_weights
from mcd.networks.identity import identity_of
from mcd.networks.units import with_random_units
from mcd.study.study import Choice, Study

if TYPE_CHECKING:
    from mcd.runs.dissection import Dissection

__all__ = ["Given", "check_named", "not_at_hand", "own_dissector", "own_scorer", "own_target", "own_units"]


def check_named(study: Study) -> None:
    """Make sure that other processes can make all components of a study, by their names.

    Raises
    ------
    UsageError
        When one was given as an object of this process.
    """
    chosen: dict[str, Sequence[Choice]] = {
        "model": study.models,
        "units": [unit for one in study.models for unit in one.units],
        "dissector": study.dissectors,
        "dataset": [study.dataset],
        "concepts": study.concepts,
        "scorer": [study.scorer],
    }
    objects = [what for what, choices in chosen.items() if any(one.plugin == "object" for one in choices)]
    if objects:
        raise UsageError(
            f"{' and '.join(objects)}: an object of this process has no name by which the workers of Ray could make it",
            "name it, a component of plugin_files perhaps, or leave out engine",
        )


@dataclass(frozen=True)
class Given:
    """Parts of a run that are at hand as objects, whether or not a name would bring them back.

    Parameters
    ----------
    model, dissector, dataset, scorer
        None where it is not.
    units
        What its layers are seen through; None where a name brings that back, if there is any.
    made
        Whether the run was made with these very objects, in this process. Where what one computes cannot be identified,
        that says that it is the same.
    """

    model: Target | None = None
    dissector: AnyDissector | None = None
    dataset: Dataset | None = None
    scorer: Scorer | None = None
    units: tuple[Units, ...] | None = None
    made: bool = False


def not_at_hand(run: Dissection, what: str, keyword: str, otherwise: str = "") -> UsageError:
    """Return the error about a part that was given in Python and is needed again.

    Parameters
    ----------
    what, keyword
        What the part is called, in words and by `mcd.load`.
    otherwise
        What else helps.
    """
    again = f"give it again: mcd.load(RUN, {keyword}=…)"
    return UsageError(
        f"the {what} of {run.folder} was given in Python; it has no name",
        f"{again}; {otherwise}" if otherwise else again,
    )


def own_scorer(run: Dissection, scorer: Scorer) -> Scorer:
    """Return a scorer, having made sure that it is that of a run.

    Raises
    ------
    DataError
        When it is another one, or that cannot be said.
    """
    anew = "label anew with this one: mcd.score(RUN, scorer=…)"
    _same(run, "scorer", scorer.name, scorer, anew)
    return scorer


def own_dissector(run: Dissection, dissector: AnyDissector) -> AnyDissector:
    """Return a dissector, having made sure that it is that of a run; raises as `own_scorer`."""
    _same(run, "dissector", dissector.name, dissector, _AGAIN)
    return dissector


def own_target(run: Dissection, target: Target) -> Target:
    """Return the target of a run, given what it was made from: a control of random weights draws its own.

    Raises
    ------
    DataError
        When it is another one, or that cannot be said.
    """
    if run.manifest.control == RANDOM_WEIGHTS:
        target = with_random_weights(target, run.manifest.null_seed)
    _same(run, "target", target.name, target.module, _AGAIN)
    return target


def own_units(run: Dissection, sources: Sequence[Units]) -> tuple[Units, ...]:
    """Return the units of a run, given what it was made from: a control of random units draws its own.

    Raises
    ------
    DataError
        When they are others, or that cannot be said.
    """
    if run.manifest.control == RANDOM_UNITS:
        sources = with_random_units(sources, run.manifest.null_seed)
    found = [identity_of(one.module) for one in sources]
    if digest(*(one.content for one in found)) != run.manifest.fingerprints.get("units"):
        names = " and ".join(one.name for one in sources) or "none"
        raise DataError(f"{names} are not the units of {run.folder}: they, or their files, have changed", _AGAIN)
    return tuple(sources)


_AGAIN = "make the run again with this version"


def _same(run: Dissection, what: str, name: str, value: object, remedy: str) -> None:
    found = identity_of(value)
    if found.content == run.manifest.fingerprints[what] or (found.unknown and run.given.made and what != "target"):
        return  # a network may have been trained on since; it alone is asked again
    if found.unknown:
        said = f"it cannot be said that {name} is the {what} of {run.folder}: {found.unknown}"
    else:
        said = f"{name} is not the {what} of {run.folder}: it has other weights, settings or code"
    raise DataError(said, f"give that one, or {remedy}")
