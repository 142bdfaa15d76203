"""The data set ``images``: every depth kept, every broken file named."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mcd
from mcd.errors import DataError, ImageError
from mcd_plugins.datasets.images import ImageFolder


def folder(path: Path, **options: object) -> ImageFolder:
    return ImageFolder(ImageFolder.Options.model_validate({"path": path, **options}))


def looked_at(data: mcd.Dataset) -> list[mcd.Sample | mcd.Unreadable]:
    return [data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample)]


def samples(data: mcd.Dataset) -> list[mcd.Sample]:
    return [one for one in looked_at(data) if isinstance(one, mcd.Sample)]


RAMP = np.arange(12 * 10).reshape(12, 10)


@pytest.mark.parametrize(
    ("name", "picture", "expected", "maximum"),
    [
        ("a.png", Image.fromarray(RAMP.astype(np.uint8)), RAMP, 255),
        ("a.png", Image.fromarray((RAMP * 500).astype(np.uint16)), RAMP * 500, 65535),
        ("a.tif", Image.fromarray((RAMP * 500).astype(np.uint16)), RAMP * 500, 65535),
        ("a.bmp", Image.fromarray(RAMP.astype(np.uint8)), RAMP, 255),
        ("a.PNG", Image.fromarray(np.stack([RAMP] * 3, 2).astype(np.uint8)), RAMP, 255),
        ("a.png", Image.fromarray(RAMP.astype(np.uint8)).convert("P"), RAMP, 255),
        (
            "a.png",
            Image.fromarray(np.stack([RAMP, RAMP * 2, RAMP], 2).astype(np.uint8)),
            np.stack([RAMP, RAMP * 2, RAMP], 2),
            255,
        ),
    ],
)
def test_pixels_come_as_they_were_saved(
    name: str,
    picture: Image.Image,
    expected: np.ndarray,
    maximum: float,
    tmp_path: Path,
) -> None:
    picture.save(tmp_path / name)
    data = folder(tmp_path)
    image = data.read(samples(data)[0])
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.maximum == maximum


def test_files_come_in_the_order_of_their_paths_with_digests_of_their_content(tmp_path: Path) -> None:
    for name, value in (("b/Miller.png", 1), ("a.png", 2), ("b/copy.png", 1), ("c/x.jpg", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray((RAMP + value).astype(np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    first, miller, copy, last = samples(folder(tmp_path))
    assert [Path(one.source).name for one in (first, miller, copy, last)] == [
        "a.png",
        "Miller.png",
        "copy.png",
        "x.jpg",
    ]
    assert [one.id for one in (first, miller, copy, last)] == ["a.png", "b/Miller.png", "b/copy.png", "c/x.jpg"]
    assert copy.digest == miller.digest
    (tmp_path / "a.png").unlink()
    assert samples(folder(tmp_path))[0] == miller  # nothing of a sample depends on the other files


def test_the_data_set_crosses_process_boundaries(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "a.png")
    data = folder(tmp_path)
    assert samples(pickle.loads(pickle.dumps(data))) == samples(data)


def test_broken_files_are_named_with_the_reason(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "good.png")
    data = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[:60])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "page.png").write_text("<html>404</html>")
    found = {Path(one.source).name: one for one in looked_at(folder(tmp_path))}
    assert {name: one.reason for name, one in found.items() if isinstance(one, mcd.Unreadable)}.keys() == {
        "cut.png",
        "empty.png",
        "page.png",
    }
    assert found["empty.png"] == mcd.Unreadable(str(tmp_path / "empty.png"), "the file is empty")


def test_a_jpeg_cut_short_is_refused_when_it_is_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    data = folder(tmp_path)
    with pytest.raises(ImageError, match="cannot be decoded"):
        data.read(samples(data)[0])


def test_a_folder_without_images_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no PNG, JPEG, TIFF, BMP or PGM file in .*: it holds no files"):
        len(folder(tmp_path))
    with pytest.raises(DataError, match="there is no folder"):
        len(folder(tmp_path / "nowhere"))
