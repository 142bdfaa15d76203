"""The data set ``dicom``: which files of a folder are images, and what is said about the others."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

import mcd
from mcd.errors import DataError
from mcd.events import Clock
from mcd.extraction.file_memory import FileStatus
from mcd.extraction.probe import examined
from mcd.study.selection import Selection
from mcd_plugins.dicom import reading
from mcd_plugins.dicom.dataset import DicomFolder
from mcd_plugins.dicom.header import Header
from mcd_plugins.dicom.reading import LeftOut, Tally, displayed, header_sample, looks_like_dicom

Save = Callable[..., Path]
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"


def folder(path: Path, **options: object) -> DicomFolder:
    return DicomFolder(DicomFolder.Options.model_validate({"path": path, **options}))


def said(counted: mcd.Dataset | Tally) -> list[str]:
    """Return the remarks that are said: those without a count are empty."""
    return [one for one in counted.remarks() if one]


def test_the_path_is_the_primary_option() -> None:
    assert DicomFolder.Options.primary() == "path"


def test_files_are_found_by_content_and_broken_ones_named(saved: Save, tmp_path: Path) -> None:
    saved("b/IM0001")
    saved("a/IM0002.png")
    (tmp_path / "README").write_text("no image")
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "page.dcm").write_text("<html>" + "x" * 500)
    (tmp_path / "._IM0001.dcm").write_bytes(b"\x00\x05\x16\x07" + b"\0" * 200)
    data = folder(tmp_path)
    found = list(data.scan())
    samples = [one for one in found if isinstance(one, mcd.Sample)]
    assert [one.id for one in samples] == ["a/IM0002.png", "b/IM0001"]
    assert {Path(one.source).name: one.reason for one in found if isinstance(one, mcd.Unreadable)} == {
        "empty.dcm": "it is not a DICOM file",
        "page.dcm": "it is not a DICOM file",
    }
    assert len(data) == 4
    with pytest.raises(DataError, match="no folder"):
        len(folder(tmp_path / "no"))


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\x1f\x8b\x08", "an archive (gzip): unpack it"),
        (b"PK\3\4", "an archive (zip): unpack it"),
        (b"\x89PNG", "a PNG file"),
    ],
)
def test_what_is_only_called_dcm_is_named(start: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(start + b"0" * 200)
    (found,) = folder(tmp_path).scan()
    assert isinstance(found, mcd.Unreadable)
    assert found.reason == f"it is not a DICOM file, but {what}"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_preamble_is_not_needed_but_a_transfer_syntax_is(syntax: str, saved: Save) -> None:
    path = saved("whole", syntax=syntax)
    data = path.read_bytes()
    expected = displayed(path).pixels
    path.write_bytes(data[132:])
    assert looks_like_dicom(path)
    np.testing.assert_array_equal(displayed(path).pixels, expected)
    length = int.from_bytes(data[140:144], "little")
    path.write_bytes(data[144 + length :])  # nor the file meta information
    assert looks_like_dicom(path)
    found = header_sample(path, mcd.Sample("a"))
    assert isinstance(found, mcd.Unreadable)
    assert "transfer syntax" in found.reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x02\x00",
        b"\x02\x00\x10\x00",
        b"<html>" * 100,
        b"\x08\x00" * 400,
        b"\x89PNG\r\n" * 50,
        b"\0" * 400,
        b"\x02\x00\x00\x00ZZ" + b"\0" * 400,
    ],
)
def test_other_files_do_not_look_like_dicom(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not looks_like_dicom(tmp_path / "x")


def test_a_file_too_small_for_its_pixels_is_seen_by_its_header_alone(saved: Save) -> None:
    path = saved()
    path.write_bytes(path.read_bytes()[:-1460])
    found = header_sample(path, mcd.Sample("a"))
    assert isinstance(found, mcd.Unreadable)
    assert found.reason == "it is cut short: 2380 bytes of pixels for 3840"
    tiny = saved("b", syntax=DeflatedExplicitVRLittleEndian, pixels=np.zeros((48, 40), np.uint16))
    assert tiny.stat().st_size < 3840
    assert isinstance(header_sample(tiny, mcd.Sample("a")), mcd.Sample)


def report(path: Path, sop_class: str) -> None:
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID, file.PatientName = sop_class, "1.2.3", "Miller"
    file.save_as(path, enforce_file_format=True)


def test_a_pacs_export_is_read_and_what_is_no_image_is_counted(saved: Save, tmp_path: Path) -> None:
    saved("IM1")
    saved("IM2", ViewModifierCodeSequence=[], QualityControlImage="YES")
    report(tmp_path / "DICOMDIR", "1.2.840.10008.1.3.10")
    for name, sop_class in (("SR1", REPORT), ("SR2", REPORT), ("PR1", "1.2.840.10008.5.1.4.1.1.11.1")):
        report(tmp_path / name, sop_class)
    data = folder(tmp_path)
    (found,) = data.scan()
    assert isinstance(found, mcd.Sample)
    assert said(data) == [
        "4 DICOM objects without an image passed over: Comprehensive SR 2, Grayscale Softcopy Presentation State 1, "
        "Media Storage Directory 1",
        "1 special view left out: quality control image 1; special_views=keep takes them",
    ]
    left_out = header_sample(tmp_path / "SR1", mcd.Sample("a"))
    assert isinstance(left_out, LeftOut)
    assert left_out.reason == "it holds no image: Comprehensive SR"


def test_an_image_class_without_an_image_is_not_passed_over(tmp_path: Path) -> None:
    report(tmp_path / "a", "1.2.840.10008.5.1.4.1.1.1.2")
    report(tmp_path / "b", "1.2.3.4")
    found = list(folder(tmp_path).scan())
    assert len(found) == 2
    assert all(isinstance(one, mcd.Unreadable) and "no image" in one.reason for one in found)


def test_remarks_say_what_is_unknown_unusual_or_found_in_a_roundabout_way(saved: Save, tmp_path: Path) -> None:
    saved("a", ViewPosition=None, ImageLaterality=None, PatientID=None)
    saved("b", ViewPosition=None, SeriesDescription="R MLO", BurnedInAnnotation="YES")
    saved("c", PresentationLUTShape="INVERSE", Modality="CT", WindowCenter=5)
    saved("d", ImageType=["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"])
    saved("e", PresentationIntentType="FOR PROCESSING")
    data = folder(tmp_path, for_processing="log")
    assert len(list(data.scan())) == 5
    text = "\n".join(said(data))
    for part in (
        "view unknown in 1 of 5 images",
        "laterality unknown in 1 of 5",
        "patient unknown in 1 of 5",
        "view was found in: ViewPosition 3, SeriesDescription 1",
        "1 image with burned-in annotation",
        "1 image with PresentationLUTShape against PhotometricInterpretation",
        "1 image with a window that cannot be",
        "1 image made from tomosynthesis",
        "1 image FOR PROCESSING",
        "another modality than mammography: CT 1",
        "1 header with contradictory attributes for laterality: ImageLaterality against SeriesDescription 1",
    ):
        assert part in text
    assert "laterality was found" not in text
    assert len(said(data)) == 11
    list(data.scan())
    assert "\n".join(said(data)) == text  # a second scan does not count on


def test_nothing_unusual_needs_no_remark(saved: Save, tmp_path: Path) -> None:
    saved("a")
    data = folder(tmp_path)
    list(data.scan())
    assert said(data) == []


def test_the_tally_reports_headers_that_contradict_a_table(saved: Save) -> None:
    tally = Tally()
    tally.add(header_sample(saved(), mcd.Sample("a", laterality="R", view="MLO", patient="p")))
    assert said(tally) == [
        "1 header contradicting the data set about laterality; the data set is believed",
        "1 header contradicting the data set about view; the data set is believed",
    ]


def test_examining_gives_the_digest_of_the_bytes_and_keeps_what_is_known(saved: Save, tmp_path: Path) -> None:
    path = saved("a")
    data = folder(tmp_path)
    (sample,) = data.scan()
    assert isinstance(sample, mcd.Sample)
    assert sample.digest == ""
    found = data.examine(sample)
    assert isinstance(found, mcd.Sample)
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.view, found.facts) == (sample.view, sample.facts)
    path.unlink()
    gone = data.examine(sample)
    assert isinstance(gone, mcd.Unreadable)
    assert gone.reason == "No such file or directory"


def test_one_scan_serves_worker_processes(saved: Save, tmp_path: Path) -> None:
    saved("a", WindowCenter=2000, WindowWidth=500)
    data = folder(tmp_path, voi="none")
    (sample,) = data.scan()
    assert isinstance(sample, mcd.Sample)
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(copy.read(sample).pixels, data.read(sample).pixels)
    assert copy.read_stored(sample).maximum == 4095
    assert folder(tmp_path).fingerprint() != data.fingerprint()


def test_a_second_look_reads_no_header_and_says_the_same(
    saved: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCD_DIGESTS", str(tmp_path / "memory"))
    monkeypatch.setattr(FileStatus, "is_still", lambda _self, _now: True)
    saved("images/a.dcm", ViewPosition="", ImageLaterality="")
    saved("images/b.dcm")
    saved("images/report.dcm", SOPClassUID=REPORT)
    (tmp_path / "images/empty.dcm").write_bytes(b"")
    counted: list[object] = []
    plain = reading.opened

    def opened(file: Path | BinaryIO, *, pixels: bool) -> Header:
        counted.append(file)
        return plain(file, pixels=pixels)

    monkeypatch.setattr(reading, "opened", opened)

    def looked() -> tuple[object, ...]:
        data, clock = folder(tmp_path / "images"), Clock(lambda _: None)
        return examined(data, Selection(), clock, on_error="skip"), clock.warnings

    first = looked()
    assert len(counted) == 4 + 2
    counted.clear()
    assert looked() == first
    assert counted == [tmp_path / "images/empty.dcm"]
