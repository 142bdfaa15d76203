"""From a sample to the image that models get: recipe and cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless
from tests.plugins.cohorts.conftest import write_dicom, write_picture

import mcd
from mcd.errors import ImageError
from mcd.extraction.cache import ImageCache
from mcd.extraction.decoding import batches
from mcd.extraction.reading import Reader, read_checked
from mcd_plugins.datasets.combine import Combined
from mcd_plugins.datasets.csv_table import CsvTable
from mcd_plugins.datasets.imagenet import ImageNetSubset
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.dicom.dataset import DicomFolder


class Counted(mcd.Dataset):
    """Four images; says how often it decoded one."""

    has_masks = True

    def __init__(self, bright: float = 1.0) -> None:
        super().__init__()
        self.decoded, self.bright = 0, bright

    def __len__(self) -> int:
        return 4

    def scan(self) -> Iterator[mcd.Sample]:
        return iter([mcd.Sample(str(at), mcd.plugins.digest(str(at))) for at in range(4)])

    def decoding(self) -> str:
        return mcd.plugins.digest(str(self.bright))

    def read(self, sample: mcd.Sample) -> mcd.Image:
        self.decoded += 1
        pixels = np.random.default_rng(int(sample.id)).random((40, 30), dtype=np.float32) * self.bright
        return mcd.Image(pixels, 1.0)

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> np.ndarray:
        return image.pixels > 0.5


class Upper(mcd.Preprocessing):
    """Keeps the upper half."""

    rows: int = 20

    def picture(self, image: mcd.Image) -> mcd.Image:
        mask = None if image.mask is None else image.mask[: self.rows]
        return mcd.Image(image.pixels[: self.rows], image.maximum, image.negative, mask)


def test_what_is_cached_is_not_decoded_again_and_is_the_same(tmp_path: Path) -> None:
    data = Counted()
    samples = list(data.scan())
    plain = [Reader(data).image(one, "displayed") for one in samples]
    assert data.decoded == 4
    for _ in range(3):
        found = [Reader(data, cache=ImageCache(tmp_path, 10**6)).image(one, "displayed") for one in samples]
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(plain, found, strict=True))
    assert data.decoded == 8


def test_every_setting_that_decides_pixels_has_its_own_entry(tmp_path: Path) -> None:
    cache, sample = ImageCache(tmp_path, 10**6), next(Counted().scan())
    readers = [
        Reader(Counted(), cache=cache),
        Reader(Counted(0.5), cache=cache),
        Reader(Counted(), Upper(), cache),
        Reader(Counted(), Upper(rows=10), cache),
    ]
    found = [reader.image(sample, "displayed") for reader in readers]
    assert [one.pixels.shape[0] for one in found] == [40, 40, 20, 10]
    assert found[1].pixels.max() <= 0.5
    assert len({reader.fingerprint() for reader in readers}) == 4
    masked = readers[2].image(sample, "displayed", masked=True)
    assert masked.mask is not None
    assert np.array_equal(masked.mask, masked.pixels > 0.5)
    assert readers[2].image(sample, "displayed").mask is None
    again = readers[2].image(sample, "displayed", masked=True)  # out of the cache
    assert again.mask is not None
    assert np.array_equal(again.mask, masked.mask)


def test_the_recipe_says_what_of_a_file_is_read() -> None:
    model = mcd.Preprocessing(values="stored")
    assert Reader(Counted()).values(model) == "stored"
    assert Reader(Counted(), Upper()).values(model) == "displayed"


def test_a_recipe_that_leaves_nothing_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        Reader(Counted(), Upper(rows=0)).image(next(Counted().scan()), "displayed")


def test_a_file_is_read_once_to_examine_it_and_once_to_decode_it(tmp_path: Path, opened: list[str]) -> None:
    write_picture(tmp_path / "p" / "a.png", seed=1)
    write_dicom(tmp_path / "d" / "a.dcm", seed=1)
    compressed = pydicom.dcmread(tmp_path / "d" / "a.dcm")
    compressed.compress(RLELossless)
    compressed.save_as(tmp_path / "d" / "b.dcm")
    folders = [
        ImageFolder(ImageFolder.Options(path=tmp_path / "p")),
        DicomFolder(DicomFolder.Options(path=tmp_path / "d")),
    ]
    opened.clear()
    samples = [(data, one) for data in folders for one in data.scan() if isinstance(one, mcd.Sample)]
    assert opened == ["a.dcm", "b.dcm"]  # headers, which selections go by
    opened.clear()
    found = [(data, data.examine(one)) for data, one in samples]
    assert opened == ["a.png", "a.dcm", "b.dcm"]
    opened.clear()
    for data, one in found:
        assert isinstance(one, mcd.Sample)
        read_checked(data, one, "displayed")
    # The helper process opens what it decodes; a header says whether it is needed. Of an uncompressed file pydicom
    # returns the pixels alone: it is read once more for its digest.
    assert opened == ["a.dcm", "a.dcm", "a.dcm", "b.dcm"]


@pytest.mark.parametrize("made", ["images", "dicom", "csv", "combine", "imagenet"])
def test_a_file_that_changed_since_it_was_examined_is_refused_and_named(made: str, tmp_path: Path) -> None:
    write_picture(tmp_path / "p" / "a.png", seed=1)
    write_dicom(tmp_path / "d" / "a.dcm", seed=1)
    (tmp_path / "p" / "table.csv").write_text("path\na.png\n")
    (tmp_path / "p" / "list.txt").write_text("a.png 3\n")
    table, listed = tmp_path / "p" / "table.csv", tmp_path / "p" / "list.txt"
    data: mcd.Dataset = {
        "images": lambda: ImageFolder(ImageFolder.Options(path=tmp_path / "p")),
        "dicom": lambda: DicomFolder(DicomFolder.Options(path=tmp_path / "d")),
        "csv": lambda: CsvTable(CsvTable.Options(table=table, root=tmp_path / "p")),
        "combine": lambda: combined(ImageFolder(ImageFolder.Options(path=tmp_path / "p"))),
        "imagenet": lambda: ImageNetSubset(ImageNetSubset.Options(list=listed)),
    }[made]()
    (sample,) = [data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample)]
    assert isinstance(sample, mcd.Sample)
    read_checked(data, sample, "displayed")
    write_picture(tmp_path / "p" / "a.png", seed=2)
    write_dicom(tmp_path / "d" / "a.dcm", seed=2)
    with pytest.raises(ImageError, match="it has changed since it was examined"):
        read_checked(data, sample, "displayed")
    (batch,) = batches(Reader(data), [sample], {"x": mcd.Preprocessing()}, [[0]], workers=0, pin=False)
    assert "it has changed" in batch.failed[0][1]  # which the sweep says with the name of the file


def combined(part: mcd.Dataset) -> Combined:
    made = Combined(Combined.Options.model_validate({"parts": ["images:x"]}))
    made.assemble([part])
    return made
