"""What stored values are shown as: by hand after PS3.3, and beside pydicom wherever that is right."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian

import mcd
from mcd.errors import ImageError
from mcd_plugins.dicom.dataset import DicomFolder
from mcd_plugins.dicom.reading import DicomOptions, displayed, stored

Values = NDArray[np.float64]
Save = Callable[..., Path]


def shown(path: Path, **options: object) -> NDArray[np.uint16]:
    image = displayed(path, DicomOptions.model_validate(options))
    assert image.maximum == 65535
    assert image.pixels.dtype == np.uint16
    return image.pixels


def equal(found: NDArray[np.uint16], expected: Values) -> None:
    """All agree to the last of 65,536 levels."""
    assert np.abs(found - expected * 65535).max() <= 0.5 + 1e-4


def linear(x: float, c: float, w: float) -> float:
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 1.0
    return (x - (c - 0.5)) / (w - 1) + 0.5


def exact(x: float, c: float, w: float) -> float:
    return 0.0 if x <= c - w / 2 else 1.0 if x > c + w / 2 else (x - c) / w + 0.5


def sigmoid(x: float, c: float, w: float) -> float:
    return 1 / (1 + math.exp(-4 * (x - c) / w))


def each(function: Callable[[float], float]) -> Callable[[Values], Values]:
    return lambda values: np.array([function(float(one)) for one in values.ravel()]).reshape(values.shape)


FULL = each(lambda x: x / 4095)

REFERENCE: dict[str, tuple[dict[str, object], Callable[[Values], Values], bool]] = {
    "nothing": ({}, FULL, False),
    "linear by default": ({"WindowCenter": 2000, "WindowWidth": 1000}, each(lambda x: linear(x, 2000, 1000)), True),
    "linear by name": (
        {"WindowCenter": 1800.5, "WindowWidth": 333.25, "VOILUTFunction": "LINEAR"},
        each(lambda x: linear(x, 1800.5, 333.25)),
        True,
    ),
    "width 1 is a step": ({"WindowCenter": 2000, "WindowWidth": 1}, each(lambda x: linear(x, 2000, 1)), True),
    "linear exact": (
        {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"},
        each(lambda x: exact(x, 2000, 1000)),
        True,
    ),
    "sigmoid": (
        {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"},
        each(lambda x: sigmoid(x, 2000, 1000)),
        True,
    ),
    "a narrow sigmoid does not overflow": (
        {"WindowCenter": 2000, "WindowWidth": 0.01, "VOILUTFunction": "SIGMOID"},
        each(lambda x: float(x > 2000) if x != 2000 else 0.5),
        False,
    ),
    "an empty function is LINEAR": (
        {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": ""},
        each(lambda x: linear(x, 2000, 1000)),
        False,
    ),
    "the first of several windows": (
        {"WindowCenter": [2000, 1000], "WindowWidth": [1000, 500]},
        each(lambda x: linear(x, 2000, 1000)),
        True,
    ),
    "rescale before the window": (
        {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 3000, "WindowWidth": 500},
        each(lambda x: linear(2 * x - 100, 3000, 500)),
        True,
    ),
    "a falling rescale": (
        {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 3000, "WindowWidth": 500},
        each(lambda x: linear(4095 - x, 3000, 500)),
        False,
    ),
    "a slope alone": (
        {"RescaleSlope": 2, "WindowCenter": 3000, "WindowWidth": 500},
        each(lambda x: linear(2 * x, 3000, 500)),
        False,
    ),
    "an intercept alone": (
        {"RescaleIntercept": -100, "WindowCenter": 3000, "WindowWidth": 500},
        each(lambda x: linear(x - 100, 3000, 500)),
        False,
    ),
    "rescale without a window": ({"RescaleSlope": 0.5, "RescaleIntercept": 7}, FULL, False),
    "empty windows are none": ({"WindowCenter": "", "WindowWidth": ""}, FULL, False),
    "a width of 0 is no window": ({"WindowCenter": 2000, "WindowWidth": 0}, FULL, False),
    "a centre alone is no window": ({"WindowCenter": 2000}, FULL, False),
    "a width alone is no window": ({"WindowWidth": 2000}, FULL, False),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_table(name: str, saved: Save, ramp: NDArray[np.uint16]) -> None:
    changes, expected, pydicom_is_right = REFERENCE[name]
    path = saved(**changes)
    found = shown(path)
    equal(found, expected(ramp.astype(np.float64)))
    if pydicom_is_right:
        header = pydicom.dcmread(path)
        values = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header)
        slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
        equal(found, (values - intercept) / (4095 * slope))


def test_voi_index_picks_one_of_several_windows_and_says_when_there_are_fewer(
    saved: Save, ramp: NDArray[np.uint16]
) -> None:
    path = saved(WindowCenter=[2000, 1000], WindowWidth=[1000, 500])
    equal(shown(path, voi_index=1), each(lambda x: linear(x, 1000, 500))(ramp.astype(float)))
    for changes, number in (
        ({"WindowCenter": [9, 8], "WindowWidth": [2, 2]}, "2 windows"),
        ({"WindowCenter": 9, "WindowWidth": 2}, "1 window,"),
        ({}, "0 windows"),
    ):
        with pytest.raises(ImageError, match=number):
            shown(saved(**changes), voi_index=2)


def test_what_voi_is_asked_for_is_there_or_said_to_be_missing(
    saved: Save, lut: Callable[..., object], ramp: NDArray[np.uint16]
) -> None:
    entries = np.arange(4096, dtype=np.uint16)[::-1]
    both = saved(VOILUTSequence=lut(entries, 0, 12), WindowCenter=2000, WindowWidth=1000)
    equal(shown(both), each(lambda x: (4095 - x) / 4095)(ramp.astype(float)))
    equal(shown(both, voi="lut"), each(lambda x: (4095 - x) / 4095)(ramp.astype(float)))
    equal(shown(both, voi="window"), each(lambda x: linear(x, 2000, 1000))(ramp.astype(float)))
    equal(shown(both, voi="none"), FULL(ramp.astype(float)))
    neither = saved("b.dcm")
    for voi in ("lut", "window"):
        with pytest.raises(ImageError, match="it has no"):
            shown(neither, voi=voi)
    with pytest.raises(ImageError, match="cannot be used"):
        shown(saved(WindowCenter=2000, WindowWidth=0), voi="window")
    with pytest.raises(ImageError, match="VOILUTFunction"):
        shown(saved(WindowCenter=2000, WindowWidth=10, VOILUTFunction="BENT"))


@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("first", [0, 1000])
def test_voi_luts_of_any_depth_are_looked_up_whole(
    vr: str, bits: int, first: int, saved: Save, lut: Callable[..., object], ramp: NDArray[np.uint16]
) -> None:
    count = 2048
    entries = (np.arange(count) * ((1 << bits) - 1) // (count - 1)).astype(np.uint16)
    path = saved(VOILUTSequence=lut(entries, first, bits, vr))
    by_hand = each(lambda x: int(entries[min(max(int(x) - first, 0), count - 1)]) / ((1 << bits) - 1))
    equal(shown(path), by_hand(ramp.astype(float)))
    if bits > 8:  # pydicom 3.0.2 clips the index of longer 8-bit tables at 255
        header = pydicom.dcmread(path)
        equal(shown(path), apply_voi_lut(header.pixel_array, header) / ((1 << bits) - 1))


def test_eight_bit_luts_may_hold_two_entries_in_a_word(
    saved: Save, lut: Callable[..., object], ramp: NDArray[np.uint16]
) -> None:
    entries = (np.arange(4096) // 16).astype(np.uint8)
    equal(shown(saved(VOILUTSequence=lut(entries, 0, 8, "OW"))), each(lambda x: x // 16 / 255)(ramp.astype(float)))


def remarks(path: Path) -> str:
    data = DicomFolder(DicomFolder.Options(path=path))
    assert all(isinstance(one, mcd.Sample) for one in data.scan())
    return " ".join(data.remarks())


def test_a_lut_of_65536_entries_says_0(saved: Save, lut: Callable[..., object]) -> None:
    entries = np.arange(65536, dtype=np.uint16)[::-1].copy()
    pixels = np.array([[0, 1], [40000, 65535]], dtype=np.uint16)
    path = saved(pixels=pixels, BitsStored=16, HighBit=15, VOILUTSequence=lut(entries, 0, 16, "OW"))
    equal(shown(path), (65535.0 - pixels) / 65535)


def test_a_lut_may_start_below_zero(saved: Save, lut: Callable[..., object], ramp: NDArray[np.uint16]) -> None:
    entries = np.arange(4096, dtype=np.uint16)
    rescaled = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    path = saved(VOILUTSequence=lut(entries, -1000, 12), **rescaled)
    equal(shown(path), FULL(ramp.astype(float)))
    unsigned = lut(entries, 0, 12)
    unsigned[0]["LUTDescriptor"].value = [4096, 65536 - 1000, 12]
    equal(shown(saved(VOILUTSequence=unsigned, **rescaled)), FULL(ramp.astype(float)))


@pytest.mark.parametrize(
    ("highest", "declared", "bits"),
    [
        (4095, 16, 12),
        (255, 16, 8),
        (1023, 16, 10),
        (16383, 16, 14),
        (32767, 16, 15),
        (4000, 16, 12),
        (700, 12, 10),
        (65535, 8, 16),
        (65535, 12, 16),
        (60000, 16, 16),
        (20000, 16, 16),  # a table may end below white
        (4096, 12, 12),  # or be clipped at it
        (2000, 12, 12),
    ],
)
def test_white_of_a_lut_is_by_the_bits_that_it_holds(
    highest: int, declared: int, bits: int, saved: Save, lut: Callable[..., object], ramp: NDArray[np.uint16]
) -> None:
    entries = np.linspace(0, highest, 4096).round().astype(np.uint16)
    path = saved(VOILUTSequence=lut(entries, 0, declared))
    equal(shown(path), np.minimum(entries[ramp] / ((1 << bits) - 1), 1))
    assert ("another number of bits" in remarks(path)) is (bits != declared)


def test_a_modality_lut_and_a_palette_may_declare_too_many_bits_too(
    saved: Save, lut: Callable[..., object], ramp: NDArray[np.uint16]
) -> None:
    path = saved(ModalityLUTSequence=lut(np.arange(4096, dtype=np.uint16), 0, 16))
    equal(shown(path), FULL(ramp.astype(float)))
    assert "another number of bits" in remarks(path)
    path = saved(pixels=np.array([[0, 1], [2, 3]], dtype=np.uint8), BitsStored=8, HighBit=7)
    header = pydicom.dcmread(path)
    header.PhotometricInterpretation = "PALETTE COLOR"
    for name in ("Red", "Green", "Blue"):
        header.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [4, 0, 16])
        header.add_new(f"{name}PaletteColorLookupTableData", "OW", np.array([0, 9, 90, 255], "<u2").tobytes())
    header.save_as(path)
    assert shown(path).ravel().tolist() == [0, 9 * 257, 90 * 257, 65535]
    assert "another number of bits" in remarks(path)


def test_the_case_of_a_lut_that_says_16_bits_and_holds_12(shared: Path) -> None:
    assert shown(shared / "data/cases/voilut_says16_holds12.dcm").max() == 64751


def test_a_lut_that_is_cut_short_is_refused(saved: Save, lut: Callable[..., object]) -> None:
    short = lut(np.arange(100, dtype=np.uint16), 0, 12)
    short[0]["LUTDescriptor"].value = [4096, 0, 12]
    with pytest.raises(ImageError, match="LUTData holds 200 bytes, not the 4096 entries"):
        shown(saved(VOILUTSequence=short))


def test_a_modality_lut_comes_before_the_window(
    saved: Save, lut: Callable[..., object], ramp: NDArray[np.uint16]
) -> None:
    entries = (np.sqrt(np.arange(4096) / 4095) * 65535).astype(np.uint16)
    path = saved(ModalityLUTSequence=lut(entries, 0, 16), WindowCenter=30000, WindowWidth=20000)
    by_hand = each(lambda x: linear(float(entries[int(x)]), 30000, 20000))
    equal(shown(path), by_hand(ramp.astype(float)))
    equal(shown(path, voi="none"), each(lambda x: int(entries[int(x)]) / 65535)(ramp.astype(float)))


def test_min_max_stretches_each_image_without_its_padding(saved: Save, ramp: NDArray[np.uint16]) -> None:
    pixels = np.clip(ramp, 500, 3000)
    pixels[0, :5] = 0
    found = shown(saved(pixels=pixels, PixelPaddingValue=0), voi="min-max")
    expected = (np.maximum(pixels, 500).astype(float) - 500) / 2500
    equal(found, expected)
    assert found.max() == 65535


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_in_either_polarity(photometric: str, saved: Save) -> None:
    pixels = np.array([[0, 1, 2], [3, 4000, 4095]], dtype=np.uint16)
    kind = {"PhotometricInterpretation": photometric, "pixels": pixels}
    found = shown(saved(**kind, PixelPaddingValue=2))
    assert found[0, 2] == 0
    assert (found[0, :2] > 65000 if photometric == "MONOCHROME1" else found[1, 1:] > 64000).all()
    for ends in ((1, 3), (3, 1)):
        found = shown(saved(**kind, PixelPaddingValue=ends[0], PixelPaddingRangeLimit=ends[1]))
        assert not found[[0, 0, 1], [1, 2, 0]].any()
        assert found[1, 1] > 0
        assert photometric == "MONOCHROME2" or found[0, 0] > 0


def test_padding_is_compared_with_stored_values_before_the_rescaling(saved: Save) -> None:
    pixels = np.array([[10, 20], [30, 40]], dtype=np.uint16)
    found = shown(saved(pixels=pixels, RescaleSlope=1, RescaleIntercept=10, PixelPaddingValue=20))
    assert [one == 0 for one in found.ravel()] == [False, True, False, False]


def test_padding_may_be_written_with_the_other_sign_or_beyond_the_stored_bits(saved: Save) -> None:
    signed = np.array([[-2000, -5], [5, 100]], dtype=np.int16)
    path = saved(pixels=signed, BitsStored=16, HighBit=15)
    raw = pydicom.dcmread(path)
    raw.add_new("PixelPaddingValue", "US", 65536 - 2000)
    raw.save_as(path)
    assert [one == 0 for one in shown(path).ravel()] == [True, False, False, False]
    beyond = np.array([[65535, 4095], [5, 100]], dtype=np.uint16)
    found = shown(saved(pixels=beyond, PixelPaddingValue=65535))
    assert found[0].tolist() == [0, 65535]


def test_monochrome1_is_turned_once_whatever_the_presentation_lut_shape_says(
    saved: Save, ramp: NDArray[np.uint16]
) -> None:
    window = {"WindowCenter": 3000, "WindowWidth": 800}
    upside_down = each(lambda x: 1 - linear(x, 3000, 800))(ramp.astype(float))
    for shape in (None, "INVERSE", "IDENTITY"):
        equal(shown(saved(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=shape, **window)), upside_down)
        plain = saved(PresentationLUTShape=shape, **window)
        equal(shown(plain), 1 - upside_down)
    assert displayed(saved(PhotometricInterpretation="MONOCHROME1")).negative


def test_the_range_of_the_inversion_does_not_depend_on_the_image(saved: Save) -> None:
    kind = {"PhotometricInterpretation": "MONOCHROME1"}
    dim = shown(saved(pixels=np.array([[1000, 2000]], dtype=np.uint16), **kind))
    bright = shown(saved(pixels=np.array([[1000, 4000]], dtype=np.uint16), **kind))
    assert dim[0, 0] == bright[0, 0] == round((1 - 1000 / 4095) * 65535)


def twin(folder: Path, name: str, pixels: NDArray[np.uint16], bits: int, photometric: str, **window: object) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(name, {}, file_meta=meta, preamble=b"\0" * 128)
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PixelRepresentation = 1, 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, bits, bits - 1
    file.PhotometricInterpretation = photometric
    file.PixelData = pixels.tobytes()
    for key, value in window.items():
        setattr(file, key, value)
    file.save_as(folder / name, implicit_vr=False, little_endian=True)
    return folder / name


@settings(deadline=None, max_examples=30)
@given(
    bits=st.integers(8, 16),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    centre=st.integers(-100, 70000),
    width=st.one_of(st.sampled_from([2, 16, 256, 4095, 4096]), st.integers(2, 70000)),
)
@example(bits=12, function="LINEAR_EXACT", centre=2048, width=4096)  # every half level is met
@example(bits=8, function="LINEAR_EXACT", centre=10, width=255)  # a half level that rounding errors would tear apart
def test_a_monochrome1_twin_comes_out_bit_for_bit_the_same(bits: int, function: str, centre: int, width: int) -> None:
    pixels = np.arange(1 << bits, dtype=np.uint16).reshape(2, -1)
    middle = (1 << bits) - centre - (function != "LINEAR")
    window = {"WindowWidth": width, "VOILUTFunction": function}
    with tempfile.TemporaryDirectory() as folder:
        one = twin(Path(folder), "a", pixels, bits, "MONOCHROME2", WindowCenter=centre, **window)
        mirrored = (1 << bits) - 1 - pixels
        other = twin(Path(folder), "b", mirrored, bits, "MONOCHROME1", WindowCenter=middle, **window)
        np.testing.assert_array_equal(shown(one), shown(other))
        np.testing.assert_array_equal(stored(one).pixels, stored(other).pixels)


def test_stored_values_are_counted_from_the_lowest_and_keep_their_depth(saved: Save, ramp: NDArray[np.uint16]) -> None:
    image = stored(saved(WindowCenter=5, WindowWidth=5, RescaleSlope=3, RescaleIntercept=0, PixelPaddingValue=0))
    np.testing.assert_array_equal(image.pixels, ramp)
    assert image.maximum == 4095
    turned = stored(saved(PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(turned.pixels, 4095 - ramp)
    signed = np.array([[-2048, 0, 2047]], dtype=np.int16)
    np.testing.assert_array_equal(stored(saved(pixels=signed)).pixels, [[0, 2048, 4095]])


def test_a_rescaling_that_makes_no_sense_is_refused(saved: Save) -> None:
    with pytest.raises(ImageError, match="RescaleSlope is 0"):
        shown(saved(RescaleSlope=0, RescaleIntercept=0))
    path = saved(RescaleSlope="1.234567")
    path.write_bytes(path.read_bytes().replace(b"1.234567", b"ONE HALF"))
    with pytest.raises(ImageError, match="RescaleSlope is not what it should be") as caught:
        shown(path)
    assert "HALF" not in str(caught.value)
