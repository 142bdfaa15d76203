"""From a sample to an image: decoded, made by the run's recipe, kept in the cache."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample
from mcd.api.image import Image, Preprocessing
from mcd.errors import ImageError
from mcd.extraction.breast import find_breast
from mcd.extraction.cache import ImageCache
from mcd.networks.foreign import calling
from mcd.networks.identity import Identity, identity_of
from mcd.version import __version__

__all__ = ["LITTLE_RANGE", "Reader", "little_range_warning", "own", "read_checked"]

LITTLE_RANGE = 0.1
"""An image that uses less of the range from black to white than this is worth a remark."""


@dataclass(frozen=True)
class Reader:
    """Reads the images of a data set as the models of a run get them.

    Parameters
    ----------
    dataset
        Where they come from.
    recipe
        Its `picture` is made of every image before a model's own preprocessing sees it. What of a DICOM file is
        read is then the recipe's to say, not the models'.
    cache
        Where made images are kept. It is not used where data set or recipe cannot be identified.

    Attributes
    ----------
    identity
        What decides how images are read, all but their bytes.
    """

    dataset: Dataset
    recipe: Preprocessing | None = None
    cache: ImageCache | None = None
    identity: Identity = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # once, and before any image is listed: a data set may keep what it has read
        object.__setattr__(self, "identity", identity_of(self.dataset, self.recipe, read_checked))

    @property
    def problem(self) -> str:
        """What keeps this process from using the cache; empty while all is well."""
        return self.cache.problem if self.cache is not None else ""

    def fingerprint(self) -> str:
        """Return a digest of all but the bytes of the images that decides what is read."""
        return digest("image/1", __version__, self.identity.key)

    def values(self, preprocessing: Preprocessing) -> str:
        """Return what of a DICOM file a model gets: ``"displayed"`` or ``"stored"``."""
        return (self.recipe or preprocessing).values

    def image(self, sample: Sample, values: str, *, masked: bool = False) -> Image:
        """Return an image, with its breast mask where ``masked``.

        Raises
        ------
        mcd.errors.ImageError
            When it cannot be decoded, is blank or otherwise of no use.
        """
        if self.cache is None or not self.keeps(sample):
            return self._made(sample, values, masked=masked)
        key = self.key(sample, values, masked)
        found = self.cache.get(key)
        if found is None:
            found = self._made(sample, values, masked=masked)
            self.cache.put(key, found)
        return found

    def keeps(self, sample: Sample) -> bool:
        """Say whether an image can be kept: where it and all that decides how it is read can be identified."""
        return bool(sample.digest) and not self.identity.unknown

    def key(self, sample: Sample, values: str, masked: bool) -> str:
        """Return the key of an image in the cache."""
        return digest(self.fingerprint(), sample.digest, values, str(masked))

    def _made(self, sample: Sample, values: str, *, masked: bool) -> Image:
        image = read_checked(self.dataset, sample, values, masked=masked)
        if self.recipe is None:
            return image
        made = self.recipe.picture(own(image, self.recipe))
        made.check()
        return made if masked else replace(made, mask=None)


def own(image: Image, recipe: Preprocessing) -> Image:
    """Return an image that a recipe may change: others are given the same one, and a data set may keep its pixels."""
    if type(recipe) is Preprocessing:  # changes nothing in place
        return image
    return replace(image, pixels=image.pixels.copy(), mask=None if image.mask is None else image.mask.copy())


def little_range_warning(count: int) -> str:
    """Return the remark about so many images that are nearly of one brightness to a model."""
    images = "1 image uses" if count == 1 else f"{count} images use"
    return (
        f"{images} less than a tenth of the range from black to white. Where files hold fewer bits than they say, such "
        "as 12 in 16, set bits or white of the data set; mcd data check names them"
    )


def read_checked(dataset: Dataset, sample: Sample, values: str, *, masked: bool = False) -> Image:
    """Decode one image, with ``"displayed"`` or ``"stored"`` values, and make sure that a model can use it.

    With ``masked``, it carries its breast mask.

    Raises
    ------
    mcd.errors.ImageError
        When it cannot be decoded, is blank or otherwise of no use, or is not what the sample's digest is of.
    """
    with calling("it cannot be read", kind=ImageError):  # a data set's own code
        image = dataset.read_stored(sample) if values == "stored" else dataset.read(sample)
    image.check()
    same = not sample.digest or image.digest == sample.digest  # of the very bytes that were decoded
    if not same and dataset.current_digest(sample) not in ("", sample.digest):
        raise ImageError(
            "it has changed since it was examined: its bytes are others now",
            "run again when nothing writes to the data set",
        )
    if not masked:
        return image
    mask = dataset.mask(sample, image)
    if mask is None:
        mask = find_breast(image.pixels, image.maximum).mask
    if mask.shape != image.pixels.shape[:2]:
        raise ImageError(f"its breast mask is {mask.shape}, the image {image.pixels.shape[:2]}")
    return replace(image, mask=mask)
