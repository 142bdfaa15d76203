"""Image files say how they are meant, and are read so: orientation, depth, polarity, palette, transparency, pages."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.conftest import Outcome
from tests.plugins.cohorts.conftest import write_dicom
from tests.plugins.picture_files import chunk, orientation_chunk, packed_12_bits, png, tiff
from tests.study import harmful

import mcd
from mcd.errors import ConfigError, ImageError
from mcd.options import validate_options
from mcd.plugins import isolated
from mcd.study import isolation
from mcd.study.torch_images import TorchImages
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.datasets.pictures import picture_size

Array = np.ndarray

_RANDOM = np.random.default_rng(0)
GREY = _RANDOM.integers(0, 65535, (6, 4)).astype(np.uint16)
RGB = _RANDOM.integers(0, 65535, (6, 4, 3)).astype(np.uint16)
RGBA = _RANDOM.integers(0, 65535, (6, 4, 4)).astype(np.uint16)
TWELVE = _RANDOM.integers(0, 4096, (6, 4)).astype(np.uint16)
TWELVE[0, 0] = 4095
EIGHT = (GREY >> 8).astype(np.uint8)


def kind(value: object) -> str:
    """Return a name of a parameter that is no picture of bytes."""
    return type(value).__name__


def over_black(pixels: Array) -> Array:
    """Return colours with alpha as they look over black."""
    most = int(np.iinfo(pixels.dtype).max)
    shown = (pixels[..., :-1].astype(np.uint64) * pixels[..., -1:] + most // 2) // most
    return shown.astype(pixels.dtype)


def raw_profile(orientation: int) -> bytes:
    """Return EXIF as ImageMagick writes it into PNG: hexadecimal, below three lines."""
    exif = PIL.Image.Exif()
    exif[274] = orientation
    return b"\nexif\n%8d\n" % len(exif.tobytes()) + exif.tobytes().hex().encode()


def data_set(path: Path, **options: object) -> ImageFolder:
    return ImageFolder(validate_options(ImageFolder.Options, {"path": str(path), **options}, "data set 'images'"))


def read(content: bytes, folder: Path, **options: object) -> mcd.Image:
    """Return what the data set `images` makes of a file, after looking at it as a run does."""
    folder.mkdir(exist_ok=True)
    path = folder / "a.png"  # a wrong ending: the content decides
    path.write_bytes(content)
    data = data_set(path, **options)
    (sample,) = [data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample)]
    if isinstance(sample, mcd.Unreadable):
        raise ImageError(sample.reason)
    return data.read(sample)


def saved(picture: PIL.Image.Image, kind: str, **settings: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **settings)  # type: ignore[arg-type]  # whatever the format takes
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "expected", "white"),
    [
        (png(RGB), RGB, 65535),
        (png(RGBA), over_black(RGBA), 65535),
        (png(RGBA[..., 1:3]), over_black(RGBA[..., 1:3])[..., 0], 65535),
        (png(np.stack([GREY] * 3, 2)), GREY, 65535),
        (tiff(RGB, photometric=2), RGB, 65535),
        (tiff(RGB, photometric=2, order=">"), RGB, 65535),
        (tiff(RGBA, photometric=2, extra=2), over_black(RGBA), 65535),
        (tiff(RGBA, photometric=2, extra=0), RGBA[..., :3], 65535),  # the fourth is of no stated meaning
        (tiff(RGBA, photometric=2), RGBA[..., :3], 65535),
        (b"P6 4 6 65535\n" + RGB.astype(">u2").tobytes(), RGB, 65535),
        (b"P6 4 6 4095\n" + (RGB >> 4).astype(">u2").tobytes(), RGB >> 4, 4095),
    ],
    ids=kind,
)
def test_colours_keep_their_bits(content: bytes, expected: Array, white: float, tmp_path: Path) -> None:
    found = read(content, tmp_path)
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.maximum == white


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "made",
    [
        lambda o: png(GREY, orientation_chunk(o)),
        lambda o: png(RGB, orientation_chunk(o)),
        lambda o: png(EIGHT, orientation_chunk(o)),
        lambda o: png(EIGHT, chunk(b"tEXt", b"Raw profile type exif\0" + raw_profile(o))),
        lambda o: png(RGB, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b'<a tiff:Orientation="%d"/>' % o)),
        lambda o: tiff(GREY, orientation=o),
        lambda o: tiff(GREY, orientation=o, order=">"),
        lambda o: tiff(EIGHT, orientation=o),
        lambda o: tiff(RGB, photometric=2, orientation=o),
        lambda o: tiff(65535 - GREY, photometric=0, orientation=o),
    ],
)
def test_files_are_turned_upright_once(made: Callable[[int], bytes], orientation: int, tmp_path: Path) -> None:
    places = np.arange(24, dtype=np.uint8).reshape(6, 4)
    exif = PIL.Image.Exif()
    exif[274] = orientation
    by_pillow = PIL.ImageOps.exif_transpose(
        PIL.Image.open(io.BytesIO(saved(PIL.Image.fromarray(places), "PNG", exif=exif)))
    )
    plain, turned = read(made(1), tmp_path), read(made(orientation), tmp_path)
    flat = plain.pixels.reshape(24, *plain.pixels.shape[2:])
    np.testing.assert_array_equal(turned.pixels, flat[np.asarray(by_pillow)])
    assert picture_size(tmp_path / "a.png") == turned.pixels.shape[:2]


def test_a_jpeg_of_a_phone_is_turned_and_said(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[274] = 3  # upside down: left and right change places
    left = np.zeros((32, 32), np.uint8)
    left[:, :8] = 200
    found = read(saved(PIL.Image.fromarray(left), "JPEG", exif=exif), tmp_path)
    assert found.pixels[:, -8:].min() > 150 > found.pixels[:, :20].max()
    data = data_set(tmp_path)
    facts = [data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample)]
    assert isinstance(facts[0], mcd.Sample)
    assert facts[0].facts["orientation"] == "3"
    assert "1 image turned upright" in data.remarks()[0]


CLEAR = np.stack([EIGHT, EIGHT // 2, EIGHT // 3, np.where(np.eye(6, 4), 0, 255)], 2).astype(np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        png(CLEAR),
        saved(PIL.Image.fromarray(CLEAR), "WEBP", lossless=True, exact=True),
        tiff(CLEAR, photometric=2, extra=2),
    ],
    ids=kind,
)
def test_what_is_hidden_under_transparency_is_not_shown(content: bytes, tmp_path: Path) -> None:
    found = read(content, tmp_path)
    np.testing.assert_array_equal(found.pixels, np.where(CLEAR[..., 3:] == 0, 0, CLEAR[..., :3]))


def test_a_transparent_value_of_any_depth_is_black(tmp_path: Path) -> None:
    key = int(GREY[2, 2])
    found = read(png(GREY, chunk(b"tRNS", key.to_bytes(2, "big"))), tmp_path).pixels
    np.testing.assert_array_equal(found, np.where(key == GREY, 0, GREY))
    found = read(png(RGB, chunk(b"tRNS", RGB[2, 2].astype(">u2").tobytes())), tmp_path).pixels
    np.testing.assert_array_equal(found, np.where((RGB[2, 2] == RGB).all(axis=2)[..., None], 0, RGB))
    indices = PIL.Image.fromarray(np.tile(np.arange(4, dtype=np.uint8), (4, 1)), "P")
    indices.putpalette([90, 90, 90, 10, 10, 10, 200, 200, 200, 60, 60, 60])
    found = read(saved(indices, "PNG", transparency=2), tmp_path).pixels
    assert found[0].tolist() == [90, 10, 0, 60]
    with pytest.raises(ImageError, match="transparent everywhere"):
        read(png(np.stack([EIGHT, EIGHT * 0], 2)), tmp_path)


@pytest.mark.parametrize(
    ("content", "expected", "white"),
    [
        (tiff(GREY, photometric=0), 65535 - GREY, 65535),
        (tiff(EIGHT, photometric=0), 255 - EIGHT, 255),
        (tiff(packed_12_bits(TWELVE), bits=12, columns=4), TWELVE, 4095),
    ],
    ids=kind,
)
def test_a_tiff_is_read_by_its_own_tags(content: bytes, expected: Array, white: float, tmp_path: Path) -> None:
    found = read(content, tmp_path)
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.maximum == white
    assert found.negative is (white != 4095)


@pytest.mark.parametrize(
    ("content", "told", "expected"),
    [
        (tiff((GREY // 2).astype(np.int16), sample_format=2), "signed numbers of 16 bits", GREY // 2),
        (tiff((EIGHT // 2).astype(np.int8), sample_format=2), "signed numbers of 8 bits", EIGHT // 2),
        (tiff(TWELVE.astype(np.uint32)), "unsigned numbers of 32 bits", TWELVE),
        (tiff(TWELVE.astype(np.float32), sample_format=3), "floating-point numbers of 32 bits", TWELVE),
    ],
    ids=kind,
)
def test_samples_without_a_fixed_white_need_one(content: bytes, told: str, expected: Array, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"{told}, which have no fixed white; set white=VALUE"):
        read(content, tmp_path)
    found = read(content, tmp_path, white=40000)
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.maximum == 40000


def test_what_no_decoder_reads_faithfully_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="colours of 16 bits cannot be read at their depth"):
        read(tiff(RGB, photometric=2, planar=2), tmp_path)
    for content in (tiff(RGBA[..., :2], extra=2), tiff(GREY.astype(np.float64), sample_format=3)):
        with pytest.raises(ImageError, match="a TIFF whose samples are laid out in a way that cannot be read"):
            read(content, tmp_path)
    below = tiff((GREY.astype(int) - 30000).astype(np.int16), sample_format=2)
    with pytest.raises(ImageError, match="its values run from -"):
        read(below, tmp_path, white=40000)


@pytest.mark.parametrize("stored", [TWELVE, TWELVE << 4, TWELVE << 4 | TWELVE >> 8, np.rint(TWELVE * (65535 / 4095))])
def test_sbit_says_which_bits_of_a_png_count(stored: Array, tmp_path: Path) -> None:
    found = read(png(stored.astype(np.uint16), chunk(b"sBIT", bytes([12]))), tmp_path)
    np.testing.assert_array_equal(found.pixels, TWELVE)
    assert found.maximum == 4095


def test_an_sbit_that_the_samples_contradict_is_no_reason_to_change_them(tmp_path: Path) -> None:
    found = read(png(GREY, chunk(b"sBIT", bytes([12]))), tmp_path)
    np.testing.assert_array_equal(found.pixels, GREY)
    assert found.maximum == 65535


def test_bits_and_white_are_settings_of_every_data_set_of_files(tmp_path: Path) -> None:
    assert read(png(TWELVE), tmp_path).maximum == 65535
    assert read(png(TWELVE), tmp_path, bits=12).maximum == 4095
    assert read(png(EIGHT), tmp_path, bits=12).maximum == 255  # it has no more than 8
    assert read(png(EIGHT), tmp_path, white=4095).maximum == 255
    assert read(png(TWELVE), tmp_path, white=4095.0).maximum == 4095
    assert read(tiff(4095 - TWELVE, photometric=0), tmp_path, bits=12).pixels.tolist() == TWELVE.tolist()
    with pytest.raises(ImageError, match=r"outside 0…1023"):
        read(png(TWELVE), tmp_path, bits=10)
    with pytest.raises(ConfigError, match="give one of them"):
        data_set(tmp_path, bits=12, white=4095)
    assert data_set(tmp_path).decoding() != data_set(tmp_path, bits=12).decoding()


def pages(kind: str, *arrays: Array, **settings: object) -> bytes:
    first, *others = [PIL.Image.fromarray(one) for one in arrays]
    return saved(first, kind, save_all=True, append_images=others, **settings)


@pytest.mark.parametrize(
    "content",
    [
        pages("TIFF", EIGHT, EIGHT // 2, 255 - EIGHT),
        pages("PNG", EIGHT, EIGHT // 2, 255 - EIGHT),
        pages("GIF", EIGHT, EIGHT // 2, 255 - EIGHT),
        pytest.param(
            pages("MPO", EIGHT, EIGHT // 2, 255 - EIGHT, quality=100),
            marks=pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 11, reason="Pillow writes no valid MPO"),
        ),
    ],
    ids=kind,
)
def test_several_pictures_in_a_file_are_treated_as_dicom_treats_frames(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="it holds 3 pictures, not one; set frames="):
        read(content, tmp_path)
    wanted = {"first": EIGHT, "middle": EIGHT // 2, "maximum": np.maximum(EIGHT, 255 - EIGHT)}
    for frames, expected in wanted.items():
        np.testing.assert_allclose(read(content, tmp_path, frames=frames).pixels, expected, atol=3)


def test_a_smaller_copy_in_a_file_is_no_picture_of_its_own(tmp_path: Path) -> None:
    out = io.BytesIO()
    with PIL.TiffImagePlugin.AppendingTiffWriter(out) as writer:
        PIL.Image.fromarray(EIGHT).save(writer, "TIFF")
        writer.newFrame()
        PIL.Image.fromarray(EIGHT[::2, ::2]).save(writer, "TIFF", tiffinfo={254: 1})
        writer.newFrame()
    np.testing.assert_array_equal(read(out.getvalue(), tmp_path).pixels, EIGHT)


def test_a_sequence_of_pgm_pictures_is_not_taken_for_the_first(tmp_path: Path) -> None:
    one = b"P5 4 6 255\n" + EIGHT.tobytes()
    assert read(one, tmp_path).pixels.tolist() == EIGHT.tolist()
    with pytest.raises(ImageError, match="it holds 2 pictures"):
        read(one + one, tmp_path)
    assert read(one + one, tmp_path, frames="first").pixels.tolist() == EIGHT.tolist()


def test_what_is_no_picture_is_said_for_what_it_is(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm")
    jpeg = bytearray(saved(PIL.Image.fromarray(EIGHT), "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12  # the precision of its frame
    for content, said in (
        ((tmp_path / "a.dcm").read_bytes(), "it is a DICOM file"),
        (bytes(jpeg), "a JPEG of a kind that cannot be read, such as one of 12 bits"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it is a HEIF or AVIF file, which is not read; save it as PNG"),
        (b"<html>404</html>", "it is not an image"),
    ):
        with pytest.raises(ImageError, match=said):
            read(content, tmp_path / "p")


def test_the_range_of_an_image_is_that_without_its_letters() -> None:
    twelve = np.tile(TWELVE, (20, 20))
    assert mcd.Image(twelve, 65535.0).range_used < 0.1
    lettered = twelve.copy()
    lettered[:8, :8] = 65535
    assert mcd.Image(lettered, 65535.0).range_used < 0.1
    assert mcd.Image(twelve, 4095.0).range_used > 0.8
    assert mcd.Image(np.dstack([twelve] * 3), 4095.0).range_used > 0.8


def test_images_of_little_range_are_named_and_said(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    place = tmp_path / "twelve"
    place.mkdir()
    for at in range(3):
        (place / f"{at}.png").write_bytes(png(np.tile(np.roll(TWELVE, at), (8, 8))))
    check = ("data", "check", place, "--dataset", "images", "--workers", 0)
    said = " ".join(mcd_command(*check).out.split())
    assert "use less than a tenth of the range from black to white: 3" in said
    assert f"0.png: its values run from {TWELVE.min()} to 4095 of 65535; are bits or white to be set?" in said
    assert "tenth" not in mcd_command(*check, "--dataset-arg", "bits=12").out
    made = mcd_command(
        "embed", "--dataset", f"images:{place}", "--dissector", "phantom-clip", "-o", tmp_path / "a.safetensors"
    )
    assert "3 images use less than a tenth of the range from black to white" in " ".join(made.err.split())
    made = mcd_command(
        "preprocess", place, tmp_path / "out", "--dataset", "images", "--recipe", "dicom-standard", "--workers", 0
    )
    assert "3 images use less than a tenth" in " ".join(made.err.split())


@pytest.fixture
def dying_helper() -> Iterator[None]:
    """The helper process is killed while the next file is decoded, as if its decoder had done it."""
    helper = isolated(harmful.process).item()
    os.kill(helper, signal.SIGSTOP)
    end = threading.Thread(target=kill_when_asked, args=(helper,))
    end.start()
    yield
    end.join()


def kill_when_asked(helper: int) -> None:
    """Kill a helper that was stopped, once this process waits for it."""
    for _ in range(3000):
        threading.Event().wait(0.01)
        if isolation._state.lock.locked():
            break
    threading.Event().wait(0.05)
    os.kill(helper, signal.SIGKILL)


@pytest.mark.usefixtures("dying_helper")
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_decoder_that_dies_costs_one_picture(kind: str, tmp_path: Path) -> None:
    content = saved(PIL.Image.fromarray(EIGHT), kind)
    with pytest.raises(ImageError, match="the process that decodes it ended by SIGKILL; the file may be damaged"):
        read(content, tmp_path)
    assert read(content, tmp_path).pixels.shape[:2] == EIGHT.shape


@pytest.mark.usefixtures("dying_helper")
def test_a_decoder_that_dies_costs_one_picture_of_a_torch_data_set_that_opens_files(tmp_path: Path) -> None:
    content = saved(PIL.Image.fromarray(EIGHT), "PNG")
    data = TorchImages([PIL.Image.open(io.BytesIO(content)) for _ in range(2)])  # type: ignore[arg-type]  # has items
    lost, read = data.scan()
    assert isinstance(lost, mcd.Unreadable)
    assert "ended by SIGKILL" in lost.reason
    assert isinstance(read, mcd.Sample)


@pytest.mark.usefixtures("dying_helper")
def test_a_run_goes_on_without_the_picture_whose_decoder_died(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    place = tmp_path / "in"
    place.mkdir()
    for at in range(3):
        (place / f"{at}.png").write_bytes(png(np.tile(np.roll(EIGHT, at), (8, 8))))
    skipping = ("--recipe", "dicom-standard", "--workers", 0, "--on-error", "skip")
    made = mcd_command("preprocess", place, tmp_path / "out", "--dataset", "images", *skipping)
    assert made.code == 0
    said = " ".join(made.out.split())
    assert "0.png" in said
    assert "ended by SIGKILL" in said
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["1.png", "2.png"]


def test_no_other_program_decodes_a_picture(tmp_path: Path) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 6\n%%EndComments\nshowpage\n"
    with pytest.raises(ImageError, match="it is not an image"):
        read(eps, tmp_path)
