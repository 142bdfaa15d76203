"""The contract of data sets: they offer images in a fixed order under stable ids."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mcd.api.base import Configured
from mcd.api.image import Image
from mcd.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Box", "Dataset", "Sample", "Unreadable", "read_checked"]


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
    """One image of the probe set, not yet decoded.

    Parameters
    ----------
    id
        Stable and unique; tables and reports show it, so it must not tell who the patient is.
        Files use the digest of their content.
    digest
        sha256 of the bytes that decide the pixels.
    source
        Where the image is. Stays in the run folder's probe map and in messages on this machine.
    patient, view, laterality, findings, boxes
        What is known about it; empty where unknown. ``patient`` is a key, not a name.
    """

    id: str
    digest: str
    source: str = ""
    patient: str = ""
    view: str = ""
    laterality: str = ""
    findings: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = field(default=())


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be used, and why."""

    source: str
    reason: str


class Dataset(Configured, abc.ABC):
    """Base of data sets.

    The engine calls `scan` once, before anything is computed, then `read` for each sample, in worker
    processes: an instance must be picklable.
    """

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return how many images `scan` will go through."""

    @abc.abstractmethod
    def scan(self) -> Iterator[Sample | Unreadable]:
        """Yield a sample for every image in a fixed order, without decoding pixels.

        This is the cheap look before hours are spent: what can already be seen to be broken (empty file,
        no image header) is yielded as `Unreadable`.

        Raises
        ------
        mcd.errors.DataError
            When there is nothing to read at all.
        """

    @abc.abstractmethod
    def read(self, sample: Sample) -> Image:
        """Decode one image.

        Raises
        ------
        mcd.errors.ImageError
            When it cannot be decoded.
        """

    def read_stored(self, sample: Sample) -> Image:
        """Decode one image without what makes stored values fit for display; by default there is no such thing.

        Raises
        ------
        mcd.errors.ImageError
            When it cannot be decoded.
        """
        return self.read(sample)

    has_masks: bool = False
    """Whether `mask` knows where the breast is."""

    def mask(self, sample: Sample, image: Image) -> NDArray[np.bool_]:
        """Return where the breast is in a decoded image, ``(H, W)``; called only where `has_masks` is set.

        Raises
        ------
        mcd.errors.ImageError
            When no breast is found.
        """
        raise NotImplementedError


def read_checked(dataset: Dataset, sample: Sample, values: str, *, masked: bool = False) -> Image:
    """Decode one image, with ``"displayed"`` or ``"stored"`` values, and make sure that a model can use it.

    With ``masked``, it carries its breast mask.

    Raises
    ------
    mcd.errors.ImageError
        When it cannot be decoded, is blank or otherwise of no use.
    """
    image = dataset.read_stored(sample) if values == "stored" else dataset.read(sample)
    image.check()
    if not masked:
        return image
    mask = dataset.mask(sample, image)
    if mask.shape != image.pixels.shape[:2]:
        raise ImageError(f"its breast mask is {mask.shape}, the image {image.pixels.shape[:2]}")
    return replace(image, mask=mask)
