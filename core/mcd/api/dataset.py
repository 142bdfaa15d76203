"""The contract of data sets: they offer images in a fixed order under stable ids."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mcd.api.base import Configured
from mcd.api.image import Image
from mcd.errors import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Box", "CompositeDataset", "Dataset", "Sample", "Unreadable", "examine_file", "file_digest"]


@dataclass(frozen=True)
class Box:
    """A finding's bounding box in pixels of the decoded image; x1 and y1 are exclusive."""

    finding: str
    x0: int
    y0: int
    x1: int
    y1: int


@dataclass(frozen=True)
class Sample:
    """One image of a data set, not yet decoded, with all that is known about it in words that all data sets share.

    An empty text, None, or a missing finding means *unknown*, which is never the same as absent.

    Parameters
    ----------
    id
        The data set's own name of the image, unique and stable in it: its image id, or its path below the root.
        It may identify the patient: the engine shows another one (see `Dataset.ids_are_public`).
    digest
        sha256 of the bytes that decide the pixels; `Dataset.examine` fills it in.
    source
        Where the image is. Stays in the run folder's probe map and in messages on this machine.
    patient, exam
        Keys, not names. Images of one patient are not independent.
    view
        CC, MLO, ML, LM, LMO, XCCL, XCCM, FB, SIO or ISO.
    laterality
        L or R.
    density
        Breast composition, a to d.
    assessment
        BI-RADS category: 0 to 6, with 4a, 4b, 4c where they are distinguished.
    vendor
        Who made the mammography unit.
    implant
        Whether there is one.
    split
        What part of the data set it belongs to, in the data set's own word.
    collection
        Name of the data set.
    findings
        Concept → whether it is present. Concepts are named as in the concept set ``birads``.
    boxes
        Where findings lie.
    labels
        The data set's own labels, unchanged: column → value. The values of several rows for one image are joined
        by ``" | "`` or ``"; "``, and ``--where`` selects by any of them.
    facts
        Technical properties of the file, none of them identifying: transfer syntax, rows, columns, bits, modality.
        ``boxes`` is the size that boxes are given in where the data set says it, rows × columns such as
        ``3518×2800``: those of a copy of another size are scaled.
    """

    id: str
    digest: str = ""
    source: str = ""
    patient: str = ""
    exam: str = ""
    view: str = ""
    laterality: str = ""
    density: str = ""
    assessment: str = ""
    vendor: str = ""
    implant: bool | None = None
    split: str = ""
    collection: str = ""
    findings: Mapping[str, bool] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", printable(self.id))  # ids stand in tables, pages and file names; files may not

    @property
    def burned_in(self) -> bool:
        """Whether its header says, or a table made of headers, that text is burned into its pixels.

        It may name the patient: no copy of such an image is shown.
        """
        said = {name.replace(" ", "").replace("_", "").lower(): text for name, text in self.labels.items()}
        texts = (self.facts.get("burned-in", ""), said.get("burnedinannotation", ""))
        return any(text.strip().lower() in ("yes", "y", "true", "1") for text in texts)


@dataclass(frozen=True)
class Unreadable:
    """An image that is not shown, and why.

    Parameters
    ----------
    source, reason
        Where it is, and what is wrong with it.
    passed_over
        Whether it is in order, but left out by what it is or by a setting: no reason to refuse a run.
    """

    source: str
    reason: str
    passed_over: bool = False


