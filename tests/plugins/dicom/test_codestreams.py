"""Compressed images whose codestream is damaged, or says otherwise than the header."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

import mcd
from mcd.errors import ImageError
from mcd.extraction.inspection import inspect
from mcd_plugins.dicom.dataset import DicomFolder
from mcd_plugins.dicom.reading import DicomOptions, displayed, examined, stored

Save = Callable[..., Path]
Ramp = NDArray[np.uint16]
FROM = {name: DicomOptions(depth_from=name) for name in ("both", "header", "codestream")}


@pytest.fixture(scope="session")
def cases(shared: Path) -> Path:
    return shared / "data/cases"


def reason(path: Path) -> str:
    """Return why a file cannot be used, seen before any decoder sees it."""
    found = examined(mcd.Sample("a", source=str(path)))
    assert isinstance(found, mcd.Unreadable)
    with pytest.raises(ImageError):
        displayed(path)
    return found.reason


def remarks(path: Path) -> str:
    data = DicomFolder(DicomFolder.Options(path=path))
    for one in data.scan():
        assert isinstance(one, mcd.Sample)
        data.examine(one)
    return " ".join(data.remarks())


def changed(path: Path, change: Callable[[bytearray], object]) -> Path:
    """Change the codestream of a file."""
    header = pydicom.dcmread(path)
    frame = bytearray(next(generate_frames(header.PixelData, number_of_frames=1)))
    change(frame)
    header.PixelData = encapsulate([bytes(frame)])
    header.save_as(path)
    return path


def baseline(saved: Save, ramp: Ramp) -> Path:
    """Return an 8-bit JPEG of the ramp."""
    out = io.BytesIO()
    PIL.Image.fromarray((ramp // 16).astype(np.uint8)).save(out, "JPEG", quality=95)
    path = saved(pixels=(ramp // 16).astype(np.uint8), BitsStored=8, HighBit=7)
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    header.PixelData = encapsulate([out.getvalue()])
    header["PixelData"].is_undefined_length = True
    header.save_as(path)
    return path


def test_one_damaged_file_costs_one_file_in_this_process(cases: Path, tmp_path: Path) -> None:
    for name in ("raw.dcm", "jpll_precision24.dcm", "jpll_ok.dcm"):
        (tmp_path / name).write_bytes((cases / name).read_bytes())
    data = DicomFolder(DicomFolder.Options(path=tmp_path))
    found = inspect(data, list(data.scan()), workers=0)
    assert [one.id for one in found.samples] == ["jpll_ok.dcm", "raw.dcm"]
    assert [Path(one.source).name for one in found.unreadable] == ["jpll_precision24.dcm"]
    assert "24 bits" in found.unreadable[0].reason
    np.testing.assert_array_equal(displayed(cases / "jpll_ok.dcm").pixels, displayed(cases / "raw.dcm").pixels)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, JPEGBaseline8Bit], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("Rows", 47, "48 rows, its header says 47"), ("Columns", 4000, "40 columns, its header says 4000")],
)
def test_a_codestream_of_another_size_never_reaches_a_decoder(
    syntax: str, name: str, value: int, said: str, saved: Save, ramp: Ramp
) -> None:
    path = baseline(saved, ramp) if syntax == JPEGBaseline8Bit else saved(syntax=syntax)
    header = pydicom.dcmread(path)
    setattr(header, name, value)
    header.save_as(path)
    assert said in reason(path)


def test_a_jpeg_lossless_image_of_another_size_never_reaches_a_decoder(cases: Path, tmp_path: Path) -> None:
    header = pydicom.dcmread(cases / "jpll_ok.dcm")
    header.Rows, header.Columns = header.Columns, header.Rows
    header.save_as(tmp_path / "a.dcm")
    assert "256 rows, its header says 192" in reason(tmp_path / "a.dcm")


def _set(at: int, value: bytes) -> Callable[[bytearray], object]:
    return lambda frame: frame.__setitem__(slice(at, at + len(value)), value)


@pytest.mark.parametrize(
    ("syntax", "change", "said"),
    [
        (JPEGLSLossless, _set(0, b"\0"), "do not begin as such"),
        (JPEGLSLossless, _set(3, b"\xc3"), "another kind (SOF3)"),
        (JPEGLSLossless, _set(6, b"\x18"), "24 bits a sample"),
        (JPEGLSLossless, _set(4, b"\xff\xf0"), "do not begin as such"),
        (JPEGLSLossless, _set(11, b"\3"), "do not begin as such"),
        (JPEG2000Lossless, _set(2, b"\xff\x52"), "do not begin as such"),
        (JPEG2000Lossless, _set(42, b"\x1f"), "32 bits a sample, more than the 16 allocated"),
        (JPEG2000Lossless, _set(24, b"\0\0\0\0"), "do not begin as such"),
        (JPEG2000Lossless, _set(8, b"\xff\xff\xff\xff"), "107374183 tiles"),
        (JPEG2000Lossless, _set(43, b"\2"), "different depths or sizes"),
    ],
)
def test_a_damaged_head_of_a_codestream_is_named(
    syntax: str, change: Callable[[bytearray], object], said: str, saved: Save
) -> None:
    assert said in reason(changed(saved(syntax=syntax), change))


def test_more_tiles_than_there_can_be_are_refused(saved: Save) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (300, 300), dtype=np.uint16)
    path = saved(syntax=JPEG2000Lossless, pixels=noise)
    assert "90000 tiles" in reason(changed(path, _set(24, b"\0\0\0\1\0\0\0\1")))


def test_a_frame_that_would_fill_the_memory_is_refused(saved: Save) -> None:
    path = saved(syntax=JPEGLSLossless, after={"Rows": 65535, "Columns": 65535})
    assert "too many to be read" in reason(changed(path, _set(7, b"\xff\xff\xff\xff")))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda one: one.name)
def test_values_beyond_the_header_do_not_wrap(syntax: str, saved: Save, ramp: Ramp) -> None:
    path = saved(pixels=ramp * 16, syntax=syntax, BitsStored=16, HighBit=15, after={"BitsStored": 12, "HighBit": 11})
    for read in (displayed, stored):
        with pytest.raises(ImageError, match="contradict each other about the number of bits"):
            read(path)
    np.testing.assert_array_equal(stored(path, FROM["codestream"]).pixels, ramp * 16)
    np.testing.assert_array_equal(stored(path, FROM["header"]).pixels, ramp * 16 % 4096)
    assert "1 image whose compressed pixels have more bits than BitsStored says" in remarks(path)


def test_the_cases_with_contradictory_bits_are_refused_or_right(cases: Path) -> None:
    right = displayed(cases / "raw.dcm").pixels
    with pytest.raises(ImageError, match="number of bits"):
        displayed(cases / "j2k_16bit_values_BitsStored12.dcm")
    signed = cases / "j2k_signed_PixelRepresentation0.dcm"
    with pytest.raises(ImageError, match="about the sign"):
        displayed(signed)
    np.testing.assert_array_equal(displayed(signed, FROM["codestream"]).pixels, right)
    assert "another sign" in remarks(signed)
    np.testing.assert_array_equal(displayed(cases / "highbit12_bitsstored12.dcm").pixels, right)
    assert "1 image with HighBit against the bits" in remarks(cases / "highbit12_bitsstored12.dcm")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda one: one.name)
def test_a_precision_of_16_alone_is_no_contradiction(syntax: str, saved: Save, ramp: Ramp) -> None:
    path = saved(pixels=ramp, syntax=syntax, BitsStored=16, HighBit=15, after={"BitsStored": 12, "HighBit": 11})
    np.testing.assert_array_equal(stored(path).pixels, ramp)
    padded = np.where(ramp < 9, 65535, ramp).astype(np.uint16)
    after = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": 65535}
    path = saved(pixels=padded, syntax=syntax, BitsStored=16, HighBit=15, after=after)
    assert (displayed(path).pixels[padded == 65535] == 0).all()


def test_jpeg_lossless_writes_16_by_habit_until_pixels_need_them(cases: Path, tmp_path: Path) -> None:
    assert remarks(cases / "jpll_ok.dcm") == remarks(cases / "raw.dcm")
    header = pydicom.dcmread(cases / "jpll_ok.dcm")
    header.BitsStored, header.HighBit = 10, 9
    header.save_as(tmp_path / "a.dcm")
    with pytest.raises(ImageError, match="number of bits"):
        stored(tmp_path / "a.dcm")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda one: one.name)
@pytest.mark.parametrize("allocated", [8, 16])
def test_a_codestream_with_fewer_bits_keeps_its_white(syntax: str, allocated: int, saved: Save, ramp: Ramp) -> None:
    pixels = (ramp // 64).astype(f"u{allocated // 8}")
    path = saved(pixels=pixels, syntax=syntax, BitsStored=6, HighBit=5, after={"BitsStored": 8, "HighBit": 7})
    np.testing.assert_array_equal(stored(path).pixels, ramp // 64)
    assert displayed(path).pixels.max() == 65535
    assert "1 image whose compressed pixels have fewer bits" in remarks(path)


@pytest.mark.parametrize("stored_as", ["u2", "i2"])
def test_another_sign_is_refused_where_pixels_depend_on_it(stored_as: str, saved: Save, ramp: Ramp) -> None:
    high = ramp.astype(stored_as) - (2048 if stored_as == "i2" else 0)
    other = {"after": {"PixelRepresentation": int(stored_as == "u2")}}
    path = saved(pixels=high.astype(stored_as), syntax=JPEG2000Lossless, **other)
    with pytest.raises(ImageError, match="about the sign"):
        displayed(path)
    assert displayed(path, FROM["codestream"]).pixels[0, 0] == 0
    low = (ramp // 2).astype(stored_as)
    shown = displayed(saved(pixels=low, syntax=JPEG2000Lossless, **other))
    right = displayed(saved(pixels=low.astype("u2" if other["after"]["PixelRepresentation"] == 0 else "i2")))
    np.testing.assert_array_equal(shown.pixels, right.pixels)


@pytest.mark.parametrize("kind", ["u2", "i2"])
@pytest.mark.parametrize("high", [12, 15])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_bits_are_believed_against_a_wrong_high_bit(
    syntax: str | None, high: int, kind: str, saved: Save, ramp: Ramp
) -> None:
    pixels = ramp.astype(kind) - (2048 if kind == "i2" else 0)
    path = saved(pixels=pixels.astype(kind), **({"syntax": syntax} if syntax else {}), after={"HighBit": high})
    np.testing.assert_array_equal(stored(path).pixels, ramp)
    assert "1 image with HighBit against the bits" in remarks(path)


def test_a_high_bit_that_fits_is_obeyed(saved: Save, ramp: Ramp) -> None:
    for left in (4, 2):
        shifted = saved(pixels=(ramp << left) | 1, HighBit=11 + left)
        np.testing.assert_array_equal(stored(shifted).pixels, ramp)
        assert "HighBit" not in remarks(shifted)
    signed = ((ramp.astype(np.int32) - 2048) << 4).astype(np.int16)
    np.testing.assert_array_equal(stored(saved(pixels=signed, HighBit=15)).pixels, ramp)


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_bits_beyond_those_stored_are_said(syntax: str | None, saved: Save, ramp: Ramp) -> None:
    path = saved(pixels=ramp, after={"BitsStored": 10, "HighBit": 9}, **({"syntax": syntax} if syntax else {}))
    assert "1 image with bits set beyond BitsStored" in remarks(path)
    assert "beyond" not in remarks(saved(pixels=ramp))


def test_signed_values_without_a_sign_are_said(saved: Save, ramp: Ramp) -> None:
    assert "may be unsigned" in remarks(saved(pixels=ramp, PixelRepresentation=1))
    assert "may be unsigned" not in remarks(saved(pixels=(ramp.astype(np.int32) - 2048).astype(np.int16)))


def packed_as(path: Path, items: list[bytes], offsets: list[int] | None, frames: int | None = None) -> Path:
    """Write fragments with an offset table of one's own."""
    header = pydicom.dcmread(path)
    table = np.array(offsets or [], dtype="<u4").tobytes()
    parts = [table, *(one + b"\0" * (len(one) % 2) for one in items)]
    header.PixelData = b"".join(b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in parts)
    header.NumberOfFrames = frames
    header.save_as(path)
    return path


