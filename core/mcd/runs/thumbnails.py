"""Small copies of the images of a stored run, made from its data set anew."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import PIL.Image
import pydantic
from numpy.typing import NDArray

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample
from mcd.api.geometry import Part
from mcd.api.image import Image, Preprocessing
from mcd.components import Kind
from mcd.errors import DataError, ImageError, UnknownNameError, nearest, said_by
from mcd.extraction.examining import examination, examine_each
from mcd.extraction.map_store import MapStore
from mcd.extraction.parallel import in_processes
from mcd.extraction.reading import read_checked
from mcd.runs.dissection import Dissection, read_study
from mcd.runs.given import not_at_hand
from mcd.runs.revived import found_again
from mcd.study.study import Study

__all__ = [
    "Copy",
    "ProbeImages",
    "Sight",
    "copies",
    "data_set_of",
    "same_samples",
    "says_the_same",
    "sight_of",
    "thumbnails",
]

_QUALITY, _FULL_QUALITY = 70, 90
"""Of WebP: of small copies, and of those at full resolution."""
_LARGEST = 16_383
"""Pixels that a side of WebP can have."""
_AT_ONCE = 256
"""Images between two looks at how many bytes there are."""
_FEW = 32
"""Images for which starting processes does not pay."""


@dataclass(frozen=True)
class Sight:
    """What a network saw of an image: through the run's recipe, if there is one, then its own preprocessing."""

    recipe: Preprocessing | None
    own: Preprocessing

    @property
    def values(self) -> str:
        """What of a DICOM file it starts from."""
        return (self.recipe or self.own).values

    def part(self, image: Image) -> Part | None:
        """Return which part of an image was seen; None where a step does not say.

        Raises
        ------
        ImageError
            When the image is not fit for a step.
        """
        if self.recipe is None:
            return self.own.part(image)
        picture, cut = self.recipe.picture(image), self.recipe.picture_part(image)
        seen = self.own.part(picture)
        if cut is None or seen is None:
            return None
        return cut.within((picture.pixels.shape[0], picture.pixels.shape[1]), seen)

    def of(self, image: Image) -> Image:
        """Return what was seen, before channels are repeated and normalised.

        Raises
        ------
        ImageError
            When the image is not fit for a step.
        """
        seen = self.own.prepare(self.recipe.picture(image) if self.recipe else image)
        pixels = seen[0] if len(seen) == 1 else seen.permute(1, 2, 0)
        return Image(pixels.contiguous().numpy(), 1.0)


@dataclass(frozen=True)
class ProbeImages:
    """The images of a run, checked to be what it saw: its data set, and its samples by the ids that outputs show."""

    dataset: Dataset
    samples: Mapping[str, Sample]

    @classmethod
    def of(cls, dissection: Dissection) -> ProbeImages:
        """Find them; raises as `data_set_of` and `same_samples`."""
        _ = dissection.probe_map  # without it nobody can say which images they are
        dataset = data_set_of(dissection)
        return cls(dataset, same_samples(dissection, dataset))

    def picture(self, name: str) -> PIL.Image.Image:
        """Return an image as it is displayed, 8 bit grey or colour, as large as it is.

        Raises
        ------
        UnknownNameError
            When no image has such an id.
        DataError
            When text is burned into it, or it cannot be read any more.
        """
        if name not in self.samples:
            raise UnknownNameError(f"no image of the run has the id '{name}'", nearest(name, self.samples))
        sample = self.samples[name]
        if sample.burned_in:
            raise DataError(
                f"image {name} is not shown: by its header text is burned into its pixels, which may name the patient",
                "its file is in the probe map of the run: private/probe_map.csv",
            )
        try:
            image = read_checked(self.dataset, sample, "displayed")
        except (ImageError, OSError, ValueError) as error:
            raise DataError(
                f"image {name} cannot be read any more: {said_by(error)}", "put it back as it was"
            ) from None
        return PIL.Image.fromarray(_reduced(image, max(image.pixels.shape)))


