"""JPEG 2000 by the faster decoder: the pixels of GDCM, and GDCM itself wherever that is not certain."""

from __future__ import annotations

import io
import platform
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom.uid import JPEG2000

from mcd.errors import ImageError
from mcd.plugins import Limits, isolated
from mcd_plugins.dicom.codestream import checked_codestream, completed
from mcd_plugins.dicom.decoding import decoded, decoder_for
from mcd_plugins.dicom.layout import Layout

Grey = NDArray[np.integer]
pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="elsewhere GDCM decodes all of them"
)
END = b"\xff\xd9"


def drawn(rows: int, columns: int, bits: int, signed: bool, noise: float, seed: int) -> Grey:
    """Return waves with noise that fill the range of a depth."""
    top = (1 << bits) - 1
    y, x = np.mgrid[0:rows, 0:columns]
    rng = np.random.default_rng(seed)
    values = (np.sin(x / 7) + np.cos(y / 11) + 2) / 4 * top + rng.normal(0, noise * top + 0.5, (rows, columns))
    kind = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    return (values.clip(0, top).astype(np.int64) - ((1 << (bits - 1)) if signed else 0)).astype(kind)


# Six resolutions need 32 pixels, and no tile is narrower than 7: OpenJPEG's encoder may die of that.
side = st.builds(lambda eights, less: 8 * eights - less, st.integers(5, 11), st.integers(0, 1))
images = st.builds(
    drawn, side, side, st.integers(1, 16), st.booleans(), st.sampled_from((0.0, 0.02, 1.0)), st.integers(0, 99)
)
lossy = st.sampled_from(
    ({}, {"compression_ratios": [1]}, {"compression_ratios": [20, 5]}, {"signal_noise_ratios": [20, 40]})
)
ways = st.fixed_dictionaries(
    {"irreversible": st.booleans(), "num_resolutions": st.integers(1, 3)},
    optional={
        "tile_size": st.sampled_from(((32, 32), (40, 48), (64, 32))),
        "codeblock_size": st.sampled_from(((4, 64), (16, 16), (64, 64))),
        "progression": st.sampled_from(("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")),
        "quality_layers": st.sampled_from(([20], [40, 10, 2], [10, 1])),
        "precinct_size": st.just((64, 64)),
    },
)


def plain(pixels: Grey, how: dict[str, list[float]]) -> bytes:
    """Return a codestream of any depth and sign, one tile, six resolutions."""
    bits = max(1, int(np.ptp(pixels)).bit_length()) if pixels.dtype.kind == "u" else 8 * pixels.itemsize
    return bytes(encode_array(pixels, bits_stored=bits, codec_format=0, **how))


def various(pixels: Grey, how: dict[str, Any]) -> bytes:
    """Return a codestream of 16 bits, as Pillow writes many kinds."""
    out = io.BytesIO()
    PIL.Image.fromarray(pixels.astype(np.uint16)).save(out, "JPEG2000", no_jp2=True, **how)
    return out.getvalue()


def outcome(frame: bytes, decoder: str, options: dict[str, object]) -> object:
    """Return the pixels as bytes with their type and shape; None where the decoder fails."""
    try:
        found = isolated(decoded, frame, str(JPEG2000), decoder, options, limits=Limits(seconds=30))
    except ImageError:
        return None
    return found.dtype.str, found.shape, found.tobytes()


def both(frame: bytes, shape: tuple[int, int]) -> tuple[str, object, object]:
    """Return the decoder that is chosen for a frame, what it gives, and what GDCM gives."""
    stream = checked_codestream(frame, JPEG2000, Layout(*shape, 1, 1, 16, 16, 0, False, "MONOCHROME2"))
    assert stream is not None
    options = {"photometric_interpretation": "MONOCHROME2", "pixel_representation": int(bool(stream.signed))}
    options |= {"bits_stored": stream.precision, "bits_allocated": 16, "number_of_frames": 1, "samples_per_pixel": 1}
    options |= {"rows": shape[0], "columns": shape[1], "planar_configuration": 0, "correct_unused_bits": False}
    chosen = decoder_for(JPEG2000, frame, options)
    return chosen, outcome(frame, chosen, options), outcome(frame, "gdcm", options)


def assert_same(frame: bytes, pixels: Grey) -> None:
    chosen, ours, theirs = both(frame, pixels.shape)
    assert chosen == "pylibjpeg"
    assert ours == theirs is not None


@settings(max_examples=40, deadline=None)
@given(images, lossy)
def test_every_depth_and_sign_has_the_pixels_of_gdcm(pixels: Grey, how: dict[str, list[float]]) -> None:
    assert_same(plain(pixels, how), pixels)


@settings(max_examples=40, deadline=None)
@given(images, ways)
def test_tiles_levels_layers_and_orders_have_the_pixels_of_gdcm(pixels: Grey, how: dict[str, object]) -> None:
    assert_same(various(pixels, how), pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (5, 2), (31, 3)])
@pytest.mark.parametrize("irreversible", [False, True])
def test_the_smallest_images_have_the_pixels_of_gdcm(shape: tuple[int, int], irreversible: bool) -> None:
    pixels = drawn(*shape, 16, False, 0.02, 0)
    assert_same(various(pixels, {"irreversible": irreversible, "num_resolutions": 1}), pixels)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_image_has_the_pixels_of_gdcm_or_none(data: st.DataObject) -> None:
    pixels = drawn(64, 48, 12, False, 0.02, 0)
    tiled = data.draw(st.booleans())
    frame = bytearray(various(pixels, {"tile_size": (32, 32)}) if tiled else plain(pixels, {}))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(2, len(frame) - 3))] = data.draw(st.integers(0, 255))
    try:
        _, ours, theirs = both(completed(bytes(frame)), (64, 48))
    except ImageError:
        return  # before any decoder gets it
    assert ours is None or ours == theirs  # older releases of GDCM take more of what is damaged


def test_a_region_of_interest_has_the_pixels_of_gdcm() -> None:
    pixels = drawn(64, 48, 12, False, 0.02, 0)
    frame = plain(pixels, {})
    at = frame.index(b"\xff\x52")
    at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    assert_same(frame[:at] + b"\xff\x5e\0\5\0\0\x08" + frame[at:], pixels)  # RGN: shifted up by 8 bits


@pytest.mark.parametrize("missing", range(1, 5))
def test_gdcm_decides_of_an_image_that_lacks_its_last_bytes(missing: int) -> None:
    pixels = drawn(64, 48, 12, False, 0.02, 0)
    for frame in (plain(pixels, {}), plain(pixels, {"compression_ratios": [4]})):
        chosen, _, _ = both(frame[: -2 - missing] + END, (64, 48))
        assert chosen == "gdcm"


def test_gdcm_decodes_what_begins_elsewhere_on_its_grid() -> None:
    pixels = drawn(64, 48, 12, False, 0.02, 0)
    whole = various(pixels, {"offset": (20, 12), "tile_size": (128, 128)})
    chosen, ours, theirs = both(whole, (64, 48))
    assert chosen == "gdcm"
    assert ours == theirs == ("<u2", (64, 48), pixels.tobytes())


def test_gdcm_decodes_what_has_a_file_format_around_it() -> None:
    pixels = drawn(64, 48, 12, False, 0.02, 0)
    chosen, ours, _ = both(bytes(encode_array(pixels, bits_stored=12, codec_format=1)), (64, 48))
    assert chosen == "gdcm"
    assert ours == ("<u2", (64, 48), pixels.tobytes())
