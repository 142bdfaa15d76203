"""The probe set: which images are shown, in which order, under which ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.errors import DataError, PluginError
from mcd.events import Clock
from mcd.extraction.boxes import BoxFit
from mcd.extraction.examining import examination, examine_each
from mcd.extraction.remarks import remarks_on
from mcd.networks.foreign import calling
from mcd.study.privacy import public_id, salt
from mcd.study.selection import Selection

__all__ = ["ProbeSet", "count_images", "examined", "probe_set", "remarks_of"]


@dataclass(frozen=True)
class ProbeSet:
    """The samples that will be shown, and those left out with the reason.

    Parameters
    ----------
    samples
        In order.
    ids
        What outputs call them, in the same order.
    unreadable
        What is left out.
    remarks
        What had to be done to the boxes of findings.
    """

    samples: tuple[Sample, ...]
    ids: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()
    remarks: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the bytes of all images, in order."""
        return digest(*(sample.digest for sample in self.samples))

    @property
    def repeats(self) -> int:
        """How many images have the same bytes as an earlier one."""
        known = [sample.digest for sample in self.samples if sample.digest]
        return len(known) - len(set(known))

    @cached_property
    def unidentified(self) -> int:
        """Of how many images the data set gives no digest: whether their bytes have changed cannot be known."""
        return sum(not sample.digest for sample in self.samples)


def examined(
    dataset: Dataset,
    selection: Selection,
    clock: Clock,
    *,
    on_error: str = "stop",
    keep_identifiers: bool = False,
    workers: int | None = 0,
    verify: bool = False,
) -> ProbeSet:
    """Choose among the images of a data set and check each chosen one; warn of what a reader must know.

    Parameters
    ----------
    workers, verify
        How many processes examine files, and whether unchanged ones again; see `examination`.

    Raises
    ------
    DataError
        As `probe_set`.
    """
    with examination(workers=workers, verify=verify) as how:
        with clock.stage("list images", count_images(dataset), "images") as advanced:
            listed = _listed(dataset, advanced)
        chosen = selection.choose([one for one in listed if isinstance(one, Sample)])
        with clock.stage("validate images", len(chosen), "images") as advanced:
            probe = probe_set(dataset, chosen, listed, advanced, on_error=on_error, keep_identifiers=keep_identifiers)
    for said in how.remarks():
        clock.warn(said)
    for remark in [
        *remarks_of(dataset),
        *probe.remarks,
        *remarks_on([one for one in listed if isinstance(one, Sample)]),
    ]:
        clock.warn(remark)
    if probe.unreadable:
        clock.warn(f"{len(probe.unreadable)} images cannot be used and are left out; the probe map says which and why")
    if probe.unidentified:
        clock.warn(
            f"nothing that is stored will be used again: the data set gives {probe.unidentified} images no digest by "
            "which they could be known"
        )
    if probe.repeats:
        repeat = "image repeats" if probe.repeats == 1 else "images repeat"
        clock.warn(f"{probe.repeats} {repeat} the bytes of another one; each still counts by itself")
    return probe


def remarks_of(dataset: Dataset) -> list[str]:
    """Return what a data set has to say of its images, after they were listed."""
    with calling("the data set cannot say what could not be mapped", kind=PluginError):
        return dataset.remarks()


def count_images(dataset: Dataset) -> int:
    """Return how many images a data set says to have; one that has none, a missing folder, is an error already here.

    Raises
    ------
    DataError
        When it cannot say so.
    """
    with calling("the images of the data set cannot be counted", kind=PluginError):
        return len(dataset)


def _listed(dataset: Dataset, advanced: Callable[[int], None]) -> list[Sample | Unreadable]:
    listed = []
    with calling("the images of the data set cannot be listed", kind=PluginError):
        for found in dataset.scan():
            listed.append(found)
            advanced(1)
    repeated = [
        name for name, count in Counter(one.id for one in listed if isinstance(one, Sample)).items() if count > 1
    ]
    if repeated:
        raise DataError(
            f"the data set gives {len(repeated)} ids to more than one image, first '{repeated[0]}'",
            "give every image an id of its own in the data set",
        )
    return listed


def probe_set(
    dataset: Dataset,
    chosen: Sequence[Sample],
    listed: Sequence[Sample | Unreadable],
    advanced: Callable[[int], None],
    *,
    on_error: str,
    keep_identifiers: bool = False,
) -> ProbeSet:
    """Return the chosen images of a data set, each checked before anything is computed.

    Raises
    ------
    DataError
        When images are unreadable and ``on_error`` is ``"stop"``, or when none is left.
    """
    samples: list[Sample] = []
    unreadable = [one for one in listed if isinstance(one, Unreadable)]
    boxes = BoxFit()
    results = examine_each(dataset, chosen)
    for sample in chosen:
        with calling(f"{sample.source or sample.id} cannot be examined", kind=PluginError):
            found = next(results)
        if isinstance(found, Sample):
            samples.append(boxes.fitted(found))
        else:
            unreadable.append(found)
        advanced(1)
    next(results, None)  # it may still have to put away what it found
    broken = [one for one in unreadable if not one.passed_over]
    if broken and on_error == "stop":
        raise DataError(
            f"{len(broken)} of {len(samples) + len(unreadable)} images cannot be used:",
            "remove them, or leave them out with --on-error skip",
            _named(broken),
        )
    if not samples:
        raise DataError("the probe set holds no image that can be read", "see why with: mcd data check DIR")
    ids = _ids(dataset, samples, keep_identifiers)
    return ProbeSet(tuple(samples), ids, tuple(unreadable), tuple(boxes.remarks()))


def _ids(dataset: Dataset, samples: Sequence[Sample], keep_identifiers: bool) -> tuple[str, ...]:
    if dataset.ids_are_public or keep_identifiers:
        return tuple(sample.id for sample in samples)
    secret = salt()
    return tuple(public_id(sample.id, sample.collection, secret) for sample in samples)


def _named(unreadable: Sequence[Unreadable]) -> list[str]:
    """Return a line for each unreadable image, the first ten in full."""
    lines = [f"{bad.source}: {bad.reason}" for bad in unreadable[:10]]
    if len(unreadable) > 10:
        lines.append(f"… and {len(unreadable) - 10} more")
    return lines
