"""Images that units were fitted on: they, and others of the same patients, are no test of these units."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.api.units import Units
from mcd.errors import DataError, PluginError, amount
from mcd.events import Clock
from mcd.extraction.examining import examine_each
from mcd.networks.foreign import calling
from mcd.study.study import FittedImages

__all__ = ["OUT", "Fitting", "Tested", "rows_fitted_on", "tested"]

OUT = "others of patients that units were fitted on"
"""What manifests call images that are left out for that; a number of images and that of the run come before."""


def rows_fitted_on(samples: Sequence[Sample], fitted: Collection[str]) -> tuple[int, ...]:
    """Return the rows of images that something was fitted on, or on another image of the same patient.

    An image whose patient is not known stands for itself. The images have been examined (`mcd.Dataset.examine`): a
    digest that is missing matches none.

    Parameters
    ----------
    fitted
        Content digests of the images that it was fitted on: `mcd.Units.fitted`.
    """
    own = frozenset(fitted) - {""}
    patients = {one.patient for one in samples if one.digest in own} - {""}
    return tuple(row for row, one in enumerate(samples) if one.digest in own or one.patient in patients)


@dataclass(frozen=True)
class Fitting:
    """Units of which it is known what they were fitted on, and what becomes of these images."""

    units: tuple[Units, ...]
    images: FittedImages

    @classmethod
    def of(cls, units: Iterable[Units], images: FittedImages) -> Fitting | None:
        """Return it for all units of a run; None where none says what it was fitted on."""
        known = tuple(one for one in units if one.fitted)
        return cls(known, images) if known else None


@dataclass(frozen=True)
class Tested:
    """The images that units are tested on.

    Parameters
    ----------
    chosen
        Those that are left, in order.
    known
        What examining each image found, by id; empty where none was examined yet.
    out
        How many of the chosen images were left out.
    kept
        How many are kept that are of patients that units were fitted on, by the digests of what these were fitted on.
    remark
        What is to be said of it; empty where there is nothing.
    """

    chosen: Sequence[Sample]
    known: Mapping[str, Sample | Unreadable] = field(default_factory=dict)
    out: int = 0
    kept: Mapping[frozenset[str], int] = field(default_factory=dict)
    remark: str = ""


def tested(
    dataset: Dataset,
    listed: Sequence[Sample | Unreadable],
    chosen: Sequence[Sample],
    fitting: Fitting | None,
    clock: Clock,
) -> Tested:
    """Return which of the chosen images units are tested on.

    By default those of other patients than the units were fitted on. All chosen images are examined for it, in a part
    of a run too, and others of their patients where an image that was fitted on may be among these.

    Raises
    ------
    DataError
        When no image is left, or one would have to be and that is refused.
    """
    if fitting is None:
        return Tested(chosen)
    everyone = frozenset().union(*(one.fitted for one in fitting.units))
    known = _examined(dataset, chosen, clock)
    met = [found for found in map(known.get, (one.id for one in chosen)) if isinstance(found, Sample)]
    if not everyone <= {one.digest for one in met}:
        patients, ids = {one.patient for one in chosen} - {""}, {one.id for one in chosen}
        others = [one for one in listed if isinstance(one, Sample) and one.patient in patients and one.id not in ids]
        beside = _examined(dataset, others, clock) if others else {}
        met += [found for found in beside.values() if isinstance(found, Sample)]

    each = {own: {met[row].id for row in rows_fitted_on(met, own)} for own in {one.fitted for one in fitting.units}}
    rows = set().union(*each.values())
    hit = [one for one in chosen if one.id in rows]
    if not hit:
        return Tested(chosen, known)
    names = _names([one for one in fitting.units if any(image.id in each[one.fitted] for image in hit)])
    people = len({one.patient for one in hit} - {""})
    whose = f" of {amount(people, 'patient')}" if people else ""
    said = f"{len(hit)} of {amount(len(chosen), 'image')}{whose}"
    on = f"{names} were fitted on {'images of these patients' if people else 'them'}"
    if fitting.images == "refuse":
        raise DataError(
            f"{said} are no test: {on}", "choose others with --where, or leave these out: --fitted-images leave-out"
        )
    if fitting.images == "keep":
        kept = {own: sum(image.id in found for image in chosen) for own, found in each.items()}
        return Tested(chosen, known, 0, kept, f"{said} are no test on other patients: {on}")
    if len(hit) == len(chosen):
        raise DataError(
            f"no image is left to test on: {on}, all {len(chosen)} that are chosen",
            "choose others with --where, --limit or --dataset, or keep these: --fitted-images keep",
        )
    left = [one for one in chosen if one.id not in rows]
    return Tested(left, known, len(hit), {}, f"{said} are left out: {on} (--fitted-images keep keeps them)")


def _names(units: Sequence[Units]) -> str:
    return f"units {' and '.join(dict.fromkeys(one.name for one in units))}"


def _examined(dataset: Dataset, samples: Sequence[Sample], clock: Clock) -> dict[str, Sample | Unreadable]:
    found: dict[str, Sample | Unreadable] = {}
    with clock.stage("find images that units were fitted on", len(samples), "images") as advanced:
        results = examine_each(dataset, samples)
        for sample in samples:
            with calling(f"{sample.source or sample.id} cannot be examined", kind=PluginError):
                found[sample.id] = next(results)
            advanced(1)
        next(results, None)  # it may still have to put away what it found
    return found
