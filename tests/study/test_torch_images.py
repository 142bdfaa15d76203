"""Torch data sets as people write them: what each item means is known, or one sentence says why not."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from tests.plugins.picture_files import orientation_chunk, png, tiff
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

import mcd
from mcd.errors import ConfigError, ImageError, MCDError, PluginError, UsageError
from mcd.extraction.probe import count_images
from mcd.host import PluginHost
from mcd.study.objects import as_concepts, as_dataset
from mcd.study.preparer import Preparer
from mcd.study.torch_images import TorchImages

_RANDOM = np.random.default_rng(0)
EIGHT = _RANDOM.integers(0, 256, (6, 4)).astype(np.uint8)
COLOURS = _RANDOM.integers(0, 256, (6, 4, 3)).astype(np.uint8)
TWELVE = _RANDOM.integers(300, 4096, (6, 4)).astype(np.int64)
BELOW_ONE = _RANDOM.random((6, 4), dtype=np.float32)


def images(items: object, *, pickled: bool = False) -> list[mcd.Image]:
    """Return what a run reads of a data set; ``pickled`` as a worker process gets it."""
    data = Preparer(PluginHost([], {})).dataset(as_dataset(items))[0]  # type: ignore[arg-type]  # what people give
    listed = list(data.scan())
    broken = [one.reason for one in listed if isinstance(one, mcd.Unreadable)]
    if broken:
        raise ImageError(broken[0])
    worker = pickle.loads(pickle.dumps(data)) if pickled else data
    return [worker.read(one) for one in listed if isinstance(one, mcd.Sample)]


def picture(array: np.ndarray, mode: str) -> PIL.Image.Image:
    return PIL.Image.fromarray(array).convert(mode)


def opened(content: bytes) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    "item",
    [
        torch.from_numpy(EIGHT),
        torch.from_numpy(EIGHT)[None],
        torch.from_numpy(EIGHT)[..., None],
        torch.from_numpy(EIGHT)[None, None],
        EIGHT,
        EIGHT[None],
        EIGHT[..., None],
        (EIGHT, 1),
        [torch.from_numpy(EIGHT), {"label": 1}],
        {"image": EIGHT, "label": 2},
        {"lab": 1, "img": EIGHT[None]},
        ({"img": EIGHT}, 0),
        picture(EIGHT, "L"),
        {"image": picture(EIGHT, "RGB")},
        picture(EIGHT, "LA"),
        picture(EIGHT, "RGBA"),
    ],
)
def test_a_grey_item_is_one_in_whatever_it_is_wrapped(item: object) -> None:
    (found,) = images([item], pickled=True)
    np.testing.assert_array_equal(found.pixels, EIGHT)
    assert found.maximum == 255


@pytest.mark.parametrize(
    "item", [COLOURS, COLOURS.transpose(2, 0, 1), torch.from_numpy(COLOURS), torch.from_numpy(COLOURS).permute(2, 0, 1)]
)
def test_colours_come_first_or_last(item: object) -> None:
    np.testing.assert_array_equal(images([item])[0].pixels, COLOURS)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_every_kind_lie_in_0_to_1(kind: torch.dtype) -> None:
    (found,) = images([torch.from_numpy(BELOW_ONE).to(kind)[None]])
    assert found.maximum == 1
    np.testing.assert_allclose(found.pixels, BELOW_ONE, atol=0.004)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint32, np.uint64])
@pytest.mark.parametrize("shift", [0, 2])
def test_integers_have_the_white_of_the_whole_data_set_and_that_is_said(kind: type, shift: int) -> None:
    items = [(TWELVE << shift).astype(kind), (TWELVE >> 6).astype(kind)]
    bright, dark = images(items, pickled=True)
    assert bright.maximum == dark.maximum == (4095 << shift | (3 if shift else 0))
    np.testing.assert_array_equal(dark.pixels, TWELVE >> 6)
    data = TorchImages(items)
    list(data.scan())
    assert f"{bright.maximum:g} was taken" in data.remarks()[0]
    assert not TorchImages([EIGHT]).remarks()


def test_the_white_of_integers_is_part_of_what_they_are_stored_under() -> None:
    alone, among = (list(TorchImages(items).scan()) for items in ([TWELVE >> 6], [TWELVE >> 6, TWELVE]))
    assert alone[0].digest != among[0].digest


def test_bools_and_pictures_of_one_bit() -> None:
    mask = EIGHT > 100
    for item in (mask, torch.from_numpy(mask)[None], PIL.Image.fromarray(mask)):
        (found,) = images([item])
        np.testing.assert_array_equal(found.pixels > 0, mask)
        assert found.pixels.max() == found.maximum


def test_pil_images_are_read_as_files_are() -> None:
    indices = PIL.Image.fromarray(np.tile(np.arange(4, dtype=np.uint8), (4, 1)), "P")
    indices.putpalette([10, 10, 10, 250, 250, 250, 90, 90, 90, 170, 170, 170])
    assert images([indices])[0].pixels[0].tolist() == [10, 250, 90, 170]
    deep = COLOURS.astype(np.uint16) * 257 - COLOURS % 7
    np.testing.assert_array_equal(images([opened(png(deep))])[0].pixels, deep)
    turned = images([opened(png(EIGHT, orientation_chunk(6)))])[0].pixels
    np.testing.assert_array_equal(turned, np.rot90(EIGHT, -1))
    np.testing.assert_array_equal(
        images([opened(tiff(EIGHT.astype(np.uint16), photometric=0))])[0].pixels, 65535 - EIGHT.astype(int)
    )
    clear = np.dstack([COLOURS, np.where(np.eye(6, 4), 0, 255)]).astype(np.uint8)
    assert (images([PIL.Image.fromarray(clear)])[0].pixels[clear[..., 3] == 0] == 0).all()
    assert images([PIL.Image.fromarray(TWELVE.astype(np.int32))])[0].maximum == 4095  # mode I, of no file


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (COLOURS[..., :2], "neither"),
        (np.dstack([COLOURS, EIGHT]), "of RGBA give the colours over black"),
        ("a.png", "a str is not an image"),
        (None, "a NoneType is not an image"),
        ({"scan_path": "a.png"}, "none of its keys (scan_path) is 'image' or 'img'"),
        (torch.zeros(4, 4, dtype=torch.complex64), "complex numbers"),
        (torch.zeros(4, 4, device="meta"), "its tensor cannot be read"),
        (TWELVE - 1000, "outside 0…4095 (black is 0"),
        (BELOW_ONE * 255, "outside 0…1"),
        (np.zeros((0, 4), np.uint8), "no pixel"),
        (np.array(["a"]), "not understood"),
    ],
)
def test_what_is_no_image_is_said_in_one_sentence(item: object, said: str) -> None:
    with pytest.raises(ImageError) as caught:
        images([item])
    assert said in caught.value.message


class Failing(TorchDataset[object]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, row: int) -> object:
        if row:
            raise KeyError("no such file")
        return EIGHT


def test_what_a_data_set_raises_is_told_of_the_item() -> None:
    good, bad = TorchImages(Failing()).scan()
    assert isinstance(good, mcd.Sample)
    assert bad == mcd.Unreadable("item 1", "reading it raises KeyError: 'no such file'")


class Augmented(TorchDataset[object]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, row: int) -> object:
        return torch.rand(3, 8, 8)


def test_an_item_that_changes_is_no_probe_image() -> None:
    with pytest.raises(ImageError, match="it is not what it was when it was first read"):
        images(Augmented())


class Stream(IterableDataset[object]):
    def __iter__(self):
        return iter([EIGHT])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (DataLoader(TensorDataset(torch.zeros(2, 3, 4, 4))), "loader.dataset"),
        (Failing, "create one: Failing(…)"),
        (Path("pngs"), "images:DIR"),
        (Stream(), "map-style"),
        (iter([EIGHT]), "map-style"),
        (3, "an int is not a data set"),
        ({"train": [EIGHT]}, "a mapping is not a data set"),
    ],
)
def test_what_is_no_data_set_is_said_with_what_to_give(value: object, said: str) -> None:
    with pytest.raises(MCDError) as caught:
        images(value)
    assert said in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("item", "several"),
    [
        ([torch.rand(3, 8, 8), torch.rand(3, 8, 8)], True),
        ({"images": [EIGHT, EIGHT], "label": 1}, True),
        (((PIL.Image.fromarray(EIGHT), PIL.Image.fromarray(EIGHT)), 3), True),
        ((torch.rand(3, 8, 8), torch.zeros(1, 8, 8)), False),
        ((torch.rand(3, 8, 8), 3), False),
        ({"image": EIGHT, "mask": EIGHT}, False),
        (EIGHT, False),
    ],
)
def test_several_views_in_an_item_are_a_remark(item: object, several: bool) -> None:
    data = TorchImages([item, item])  # type: ignore[arg-type]  # a list is a data set too
    assert len(list(data.scan())) == 2
    assert ["2 items hold several images of one shape" in one for one in data.remarks()] == ([True] if several else [])


def test_a_length_that_raises_is_one_sentence() -> None:
    class Closed(list[object]):
        def __len__(self) -> int:
            raise RuntimeError("the database is closed")

    with pytest.raises(PluginError, match="cannot be counted: RuntimeError: the database is closed"):
        count_images(TorchImages(Closed([EIGHT])))  # type: ignore[arg-type]  # as above


def test_lists_and_tensors_are_data_sets_too() -> None:
    assert len(images(torch.rand(3, 1, 4, 4))) == 3
    assert len(images(TensorDataset(torch.rand(3, 1, 4, 4), torch.arange(3)))) == 3


def test_concepts_by_category_are_categories() -> None:
    made, _ = as_concepts(Preparer(PluginHost([], {})), {"masses": ["mass", "cyst"], "other": ["skin"]})
    assert [(one.category, one.term) for one in made.concepts] == [
        ("masses", "mass"),
        ("masses", "cyst"),
        ("other", "skin"),
    ]
    table = mcd.label(
        _RANDOM.random((8, 2)),
        _RANDOM.random((8, 2)),
        {"masses": ["mass", "cyst"]},
        scorer="cosine",
        calibration={"draws": 0},
    )
    assert set(table["category"]) == {"masses"}
    for wrong in ({"masses": "mass"}, {"masses": []}, {"a": ["mass"], "b": ["mass"]}, {"a": [{"mass": 1}]}):
        with pytest.raises(ConfigError):
            as_concepts(Preparer(PluginHost([], {})), wrong)


def test_concepts_are_words_or_sets_of_words_not_both_and_a_set_has_one_order() -> None:
    nothing = Preparer(PluginHost([], {}))
    assert [one.term for one in as_concepts(nothing, {"mass", "cyst", "skin"})[0].concepts] == ["cyst", "mass", "skin"]
    for wrong, said in (
        (["mass", {"plugin": "birads"}], "'mass' is a word, beside it are concept sets"),
        (["mass", 3], "3 is no concept"),
        (3, "concepts cannot be of type int"),
    ):
        with pytest.raises(ConfigError, match=said):
            as_concepts(nothing, wrong)  # type: ignore[arg-type]  # what people give
    columns = _RANDOM.random((8, 2))
    with pytest.raises(UsageError, match="nobody knows which column is whose"):
        mcd.label(columns, columns, {"mass", "cyst"}, scorer="cosine")  # type: ignore[arg-type]  # what people give
    with pytest.raises(ConfigError, match="a mapping is not a data set"):
        as_dataset({0: EIGHT})