def codestream(path: Path) -> bytes:
    return next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=lambda one: one.name)
@pytest.mark.parametrize("offsets", [None, [0], [8], [0, 400], [4096], [2**32 - 1]])
@pytest.mark.parametrize("pieces", [1, 3])
def test_an_offset_table_that_fits_nothing_counts_as_none(
    syntax: str, offsets: list[int] | None, pieces: int, saved: Save, ramp: Ramp
) -> None:
    path = saved(syntax=syntax)
    whole = codestream(path)
    step = -(-len(whole) // pieces) // 2 * 2 + 2
    items = [whole[at : at + step] for at in range(0, len(whole), step)]
    np.testing.assert_array_equal(stored(packed_as(path, items, offsets)).pixels, ramp)
    assert isinstance(examined(mcd.Sample("a", source=str(path))), mcd.Sample)


@pytest.mark.parametrize("table", ["none", "right", "wrong"])
def test_frames_in_several_pieces_are_told_apart_whatever_the_offset_table_says(
    table: str, saved: Save, ramp: Ramp
) -> None:
    images = [codestream(saved(syntax=JPEGLSLossless, pixels=np.roll(ramp, by))) for by in (0, 1, 2)]
    halves = [half for one in images for half in (one[:600], one[600:])]
    lengths = [len(one) + len(one) % 2 + 16 for one in images]
    right = [0, lengths[0], lengths[0] + lengths[1]]
    offsets = {"none": [], "right": right, "wrong": [0, 4, 8]}[table]
    path = packed_as(saved(syntax=JPEGLSLossless), halves, offsets, frames=3)
    middle = stored(path, DicomOptions(frames="middle")).pixels
    np.testing.assert_array_equal(middle, np.roll(ramp, 1))


def test_whole_files_are_not_called_cut_short(saved: Save, cases: Path, tmp_path: Path, ramp: Ramp) -> None:
    several = [codestream(saved(syntax=JPEGLSLossless, pixels=np.roll(ramp, by))) for by in (0, 1)]
    wrong = {
        "says 1 frames, its pixels are 2": packed_as(saved("a.dcm", syntax=JPEGLSLossless), several, None),
        "says 3 frames, its pixels are 2": packed_as(saved("b.dcm", syntax=JPEGLSLossless), several, None, frames=3),
        "2 RLE segments, its header says 1": saved(
            "g.dcm", syntax=RLELossless, after={"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
        ),
        "bits make 7680 bytes of pixels, it holds 3840": saved("c.dcm", Rows=96),
        "bits make 1920 bytes of pixels, it holds 3840": saved("d.dcm", Rows=24),
        "its pixels are not compressed": joined(cases / "jpll_ok.dcm", cases / "raw.dcm", tmp_path / "e.dcm"),
        "its pixels are compressed, but": joined(cases / "raw.dcm", cases / "jpll_ok.dcm", tmp_path / "f.dcm"),
    }
    for said, path in wrong.items():
        found = examined(mcd.Sample("a", source=str(path)), DicomOptions(frames="middle"))
        assert isinstance(found, mcd.Unreadable), said
        assert said in found.reason
        assert "cut short" not in found.reason


def joined(meta: Path, rest: Path, path: Path) -> Path:
    """Write the file meta information of one file, which has the transfer syntax, before the rest of another."""
    first, second = meta.read_bytes(), rest.read_bytes()
    ends = [144 + int.from_bytes(one[140:144], "little") for one in (first, second)]
    path.write_bytes(first[: ends[0]] + second[ends[1] :])
    return path


def test_a_file_without_the_end_mark_of_its_pixels_is_read(cases: Path, tmp_path: Path) -> None:
    data = (cases / "jpll_ok.dcm").read_bytes()
    end = data.rindex(b"\xfe\xff\xdd\xe0")
    path = tmp_path / "a.dcm"
    path.write_bytes(data[:end])
    np.testing.assert_array_equal(displayed(path).pixels, displayed(cases / "raw.dcm").pixels)
    path.write_bytes(data[: end - 2000])
    assert "cut short" in reason(path)


def test_jpeg_2000_without_its_end_mark_is_whole_if_its_tiles_are(saved: Save, ramp: Ramp) -> None:
    path = saved(syntax=JPEG2000Lossless)
    whole = codestream(path)
    end = whole.rindex(b"\xff\xd9")
    np.testing.assert_array_equal(stored(packed_as(path, [whole[:end]], None)).pixels, ramp)
    assert "cut short" in reason(packed_as(path, [whole[: end - 9]], None))


@pytest.mark.slow
def test_a_small_deflated_file_that_fills_the_memory_is_refused(saved: Save) -> None:
    path = saved(syntax=DeflatedExplicitVRLittleEndian)
    data = path.read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(1, wbits=-15)
    zeros = bytes(1 << 20)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(data[:start] + block * 2100)
    assert "more than 2 GiB" in reason(path)