def sight_of(dissection: Dissection) -> Sight:
    """Return what the target of a run with maps saw its images through, made anew by the run's own study.

    Raises
    ------
    mcd.errors.MCDError
        When the run keeps no maps, or the preprocessing cannot be made again as it was.
    """
    study = _study_of(dissection)
    record = dissection.manifest.store
    wanted = MapStore(dissection.store_folder, record.maps, record.digests or {}).preprocessing()
    with found_again(dissection, Kind.PREPROCESSING, [study.recipe] if study.recipe else []) as preparer:
        recipe, _ = preparer.recipe(study.recipe)
    if recipe is not None and not says_the_same(dissection.manifest.preprocessing.get("recipe"), recipe):
        raise DataError(
            "the recipe of the run cannot be made again as it was",
            "make the run again with this version, or leave images out",
        )
    own = Preprocessing()
    with contextlib.suppress(pydantic.ValidationError):  # settings that only a class of its own has
        own = Preprocessing.model_validate(dissection.manifest.preprocessing.get("target"))
    if own.fingerprint() != wanted and dissection.given.model is not None:
        own = dissection.given.model.preprocessing
    elif own.fingerprint() != wanted and study.models[0].plugin != "object":
        with found_again(dissection, Kind.MODEL, study.models[:1]) as preparer:
            own = preparer.target(study.models[0])[0].preprocessing
    if own.fingerprint() != wanted:
        raise DataError(
            "the preprocessing of the run's target cannot be made again as it was",
            "make the run again with this version, or leave images out",
        )
    return Sight(recipe, own)


def says_the_same(record: object, recipe: Preprocessing) -> bool:
    """Say whether a record is of these settings; what an older one does not have was at its default."""
    try:
        return type(recipe).model_validate(record) == recipe
    except pydantic.ValidationError:
        return False


@dataclass(frozen=True)
class Copy:
    """A copy of an image.

    Parameters
    ----------
    content
        A file, as WebP.
    shape
        Rows and columns of the image that it is a copy of.
    part
        What of that image it shows; None where that is not known.
    """

    content: bytes
    shape: tuple[int, int]
    part: Part | None


def data_set_of(dissection: Dissection) -> Dataset:
    """Return the data set of a stored run: the one that is at hand, or made anew by the run's own study.

    No image is touched.

    Raises
    ------
    mcd.errors.MCDError
        When it was given in Python and is not given again, its plugin is missing, or the run is not trusted and its
        images are files.
    """
    if dissection.given.dataset is not None:
        return dissection.given.dataset
    study = _study_of(dissection)
    if study.dataset.plugin == "object":
        raise not_at_hand(dissection, "data set", "dataset")
    with found_again(dissection, Kind.DATASET, [study.dataset]) as preparer:
        return preparer.dataset(study.dataset)[0]


def _study_of(dissection: Dissection) -> Study:
    """Return the study of the run that read the images: a scoring made anew has none of its own."""
    return read_study(dissection.store_folder, dissection.manifest)


def thumbnails(
    dissection: Dissection,
    ids: Sequence[str],
    size: int,
    *,
    dataset: Dataset | None = None,
    at_most: int | None = None,
    samples: Mapping[str, Sample] | None = None,
    sight: Sight | None = None,
) -> Mapping[str, bytes]:
    """Return small copies of images of a run, as WebP: id → file.

    `copies` says more of each, and takes the same arguments.
    """
    found = copies(dissection, ids, size, dataset=dataset, at_most=at_most, samples=samples, sight=sight)
    return {name: one.content for name, one in found.items()}


