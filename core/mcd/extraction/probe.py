"""The probe set: which images are shown, in which order, under which ids."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.errors import DataError, PluginError, amount
from mcd.events import Clock
from mcd.extraction.beside import examined_beside, spread
from mcd.extraction.boxes import BoxFit, box_remarks
from mcd.extraction.examining import examination, examine_each
from mcd.extraction.fitted import Fitting, tested
from mcd.extraction.parts import Part, shard_rows, shard_size
from mcd.extraction.remarks import ProbeRemarks, remarks_on
from mcd.networks.foreign import calling
from mcd.study.privacy import public_id, salt
from mcd.study.selection import Selection

__all__ = [
    "ProbeSet",
    "count_chosen",
    "count_images",
    "examined",
    "examined_part",
    "probe_set",
    "remarks_of",
]


@dataclass(frozen=True)
class ProbeSet:
    """The images that were chosen, and which of them will be shown.

    The number of a row says which of the chosen images it is, whether or not others can be used.

    Parameters
    ----------
    samples
        All that were chosen, in order. Those of ``refused``, and of other parts, are as the data set listed them.
    ids
        What outputs call them, in the same order.
    unreadable
        What the data set itself could not list.
    refused
        By row those that cannot be used, with the reason.
    part
        The rows that this process shows; None for all.
    boxes
        What had to be done to the boxes of findings.
    listing
        In a part, a digest of the metadata of all chosen images, before any was opened: parts of one run have the
        same. Paths, which are others on another machine, and facts of files are not in it.
    beside
        In a part, images of others that it examined too, by row; see `estimating`.
    out, kept
        Of patients that units were fitted on, in the whole run: how many images were left out, how many are kept; see
        `mcd.extraction.fitted.Tested`.
    """

    samples: tuple[Sample, ...]
    ids: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()
    refused: Mapping[int, Unreadable] = field(default_factory=dict)
    part: range | None = None
    boxes: Mapping[str, int] = field(default_factory=dict)
    listing: str = ""
    beside: Mapping[int, Sample] = field(default_factory=dict)
    out: int = 0
    kept: Mapping[frozenset[str], int] = field(default_factory=dict)

    @cached_property
    def own(self) -> range:
        """The rows of this process: those of its part, or all."""
        return range(len(self.samples)) if self.part is None else self.part

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """The rows that are shown."""
        return tuple(row for row in self.own if row not in self.refused)

    @cached_property
    def shown(self) -> tuple[Sample, ...]:
        """The samples that are shown, in order."""
        return tuple(self.samples[row] for row in self.rows)

    @cached_property
    def estimating(self) -> dict[int, Sample]:
        """The images, by row, that the normalisations of untrained networks are estimated from: of the whole run."""
        rows = spread(len(self.samples))
        shown = set(self.rows)
        return {row: self.samples[row] if row in shown else self.beside[row] for row in rows if self._is_known(row)}

    def _is_known(self, row: int) -> bool:
        return row in self.beside or (row in self.own and row not in self.refused)

    def usable(self) -> ProbeSet:
        """Return the probe set of those that are shown, as if no others had been chosen."""
        return ProbeSet(self.shown, tuple(self.ids[row] for row in self.rows))

    @property
    def left_out(self) -> tuple[Unreadable, ...]:
        """All that cannot be used."""
        return (*self.unreadable, *self.refused.values())

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the bytes of all images that are shown, in order."""
        return digest(*(sample.digest for sample in self.shown))

    @cached_property
    def unidentified(self) -> int:
        """Of how many images the data set gives no digest: whether their bytes have changed cannot be known."""
        return sum(not sample.digest for sample in self.shown)

    def shards(self, batch_size: int) -> dict[int, list[list[int]]]:
        """Return the batches of each shard that this process computes, by the numbers of the shards."""
        size = shard_size(len(self.samples), batch_size)
        every = shard_rows(len(self.samples), batch_size, self.refused.keys())
        return {number: every[number] for number in range(self.own.start // size, -(-self.own.stop // size))}

    def images(self, batch_size: int) -> tuple[str, ...]:
        """Return for each of these shards a digest of its images: where they stand, and the bytes of each.

        It is drawn at random where the bytes of one are not known.
        """
        size = shard_size(len(self.samples), batch_size)
        starts = range(self.own.start, self.own.stop, size)
        return tuple(digest(str(at), *map(self._bytes_of, range(at, min(at + size, self.own.stop)))) for at in starts)

    def _bytes_of(self, row: int) -> str:
        return "" if row in self.refused else self.samples[row].digest or secrets.token_hex(32)


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
    found, remarks = examined_part(
        dataset,
        selection,
        clock,
        on_error=on_error,
        keep_identifiers=keep_identifiers,
        workers=workers,
        verify=verify,
    )
    for said in remarks.sentences():
        clock.warn(said)
    return found


def examined_part(
    dataset: Dataset,
    selection: Selection,
    clock: Clock,
    *,
    on_error: str,
    keep_identifiers: bool,
    workers: int | None,
    verify: bool,
    part: Part | None = None,
    batch_size: int = 1,
    fitting: Fitting | None = None,
    estimating: bool = False,
) -> tuple[ProbeSet, ProbeRemarks]:
    """Choose among the images of a data set and check those of a part of the run, of which nothing is said yet.

    What is chosen, its order and its ids are those of the whole run: listing tells them. The other images are not
    opened, but for the headers that listing reads.

    Parameters
    ----------
    part, batch_size
        Which part, of a run with batches of so many images; None checks all that are chosen.
    fitting
        Units that may have been fitted on some of the images; see `mcd.extraction.fitted.tested`.
    estimating
        Whether a part examines those images of others too that normalisations are estimated from.

    Raises
    ------
    UsageError
        When there are more parts than shards.
    DataError
        As `probe_set`.
    """
    with examination(workers=workers, verify=verify) as how:
        listed, chosen = _chosen(dataset, selection, clock)
        how.listed()
        on = tested(dataset, listed, chosen, fitting, clock)
        chosen = on.chosen
        own = None if part is None else part.rows(len(chosen), batch_size)
        with clock.stage("validate images", len(chosen if own is None else own), "images") as advanced:
            probe = probe_set(
                dataset,
                chosen,
                listed,
                advanced,
                on_error=on_error,
                keep_identifiers=keep_identifiers,
                part=own,
                known=on.known,
            )
        heard = [*how.remarks(), *remarks_of(dataset)]
        beside = examined_beside(dataset, chosen, probe.own, on.known) if estimating else {}
    probe = replace(probe, beside=beside, out=on.out, kept=on.kept)
    digests = [one.digest for one in probe.shown if one.digest]
    if on.known:  # every part has examined all images
        heard = [str(one) for one in heard if one]
    remarks = ProbeRemarks(
        heard=(*heard, *box_remarks(probe.boxes)),
        listed=(*remarks_on([one for one in listed if isinstance(one, Sample)]), *filter(None, [on.remark])),
        unreadable=len(probe.left_out),
        unidentified=probe.unidentified,
        repeats=len(digests) - len(set(digests)),
    )
    return probe, remarks


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


def count_chosen(
    dataset: Dataset,
    selection: Selection,
    clock: Clock,
    *,
    workers: int | None,
    verify: bool = False,
    fitting: Fitting | None = None,
) -> int:
    """Return how many images of a data set are chosen, as listing tells; see `examined_part`."""
    with examination(workers=workers, verify=verify):
        return len(tested(dataset, *_chosen(dataset, selection, clock), fitting, clock).chosen)


def _chosen(
    dataset: Dataset, selection: Selection, clock: Clock
) -> tuple[Sequence[Sample | Unreadable], Sequence[Sample]]:
    """Return what a data set lists, and which of its images are chosen."""
    with clock.stage("list images", count_images(dataset), "images") as advanced:
        listed = _listed(dataset, advanced)
    return listed, selection.choose([one for one in listed if isinstance(one, Sample)])


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
            f"the data set gives {amount(len(repeated), 'id')} to more than one image, first '{repeated[0]}'",
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
    part: range | None = None,
    known: Mapping[str, Sample | Unreadable] = MappingProxyType({}),
) -> ProbeSet:
    """Return the chosen images of a data set, each checked before anything is computed.

    Parameters
    ----------
    part
        Rows of the chosen images that are checked, where this process shows no others.
    known
        What checking each found, by id, where that is known already.

    Raises
    ------
    DataError
        When images are unreadable and ``on_error`` is ``"stop"``, or when none is left of all.
    """
    samples = list(chosen)
    unreadable = tuple(one for one in listed if isinstance(one, Unreadable))
    refused: dict[int, Unreadable] = {}
    boxes = BoxFit()
    own = range(len(samples)) if part is None else part
    mine = samples[own.start : own.stop]
    results = iter([known[one.id] for one in mine]) if known else examine_each(dataset, mine)
    for row in own:
        sample = samples[row]
        with calling(f"{sample.source or sample.id} cannot be examined", kind=PluginError):
            found = next(results)
        if isinstance(found, Sample):
            samples[row] = boxes.fitted(found)
        else:
            refused[row] = found
        advanced(1)
    next(results, None)  # it may still have to put away what it found
    broken = [one for one in (*unreadable, *refused.values()) if not one.passed_over]
    if broken and on_error == "stop":
        raise DataError(
            f"{len(broken)} of {amount(len(own) + len(unreadable), 'image')} cannot be used:",
            "remove them, or leave them out with --on-error skip",
            _named(broken),
        )
    if part is None and len(refused) == len(samples):
        raise DataError("the probe set holds no image that can be read", "see why with: mcd data check DIR")
    ids = _ids(dataset, chosen, keep_identifiers)
    listing = "" if part is None else digest(*map(_said_of, chosen))
    return ProbeSet(tuple(samples), ids, unreadable, refused, part, boxes.counts, listing)


def _said_of(sample: Sample) -> str:
    """Return the metadata of an image as the data set lists it, but for its path, its bytes and its file."""
    return repr(
        [
            dict(value) if isinstance(value, Mapping) else value
            for name, value in vars(sample).items()
            if name not in ("digest", "source", "facts")
        ]
    )


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
