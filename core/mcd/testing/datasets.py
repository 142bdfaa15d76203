"""The check of data sets."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import pickle
from collections.abc import Sequence

import numpy as np

from mcd.api.closed import CLOSED, VIEWS
from mcd.api.dataset import CompositeDataset, Dataset, Sample, Unreadable
from mcd.api.image import Image
from mcd.testing.contract import ContractError, called, created, kind_of, require, same_settings_same_fingerprint

__all__ = ["check_dataset"]


def check_dataset(dataset: Dataset | type[Dataset], *, images: int = 6) -> None:
    """Make sure that a data set offers its images in a fixed order under ids of their own, and that they can be read.

    Parameters
    ----------
    dataset
        A data set, or its class where the default settings will do. It must have at least one image. One made of
        others has been given them: ``data.assemble(parts)``.
    images
        How many of them are decoded, spread over the data set.

    Raises
    ------
    ContractError
        When ``len`` is not what ``scan`` yields, ids repeat, a second scan differs, a value is not in the words that
        all data sets share, or the data set cannot be sent to worker processes; when an image has no digest after
        ``examine_each``, ``read`` returns something else than a `mcd.Image` that a model can use, or other pixels the
        next time; when a mask does not fit its image.
    """
    made = created(dataset, Dataset)
    name = type(made).__qualname__
    if not isinstance(made, CompositeDataset):  # its parts decide it, and a new one has none
        same_settings_same_fingerprint(made)
    _check_decoders(name, made)
    found = _scanned(name, made)
    with called(f"{name}.remarks()"):
        remarks: object = made.remarks()
    require(
        isinstance(remarks, list) and all(isinstance(one, str) for one in remarks),
        f"{name}.remarks() returned {kind_of(remarks)}, not a list of texts",
        "return a list of sentences, empty where there is nothing to say",
    )
    chosen = _examined(name, made, [one for one in found if isinstance(one, Sample)])
    try:
        elsewhere = pickle.loads(pickle.dumps(made))  # noqa: S301 -- what was pickled here
    except Exception as error:  # code of an author may raise anything
        hint = "keep no open files, locks or lambdas in it"
        raise ContractError(f"{name} cannot be sent to worker processes: {error}", hint) from error
    step = max(1, len(chosen) // max(1, images))
    for sample in chosen[::step][:images]:
        _check_image(name, made, elsewhere, sample)


def _check_decoders(name: str, made: Dataset) -> None:
    require(not isinstance(made.decoders, str), f"decoders of {name} is a text", 'write decoders = ("pillow",)')
    for one in made.decoders:
        try:
            importlib.metadata.version(one)
        except importlib.metadata.PackageNotFoundError:
            hint = "name distributions as pip does, of which the check needs all"
            raise ContractError(f"decoders of {name} names '{one}', which is not installed", hint) from None


def _scanned(name: str, made: Dataset) -> list[Sample | Unreadable]:
    with called(f"{name}.scan()"):
        count, found = len(made), list(made.scan())
    odd = [one for one in found if not isinstance(one, Sample | Unreadable)]
    require(not odd, f"{name}.scan() yields {_first_kind(odd)}", "yield mcd.Sample or mcd.plugins.Unreadable")
    require(found, f"{name}.scan() yields nothing", "give the check a data set with images")
    require(
        count == len(found),
        f"len({name}) is {count}, and scan() goes through {len(found)} images",
        "return from __len__ how many scan() yields, Unreadable included",
    )
    samples = [one for one in found if isinstance(one, Sample)]
    twice = len(samples) - len({one.id for one in samples})
    require(not twice, f"{twice} images of {name} have the id of another one", "make ids unique: mcd.Sample(id=…)")
    with called(f"{name}.scan(), the second time,"):
        again = list(made.scan())
    require(again == found, f"{name}.scan() yields something else the second time", "sort what the file system lists")
    for sample in samples:
        _check_words(name, sample)
    return found


def _check_words(name: str, sample: Sample) -> None:
    for field, known in {"view": VIEWS, **CLOSED}.items():
        value = getattr(sample, field)
        require(
            value in ("", *known),
            f"{field} of image {sample.id} of {name} is {value!r}",
            f"map it to one of {', '.join(known)}, or leave it empty: not known",
        )
    odd = {key: value for key, value in sample.findings.items() if not isinstance(value, bool | np.bool_)}
    require(
        not odd,
        f"findings of image {sample.id} of {name} hold {odd}",
        "True is present, False is absent; what is not known is left out",
    )
    texts = {key: value for key, value in {**sample.labels, **sample.facts}.items() if not isinstance(value, str)}
    require(not texts, f"labels or facts of image {sample.id} of {name} hold {texts}", "make every value a text")


def _examined(name: str, made: Dataset, samples: Sequence[Sample]) -> list[Sample]:
    with called(f"{name}.examine_each()"):
        found = list(itertools.islice(made.examine_each(samples), len(samples) + 1))
    odd = [one for one in found if not isinstance(one, Sample | Unreadable)]
    require(not odd, f"{name}.examine_each() yields {_first_kind(odd)}", "yield mcd.Sample or Unreadable")
    require(
        len(found) == len(samples),
        f"{name}.examine_each() yields {len(found)} results for {len(samples)} samples",
        "yield one for each sample, in their order",
    )
    chosen = [one for one in found if isinstance(one, Sample)]
    same = [after.id == before.id for before, after in zip(samples, found, strict=True) if isinstance(after, Sample)]
    require(all(same), f"{name}.examine_each() changes ids, or their order", "return the sample with its digest")
    bare = [one.id for one in chosen if not one.digest]
    require(
        not bare,
        f"image {(bare or [''])[0]} of {name} has no digest after it was examined: nothing made of it is found again",
        "leave examine() alone where source is a file, or set mcd.Sample.digest to a digest of what decides the pixels",
    )
    require(chosen, f"no image of {name} can be used: {found[:1]}", "give the check images that are in order")
    return chosen


def _check_image(name: str, made: Dataset, elsewhere: Dataset, sample: Sample) -> None:
    before = dataclasses.asdict(sample)
    first, second = _read(name, made, sample), _read(f"{name}, sent to a worker process,", elsewhere, sample)
    require(
        np.array_equal(first.pixels, second.pixels) and first.maximum == second.maximum,
        f"{name}.read() gives image {sample.id} other pixels the second time",
        "what an image shows may depend on the sample and the settings alone",
    )
    with called(f"{name}.current_digest()"):
        now = made.current_digest(sample)
    require(
        now in ("", sample.digest),
        f"{name}.current_digest() of image {sample.id} is not the digest that examine() gave it",
        "take both the same way, or return an empty text",
    )
    rows, columns = first.pixels.shape[:2]
    for box in sample.boxes:
        inside = 0 <= box.x0 < box.x1 <= columns and 0 <= box.y0 < box.y1 <= rows
        scaled = "boxes" in sample.facts
        require(
            inside or scaled,
            f"box {box} of image {sample.id} of {name} lies outside its {columns}×{rows} pixels",
            "x goes to the right, y down, in pixels of the decoded image; or say facts['boxes'], ROWS×COLUMNS",
        )
    if made.has_masks:
        _check_mask(name, made, sample, first)
    require(before == dataclasses.asdict(sample), f"{name} changes a sample that it reads", "leave it as it is")


def _read(name: str, made: Dataset, sample: Sample) -> Image:
    hint = "return mcd.Image(pixels, maximum): maximum is the value that means white"
    with called(f"{name}.read() of image {sample.id}"):
        found: object = made.read(sample)
    if not isinstance(found, Image):
        raise ContractError(f"{name}.read() returned {kind_of(found)}, not a mcd.Image", hint)
    pixels: object = found.pixels
    known = isinstance(pixels, np.ndarray) and pixels.dtype.name in ("uint8", "uint16", "float32")
    dtype = pixels.dtype.name if isinstance(pixels, np.ndarray) else kind_of(pixels)
    require(known, f"the pixels of image {sample.id} of {name} are {dtype}", "give uint8, uint16 or float32")
    with called(f"image {sample.id} of {name}: mcd.Image.check()"):
        found.check()
    return found


def _check_mask(name: str, made: Dataset, sample: Sample, image: Image) -> None:
    with called(f"{name}.mask()"):
        mask: object = made.mask(sample, image)
    if mask is None:
        return
    fits = isinstance(mask, np.ndarray) and mask.dtype == bool and mask.shape == image.pixels.shape[:2]
    require(
        fits,
        f"the mask of image {sample.id} of {name} is no bool array of {image.pixels.shape[:2]}",
        "return True where the breast is, (H, W), as large as the image",
    )


def _first_kind(odd: Sequence[object]) -> str:
    return kind_of(odd[0]) if odd else ""
