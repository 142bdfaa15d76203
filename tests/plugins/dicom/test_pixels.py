"""How pixels are laid out and packed: every transfer syntax gives the same values, and what cannot be read says why."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

import mcd
from mcd.errors import ImageError
from mcd_plugins.dicom.reading import DicomOptions, displayed, examined, looks_like_dicom, stored

Save = Callable[..., Path]

NATIVE = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
PACKED = (RLELossless, JPEGLSLossless, JPEG2000Lossless)


def options(**values: object) -> DicomOptions:
    return DicomOptions.model_validate(values)


def sample(path: Path) -> mcd.Sample:
    return mcd.Sample("a", source=str(path))


@pytest.mark.parametrize("syntax", [*NATIVE, *PACKED], ids=lambda one: one.name)
@pytest.mark.parametrize("depth", ["u1", "u2", "i2"])
def test_every_syntax_gives_the_stored_values(syntax: str, depth: str, saved: Save, ramp: NDArray[np.uint16]) -> None:
    pixels = {"u1": (ramp // 16).astype(np.uint8), "u2": ramp, "i2": (ramp.astype(np.int32) - 2048).astype(np.int16)}[
        depth
    ]
    path = saved(pixels=pixels, syntax=syntax)
    expected = pixels.astype(int) + (2048 if depth == "i2" else 0)
    np.testing.assert_array_equal(stored(path).pixels, expected)
    np.testing.assert_array_equal(displayed(path).pixels, np.floor(expected / expected.max() * 65535 + 0.5))
    assert isinstance(examined(sample(path)), mcd.Sample)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *PACKED], ids=lambda one: one.name)
@pytest.mark.parametrize("depth", ["u2", "i2"])
def test_unused_bits_take_no_part_whatever_the_decoder(syntax: str, depth: str, saved: Save) -> None:
    pixels = np.tile(np.array([[0x0123, 0x3123], [0xF7FF, 0x0ABC]], dtype=np.uint16), (32, 32))
    path = saved(
        pixels=pixels.view(depth), syntax=syntax, BitsStored=16, HighBit=15, after={"BitsStored": 12, "HighBit": 11}
    )
    expected = np.array([[0x123, 0x123], [0x7FF, 0xABC]])
    if depth == "i2":
        expected = np.array([[0x123, 0x123], [0x7FF, 0xABC - 0x1000]]) + 2048
    np.testing.assert_array_equal(stored(path, options(depth_from="header")).pixels, np.tile(expected, (32, 32)))
    with pytest.raises(ImageError, match="beyond the 12 stored"):
        stored(path, options(unused_bits="refuse", depth_from="header"))


def test_a_sign_that_fills_the_unused_bits_and_padding_there_are_no_strangers(saved: Save) -> None:
    strict = options(unused_bits="refuse")
    signed = np.array([[-2048, -1], [0, 2047]], dtype=np.int16)
    np.testing.assert_array_equal(stored(saved(pixels=signed), strict).pixels, signed + 2048)
    padded = np.array([[65535, 1], [2, 3]], dtype=np.uint16)
    assert displayed(saved(pixels=padded, PixelPaddingValue=65535), strict).pixels[0, 0] == 0


def test_values_may_lie_at_the_top_of_the_pixel_cell(saved: Save, ramp: NDArray[np.uint16]) -> None:
    path = saved(pixels=(ramp << 4) | 5, HighBit=15)
    np.testing.assert_array_equal(stored(path).pixels, ramp)
    with pytest.raises(ImageError, match="contradicts itself"):
        stored(saved(HighBit=3))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "1 bit a pixel"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 bits a pixel"),
        ({"BitsAllocated": None}, "does not say BitsAllocated"),
        ({"BitsStored": 17, "HighBit": 16}, "contradicts itself"),
        ({"PixelRepresentation": None}, "does not say PixelRepresentation"),
        ({"PhotometricInterpretation": None}, "does not say PhotometricInterpretation"),
        ({"PhotometricInterpretation": "MILLER"}, "none that can be read"),
        ({"SamplesPerPixel": 3}, "MONOCHROME2 with 3 samples"),
        ({"Rows": None}, "no image"),
        ({"Columns": 0}, "no image"),
        ({"NumberOfFrames": 40}, "40 frames"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "FOR PROCESSING"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}, "FOR PROCESSING"),
        ({"PixelData": None, "FloatPixelData": b"\0" * 4 * 1920}, "floating-point"),
    ],
)
def test_what_is_no_single_grey_image_is_refused_with_the_reason(
    changes: dict[str, object], reason: str, saved: Save, tmp_path: Path
) -> None:
    if "PixelData" in changes:
        path = saved()
        header = pydicom.dcmread(path)
        del header.PixelData
        header.FloatPixelData = changes["FloatPixelData"]
        header.save_as(path)
    else:
        path = saved(**changes)
    with pytest.raises(ImageError, match=reason) as caught:
        displayed(path)
    assert "MILLER" not in str(caught.value)
    found = examined(sample(path))
    assert isinstance(found, mcd.Unreadable)
    assert reason in found.reason


@pytest.mark.parametrize("frames", ["", 0, None, 1])
def test_no_number_of_frames_is_one_frame(frames: object, saved: Save, ramp: NDArray[np.uint16]) -> None:
    np.testing.assert_array_equal(stored(saved(NumberOfFrames=frames)).pixels, ramp)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda one: one.name)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_several_frames_become_one_as_asked(
    syntax: str, photometric: str, saved: Save, ramp: NDArray[np.uint16]
) -> None:
    volume = np.stack([np.roll(ramp, shift, axis=0) for shift in range(5)])
    path = saved(
        pixels=volume, syntax=syntax, NumberOfFrames=5, Rows=48, Columns=40, PhotometricInterpretation=photometric
    )
    negative = photometric == "MONOCHROME1"
    upright = 4095 - volume if negative else volume
    np.testing.assert_array_equal(stored(path, options(frames="middle")).pixels, upright[2])
    np.testing.assert_array_equal(stored(path, options(frames="maximum")).pixels, upright.max(axis=0))
    projected = displayed(path, options(frames="maximum", voi="min-max")).pixels
    np.testing.assert_array_equal(projected, np.floor(upright.max(axis=0) / 4095 * 65535 + 0.5))


def test_windows_of_multi_frame_images_are_found_in_their_functional_groups(saved: Save) -> None:
    window = pydicom.Dataset()
    window.WindowCenter, window.WindowWidth, window.VOILUTFunction = 2000, 1000, "LINEAR_EXACT"
    shared = pydicom.Dataset()
    shared.FrameVOILUTSequence = [window]
    pixels = np.array([[[0, 1500]], [[2000, 2500]]], dtype=np.uint16)
    path = saved(pixels=pixels, NumberOfFrames=2, Rows=1, Columns=2, SharedFunctionalGroupsSequence=[shared])
    assert displayed(path, options(frames="middle")).pixels.tolist() == [[32768, 65535]]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=lambda one: one.name)
def test_every_frame_has_its_own_window_and_rescaling(syntax: str, saved: Save) -> None:
    groups = []
    for centre, intercept in ((2000, 0), (1000, 0), (1000, -500)):
        window, rescaling, group = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        window.WindowCenter, window.WindowWidth, window.VOILUTFunction = centre, 1000, "LINEAR_EXACT"
        rescaling.RescaleSlope, rescaling.RescaleIntercept = 1, intercept
        group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [window], [rescaling]
        groups.append(group)
    pixels = np.array([[[0, 1750]], [[1000, 0]], [[1250, 1000]]], dtype=np.uint16)
    kind = {"NumberOfFrames": 3, "Rows": 1, "Columns": 2, "PerFrameFunctionalGroupsSequence": groups}
    path = saved(pixels=pixels, syntax=syntax, **kind)
    # frame 0 shows 0 and 0.25, frame 1 0.5 and 0, frame 2 0.25 and 0
    assert displayed(path, options(frames="maximum")).pixels.tolist() == [[32768, 16384]]
    assert displayed(path, options(frames="middle")).pixels.tolist() == [[32768, 0]]
    stretched = displayed(path, options(frames="maximum", voi="min-max")).pixels  # from 0 to 1750, rescaled
    assert stretched.tolist() == [[round(1000 / 1750 * 65535), 65535]]


@pytest.mark.parametrize("written", ["monochrome2", "Monochrome2 ", "MONOCHROME2\0"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *PACKED], ids=lambda one: one.name)
def test_a_photometric_interpretation_may_be_written_in_small_letters(
    written: str, syntax: str, saved: Save, ramp: NDArray[np.uint16]
) -> None:
    path = saved(syntax=syntax, after={"PhotometricInterpretation": written})
    np.testing.assert_array_equal(stored(path).pixels, ramp)


def colour(saved: Save, pixels: np.ndarray, **changes: object) -> Path:
    kind = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    size = {"Rows": pixels.shape[0], "Columns": pixels.shape[1], "BitsStored": 8, "HighBit": 7}
    return saved(pixels=pixels, **{**kind, **size, **changes})


def test_colours_that_are_all_grey_are_a_grey_image_and_others_are_refused(
    saved: Save, ramp: NDArray[np.uint16]
) -> None:
    grey = (ramp // 16).astype(np.uint8)
    even = colour(saved, np.stack([grey] * 3, axis=2))
    image = displayed(even)
    np.testing.assert_array_equal(image.pixels, grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(stored(even).pixels, grey)
    planes = colour(saved, np.ascontiguousarray(np.stack([grey] * 3)), Rows=48, Columns=40, PlanarConfiguration=1)
    np.testing.assert_array_equal(displayed(planes).pixels, image.pixels)
    bright = np.stack([grey, grey // 2, grey // 3], axis=2)
    with pytest.raises(ImageError, match="truly coloured; set colour=luma"):
        displayed(colour(saved, bright))
    luma = displayed(colour(saved, bright), options(colour="luma")).pixels / 257
    assert np.abs(luma - bright @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_a_grey_jpeg_in_colour_is_grey(saved: Save, ramp: NDArray[np.uint16]) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray((ramp // 16).astype(np.uint8)).convert("RGB").save(out, "JPEG", quality=95)
    path = colour(saved, np.zeros((48, 40, 3), np.uint8))
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    header.PhotometricInterpretation = "YBR_FULL_422"
    header.PixelData = encapsulate([out.getvalue()])
    header["PixelData"].is_undefined_length = True
    header.save_as(path)
    assert np.abs(displayed(path).pixels / 257 - ramp // 16).max() < 8


def test_palettes_of_greys_are_read_and_coloured_ones_refused(saved: Save) -> None:
    path = saved(pixels=np.array([[0, 1], [2, 3]], dtype=np.uint8), BitsStored=8, HighBit=7)
    header = pydicom.dcmread(path)
    header.PhotometricInterpretation = "PALETTE COLOR"
    entries = np.array([0, 300, 30000, 65535], dtype=np.uint16)
    for name in ("Red", "Green", "Blue"):
        header.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [4, 0, 16])
        header.add_new(f"{name}PaletteColorLookupTableData", "OW", entries.tobytes())
    header.save_as(path)
    assert displayed(path).pixels.ravel().tolist() == entries.tolist()
    assert stored(path).pixels.ravel().tolist() == entries.tolist()
    header["BluePaletteColorLookupTableData"].value = entries[::-1].tobytes()
    header.save_as(path)
    with pytest.raises(ImageError, match="truly coloured"):
        displayed(path)
    luma = displayed(path, options(colour="luma")).pixels.ravel()
    np.testing.assert_allclose(luma, 0.886 * entries + 0.114 * entries[::-1], atol=1)


def test_detector_values_become_a_crude_picture_when_asked_for(saved: Save) -> None:
    exposure = np.linspace(60, 12000, 1920).round().astype(np.uint16).reshape(48, 40)
    kind = {"pixels": exposure, "BitsStored": 14, "HighBit": 13, "PresentationIntentType": "FOR PROCESSING"}
    crude = options(for_processing="log")
    picture = displayed(saved(**kind), crude).pixels.ravel().astype(int)
    assert (np.diff(picture) <= 0).all()  # much exposure is little tissue
    assert (picture[0], picture[-1]) == (65535, 0)
    middle = exposure.ravel().searchsorted(np.sqrt(60.0 * 12000))
    assert abs(picture[middle] / 65535 - 0.5) < 0.15  # even steps in the logarithm
    turned = displayed(saved(**kind, PixelIntensityRelationship="LIN", PixelIntensityRelationshipSign=-1), crude)
    assert (np.diff(turned.pixels.ravel().astype(int)) >= 0).all()
    logged = displayed(saved(**kind, PixelIntensityRelationship="LOG"), crude).pixels.ravel()
    assert abs(logged[960] / 65535 - 0.5) < 0.02


@pytest.mark.parametrize("syntax", [*NATIVE, *PACKED], ids=lambda one: one.name)
@pytest.mark.parametrize("left", [0.3, 0.6, 0.9])
def test_a_file_cut_short_is_an_error_not_a_darker_image(syntax: str, left: float, saved: Save) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64), dtype=np.uint16)
    path = saved(pixels=noise, syntax=syntax)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    with pytest.raises(ImageError, match=r"cut short|broken"):
        displayed(path)
    found = examined(sample(path))
    assert isinstance(found, mcd.Unreadable)


@pytest.mark.parametrize("syntax", PACKED, ids=lambda one: one.name)
@pytest.mark.parametrize("left", [0.4, 0.8])
def test_packed_pixels_cut_short_inside_a_whole_file_are_an_error(syntax: str, left: float, saved: Save) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64), dtype=np.uint16)
    path = saved(pixels=noise, syntax=syntax)
    header = pydicom.dcmread(path)
    frame = next(pydicom.encaps.generate_frames(header.PixelData, number_of_frames=1))
    header.PixelData = encapsulate([frame[: int(len(frame) * left)]])
    header.save_as(path)
    with pytest.raises(ImageError, match=r"cut short|cannot be decoded"):
        displayed(path)
    if syntax == RLELossless and left > 0.5:
        return  # the last segment begins inside what is left; only decoding tells that it does not end there
    found = examined(sample(path))
    assert isinstance(found, mcd.Unreadable)
    assert found.reason == f"its pixels ({syntax.name}) are cut short"


def test_rubbish_in_place_of_packed_pixels_is_an_error_that_tells_nobody_anything(
    saved: Save, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for syntax in PACKED:
        path = saved(syntax=syntax)
        header = pydicom.dcmread(path)
        header.PixelData = encapsulate([b"MILLER" * 100 + b"\xff\xd9"])
        header.save_as(path)
        caplog.clear()
        with pytest.raises(ImageError, match=syntax.name.split()[0]) as caught:
            displayed(path)
        assert "MILLER" not in str(caught.value)
        assert not caplog.records
    assert "MILLER" not in "".join(capfd.readouterr())


def test_a_syntax_of_moving_pictures_is_refused_by_its_name(saved: Save) -> None:
    path = saved(syntax=RLELossless, after={})
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    header.save_as(path)
    found = examined(sample(path))
    assert isinstance(found, mcd.Unreadable)
    assert "MPEG-4" in found.reason


def test_lossless_syntaxes_of_a_real_radiograph_give_the_same_pixels(shared: Path) -> None:
    files = shared / "data" / "dicom_wg04" / "files"
    names = ("RLE", "JLSL", "J2KR", "JPLL")
    shown = [displayed(files / name / f"RG3_{name}").pixels for name in names]
    values = [stored(files / name / f"RG3_{name}").pixels for name in names]
    for images in (shown, values):
        for other in images[1:]:
            np.testing.assert_array_equal(images[0], other)
    assert len(np.unique(shown[0])) > 500  # not cut down to eight bits
    header = pydicom.dcmread(files / "RLE" / "RG3_RLE")
    np.testing.assert_array_equal(values[0], 1023 - header.pixel_array)  # MONOCHROME1, 10 bit


def test_a_real_mammogram_in_lossy_jpeg_2000_decodes(shared: Path) -> None:
    image = stored(shared / "data" / "dicom_wg04" / "files" / "J2KI" / "MG1_J2KI")
    assert image.pixels.shape == (4664, 3064)
    assert image.maximum == 4095
    assert image.pixels.max() > 2000


def test_the_grey_files_that_come_with_pydicom_give_the_values_it_finds() -> None:
    """Big-endian, deflated, RLE, JPEG, JPEG-LS, JPEG 2000, signed, multi-frame: a zoo of odd writers."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    compared = 0
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and looks_like_dicom(one)):
        try:
            found = stored(path, options(frames="middle")).pixels
        except ImageError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, force=True)
            if header.file_meta.TransferSyntaxUID == JPEGExtended12Bit and header.BitsStored == 12:
                continue  # pydicom decodes none
            expected = header.pixel_array
        if header.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
            continue
        expected = expected[len(expected) // 2] if expected.ndim == 3 else expected
        counted = expected.astype(int) + (1 << (header.BitsStored - 1) if header.PixelRepresentation else 0)
        turned = (1 << header.BitsStored) - 1 - counted if header.PhotometricInterpretation[-1] == "1" else counted
        np.testing.assert_array_equal(found, turned, err_msg=path.name)
        compared += 1
    assert compared >= 40