class Dataset(Configured, abc.ABC):
    """Base of data sets.

    The engine calls `scan` once, chooses among what it yields, calls `examine_each` for the chosen samples before
    anything is computed, then `read`, in worker processes: an instance must be picklable.

    Attributes
    ----------
    ids_are_public
        Whether ids say nothing about anybody (drawn images, row numbers). Others are shown as salted digests.
    has_masks
        Whether `mask` knows where the breast is.
    images_may_be_copied
        Whether reports may hold small copies of the images by default: they are of no patient, and free.
    against_copies
        What the terms of the data set say against passing its images on, as a part of a sentence; empty where they
        allow it, or are not known.
    licence
        Under what terms images and labels are given, in a few words; empty where that is not known. The card of a model
        that is trained on them says it.
    decoders
        Distributions that turn the bytes of its images into pixels, such as ``("pillow",)``: the versions of those
        installed are part of every key under which numbers made of the images are stored.
    """

    ids_are_public: bool = False
    has_masks: bool = False
    images_may_be_copied: bool = False
    against_copies: str = ""
    licence: str = ""
    decoders: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return how many images `scan` will go through."""

    @abc.abstractmethod
    def scan(self) -> Iterator[Sample | Unreadable]:
        """Yield a sample for every image in a fixed order, with its values in tables and headers.

        No pixels are touched here; what can already be seen to be broken is yielded as `Unreadable`.

        Raises
        ------
        mcd.errors.DataError
            When there is nothing to read at all, or a table is not as it should be: the message names file, row
            and column.
        """

    def remarks(self) -> list[str]:
        """Return, after `scan`, what could not be mapped or should be known about the images; said in every run.

        Counts of what `examine` finds are returned as `mcd.Remark`, also where they are 0: a part of a run examines
        its own images only, and those who join the parts add them up. Other texts are of all images, and are said once.
        """
        return []

    def examine(self, sample: Sample) -> Sample | Unreadable:
        """Return the sample with its digest, or why it cannot be used; by default that of the file at its source.

        This is the cheap look before hours are spent: it finds files that are missing, empty or cut short.
        """
        if sample.digest:
            return sample
        return examine_file(sample)

    def examine_each(self, samples: Sequence[Sample]) -> Iterator[Sample | Unreadable]:
        """Yield what `examine` returns for each sample, in order: what the engine calls before a run.

        One after another by default; with the default `examine`, in worker processes, and only for files that have
        changed. `mcd.plugins.each_file` does the same for a data set with its own.
        """
        for sample in samples:
            yield self.examine(sample)

    def current_digest(self, sample: Sample) -> str:
        """Return the digest of what is there now, taken as `examine` takes it; empty where that is not known.

        The engine compares it with the sample's own whenever it has read an image that is not known to be of the same
        bytes (`Image.digest`): a file that was changed since it was examined is an error. By default that of the file
        at the source, unless a subclass has its own `examine`; such a one says it here, with `mcd.plugins.file_digest`
        where it is that of a file.
        """
        own = type(self).examine is not Dataset.examine
        return "" if own or not Path(sample.source).is_file() else file_digest(sample.source)

    @abc.abstractmethod
    def read(self, sample: Sample) -> Image:
        """Decode one image.

        Raises
        ------
        mcd.errors.ImageError
            When it cannot be decoded.
        """

    def decoding(self) -> str:
        """Return a digest of the settings that decide how the bytes of an image become pixels.

        Cached images are found by it. The default covers all settings; leave out those that only say where images
        are, so that two data sets that show the same files share what is cached.
        """
        return self.fingerprint()

    def read_stored(self, sample: Sample) -> Image:
        """Decode one image without what makes stored values fit for display; by default there is no such thing.

        Raises
        ------
        mcd.errors.ImageError
            When it cannot be decoded.
        """
        return self.read(sample)

    def mask(self, sample: Sample, image: Image) -> NDArray[np.bool_] | None:
        """Return where the breast is in a decoded image, ``(H, W)`` bool; called only where `has_masks` is set.

        None, the default, means that the data set brings no mask: the engine then finds the breast in the pixels.
        Images with their masks are kept by the sample's digest: one that is read from a file of its own is part of it.
        """
        return None


class CompositeDataset(Dataset):
    """Base of data sets made of others by name: the engine creates those and hands them over.

    Its first option is ``parts``, a list of objects with ``plugin`` and ``options``.
    """

    @abc.abstractmethod
    def assemble(self, parts: Sequence[Dataset]) -> None:
        """Take the data sets that the option ``parts`` asks for, in that order."""


def file_digest(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, in hex: what `examine_file` gives a sample as its digest."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def examine_file(sample: Sample) -> Sample | Unreadable:
    """Return the sample with the digest of the file at its source, or why that cannot be used."""
    try:
        with Path(sample.source).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        return Unreadable(sample.source, error.strerror or "it cannot be read")
    return replace(sample, digest=found) if size else Unreadable(sample.source, "the file is empty")
