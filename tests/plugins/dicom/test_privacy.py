"""Nothing that a header says about anybody leaves the reader: a marker in every element must not come out."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.uid import JPEG2000Lossless, RLELossless

import mcd
from mcd.errors import ImageError
from mcd.events import Clock
from mcd.extraction.file_memory import FileStatus
from mcd.extraction.probe import examined
from mcd.study.selection import Selection
from mcd_plugins.dicom.dataset import DicomFolder
from mcd_plugins.dicom.reading import displayed, stored

Save = Callable[..., Path]

MARKER = "MILLER7"
TEXTS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
SINGLE = {"CS": MARKER, "PN": f"{MARKER}^Jane", "UI": "1.2.77777.7"}


def planted(path: Path) -> set[str]:
    """Put the marker into every text element of the dictionary, into UIDs, sequences and private elements."""
    file = pydicom.dcmread(path)
    kept = {"PhotometricInterpretation", "PixelData"}
    done = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag, (vr, _, _, retired, name) in DicomDictionary.items():
            if vr in (*TEXTS, "UI") and not retired and name not in kept and tag >> 16 not in (0, 2, 4):
                file.add_new(tag, vr, SINGLE.get(vr, f"{MARKER} {name}"))
                done.add(name)
        item = pydicom.Dataset()
        item.PatientName, item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = (MARKER,) * 4
        for name in ("ViewCodeSequence", "ViewModifierCodeSequence", "RequestAttributesSequence", "VOILUTSequence"):
            setattr(file, name, [item])
        del file.VOILUTSequence
        file.private_block(0x0013, MARKER, create=True).add_new(1, "LO", MARKER)
        file.save_as(path)
    return done


def test_no_sample_remark_or_log_holds_what_the_header_says(
    saved: Save, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for number, syntax in enumerate((None, RLELossless, JPEG2000Lossless)):
        names = planted(saved(f"{MARKER}/{number}.dcm", **({"syntax": syntax} if syntax else {})))
    caplog.clear()  # of what writing such files leads to
    assert {"PatientName", "Manufacturer", "SeriesDescription", "Modality", "VOILUTFunction"} <= names
    data = DicomFolder(DicomFolder.Options(path=tmp_path))
    samples = [one for one in data.scan() if isinstance(one, mcd.Sample)]
    assert len(samples) == 3
    for sample in samples:
        examined = data.examine(sample)
        assert isinstance(examined, mcd.Sample)
        data.read(examined)
        data.read_stored(examined)
        assert MARKER in examined.id  # the path below the root; the engine shows a salted digest instead
        told = {name: value for name, value in vars(examined).items() if name not in ("id", "source")}
        assert MARKER not in str(told)
        assert "77777" not in str(told)
        assert examined.facts["modality"] == "other"
        assert examined.vendor == "other"
    assert MARKER not in " ".join(data.remarks()) + caplog.text + "".join(capfd.readouterr())


def test_what_is_remembered_of_files_holds_nothing_of_their_headers_and_names(
    saved: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCD_DIGESTS", str(tmp_path / "memory"))
    monkeypatch.setattr(FileStatus, "is_still", lambda _self, _now: True)
    planted(saved(f"images/{MARKER}.dcm"))
    examined(DicomFolder(DicomFolder.Options(path=tmp_path / "images")), Selection(), Clock(lambda _: None))
    held = b"".join(path.read_bytes() for path in (tmp_path / "memory").iterdir())
    assert len(held) > 4096
    for text in (MARKER, "77777", "modality", "images", ".dcm", hashlib.sha256(MARKER.encode()).hexdigest()):
        assert text.encode() not in held


def broken(path: Path) -> Iterator[Path]:
    """Yield the file with the value of every element in turn overwritten by the marker, of whatever type it is."""
    data = path.read_bytes()
    header = pydicom.dcmread(path)
    for tag in header.keys():  # noqa: SIM118  # iterating over a data set converts its elements, which forget their place
        element = header.get_item(tag)
        assert isinstance(element, RawDataElement)
        if tag.group < 0x7FE0 and element.length:
            filled = (MARKER.encode() * element.length)[: element.length]
            path.write_bytes(data[: element.value_tell] + filled + data[element.value_tell + element.length :])
            yield path
    path.write_bytes(data)


def message(read: Callable[[Path], mcd.Image], path: Path) -> str:
    try:
        read(path)
    except ImageError as error:
        return "".join(traceback.format_exception(error))
    return ""


def test_no_message_about_a_broken_header_quotes_it(saved: Save) -> None:
    path = saved(
        PatientName="x" * 20,
        WindowCenter="1234567.25",
        WindowWidth="1234567.25",
        RescaleSlope="1.000000",
        RescaleIntercept="1.000000",
        NumberOfFrames="00000001",
        VOILUTFunction="LINEAR",
        PixelPaddingValue=3,
        PresentationLUTShape="IDENTITY",
    )
    refused = 0
    for file in broken(path):
        for found in DicomFolder(DicomFolder.Options(path=file)).scan():
            if isinstance(found, mcd.Unreadable):
                refused += 1
                assert MARKER[:3] not in found.reason
        for read in (displayed, stored):
            told = message(read, file)
            assert not any(MARKER[:3] in line for line in told.splitlines() if "File" not in line)
    assert refused >= 8


def test_every_field_of_a_sample_is_covered_here() -> None:
    """A new field of `mcd.Sample` must be thought about: the reader fills in these, and no other."""
    filled = {"id", "digest", "source", "patient", "exam", "view", "laterality", "vendor", "implant", "facts"}
    table = {"density", "assessment", "split", "collection", "findings", "boxes", "labels"}
    assert {one.name for one in dataclasses.fields(mcd.Sample)} == filled | table