def copies(
    dissection: Dissection,
    ids: Sequence[str],
    size: int | None,
    *,
    dataset: Dataset | None = None,
    at_most: int | None = None,
    samples: Mapping[str, Sample] | None = None,
    sight: Sight | None = None,
) -> Mapping[str, Copy]:
    """Return copies of images of a run: id → copy.

    They are grey or coloured, 8 bit, and show what a workstation would, whatever a model saw; or what one did.

    Parameters
    ----------
    ids
        Which, as in `Dissection.image_ids`, those that matter most first.
    size
        Length of the longer side in pixels; None is that of the image.
    dataset
        The run's, when it was made before (`data_set_of`).
    at_most
        Bytes; images after the one that reaches it are left out.
    samples
        Those of the run, when they were checked before (`same_samples`).
    sight
        Shows the images as a network saw them (`sight_of`).

    Returns
    -------
    Mapping
        In the order of ``ids``. Images that cannot be decoded any more are not in it, nor are those of which header or
        table says that text is burned into them (`mcd.Sample.burned_in`): it may name the patient.

    Raises
    ------
    mcd.errors.MCDError
        When the data set cannot be made again, or its images are not those of the run.
    """
    dataset = data_set_of(dissection) if dataset is None else dataset
    samples = same_samples(dissection, dataset) if samples is None else samples
    waiting = iter([(name, samples[name]) for name in ids if not samples[name].burned_in])
    found: dict[str, Copy] = {}
    total = 0
    while work := list(islice(waiting, _AT_ONCE if size else _FEW)):
        workers = 0 if len(work) < _FEW else None
        made = {item[0]: copy for item, copy in in_processes(_copy, (dataset, size, sight), work, workers)}
        for name, _ in work:  # in their order: which come first is not for the processes to say
            if at_most is not None and total >= at_most:
                return found
            copy = made[name]
            if copy is not None:
                found[name] = copy
                total += len(copy.content)
    return found


def same_samples(dissection: Dissection, dataset: Dataset) -> dict[str, Sample]:
    """Return the samples of the run by the ids that outputs show, when they have the bytes that they had then.

    Raises
    ------
    DataError
        When they have not, or no longer exist.
    """
    samples: dict[str, Sample] = {}
    entries = [entry for entry in dissection.probe_map if entry["id"]]
    with examination(workers=None):
        listed = {one.id: one for one in dataset.scan() if isinstance(one, Sample)}
        known = [listed[entry["own_id"]] for entry in entries if entry["own_id"] in listed]
        found = iter([*examine_each(dataset, known)])
    for entry in entries:
        again = next(found) if entry["own_id"] in listed else None
        if not isinstance(again, Sample):
            raise DataError(
                f"an image of the run no longer exists: {entry['source'] or entry['own_id']}",
                "put it back where it was, or leave images out",
            )
        samples[entry["id"]] = again
    if digest(*(one.digest for one in samples.values())) != dissection.manifest.fingerprints["probe set"]:
        raise DataError(
            "the images have changed since the run was made: none can be shown as what it saw",
            "put them back as they were, or make the run again",
        )
    return samples


def _copy(shared: tuple[Dataset, int | None, Sight | None], item: tuple[str, Sample]) -> Copy | None:
    dataset, size, sight = shared
    try:
        image = read_checked(dataset, item[1], sight.values if sight else "displayed")
        rows, columns = image.pixels.shape[:2]
        part = sight.part(image) if sight else Part(0, 0, columns, rows)
        return Copy(_webp(sight.of(image) if sight else image, size), (rows, columns), part)
    except (ImageError, OSError, ValueError, MemoryError):
        return None


def _webp(image: Image, size: int | None) -> bytes:
    out = io.BytesIO()
    quality = _QUALITY if size else _FULL_QUALITY
    PIL.Image.fromarray(_reduced(image, size or _LARGEST)).save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def _reduced(image: Image, size: int) -> NDArray[np.uint8]:
    """Return an image of which the longer side is no longer than ``size``, 8 bit."""
    height, width = image.pixels.shape[:2]
    scale = min(1.0, size / max(height, width))
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = np.asarray(cv2.resize(image.pixels, shape, interpolation=cv2.INTER_AREA), dtype=np.float64)
    return np.rint(np.clip(reduced / image.maximum, 0, 1) * 255).astype(np.uint8)
