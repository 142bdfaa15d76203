"""The data set ``imagenet-subset``: a text list of natural images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import mcd
from mcd.errors import DataError
from mcd_plugins.datasets.imagenet import ImageNetSubset

LIST = "n01440764/tench 1.JPEG 0\n\nn01440764\\tench2.JPEG\t0\n/far/away.JPEG 12\n"


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    for at, name in enumerate(("tench 1.JPEG", "tench2.JPEG")):
        path = tmp_path / "n01440764" / name
        path.parent.mkdir(exist_ok=True)
        PIL.Image.fromarray(np.random.default_rng(at).integers(0, 255, (9, 7, 3), dtype=np.uint8)).save(path)
    (tmp_path / "subset.txt").write_text(LIST)
    return tmp_path / "subset.txt"


def subset(path: Path, **options: object) -> ImageNetSubset:
    return ImageNetSubset(ImageNetSubset.Options.model_validate({"list": path, **options}))


def test_lines_become_samples_and_paths_may_hold_blanks(listing: Path) -> None:
    data = subset(listing)
    found = [one for one in data.scan() if isinstance(one, mcd.Sample)]
    assert len(data) == 3
    assert [one.id for one in found[:2]] == ["n01440764/tench 1.JPEG", "n01440764/tench2.JPEG"]
    assert found[2].id.startswith("outside-")
    assert [one.labels["label"] for one in found] == ["0", "0", "12"]
    assert {one.collection for one in found} == {"imagenet-subset"}
    assert not data.has_masks
    assert data.read(found[0]).pixels.shape == (9, 7, 3)
    assert isinstance(data.examine(found[0]), mcd.Sample)
    missing = data.examine(found[2])
    assert isinstance(missing, mcd.Unreadable)
    assert "the list names it" in missing.reason


def test_another_root_serves(listing: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    moved = listing.rename(tmp_path / "lists" / "subset.txt")
    data = subset(moved, root=tmp_path)
    found = [data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample)]
    assert [isinstance(one, mcd.Sample) for one in found] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a.JPEG 1\nb.JPEG\n", "row 2, column 'label': the label is missing"),
        (b"a.JPEG 1\nb.JPEG 2\n./a.JPEG 1\n", "row 3, column 'path': the file is that of row 1 again"),
        ("a.JPEG 1\nbé.JPEG 2\n".encode("latin-1"), "row 2: it is not UTF-8"),
        (b"\n", "names no image"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_row(listing: Path, text: bytes, said: str) -> None:
    listing.write_bytes(text)
    with pytest.raises(DataError) as caught:
        list(subset(listing).scan())
    assert "subset.txt" in caught.value.message
    assert said in caught.value.message


def test_a_missing_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no list .*none\.txt"):
        list(subset(tmp_path / "none.txt").scan())


def test_how_files_are_read_is_a_setting(tmp_path: Path) -> None:

    first, second = (PIL.Image.fromarray(np.full((8, 8), at, np.uint8) + np.eye(8, dtype=np.uint8)) for at in (10, 90))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    (tmp_path / "list.txt").write_text("a.tif 3\n")
    plain, chosen = (
        ImageNetSubset(ImageNetSubset.Options.model_validate({"list": tmp_path / "list.txt", **options}))
        for options in ({}, {"frames": "middle"})
    )
    assert ImageNetSubset.Options.primary() == "list"
    (sample,) = [one for one in plain.scan() if isinstance(one, mcd.Sample)]
    assert "it holds 2 pictures" in plain.examine(sample).reason
    assert chosen.read(sample).pixels.min() == 90
