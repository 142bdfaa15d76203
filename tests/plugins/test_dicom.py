"""The data set ``dicom``: what a workstation would show, and which files it refuses and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import mcd
from mcd.errors import DataError, ImageError
from mcd_plugins.dicom.dataset import DicomFolder

BITS = 12
STORED = np.arange(0, 2**BITS, 64, dtype=np.uint16).reshape(8, 8)


def saved(path: Path, **changes: object) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, object] = {
        "PatientName": "Miller^Jane", "PatientID": "MRN-4711", "Modality": "MG", "Rows": 8, "Columns": 8,
        "BitsAllocated": 16, "BitsStored": BITS, "HighBit": BITS - 1, "PixelRepresentation": 0, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "ViewPosition": "CC", "ImageLaterality": "L",
        "PixelData": STORED.tobytes(), **changes,
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            setattr(file, name, value)
    file.save_as(path, enforce_file_format=True)
    return path


def read(path: Path, **options: object) -> np.ndarray:  # type: ignore[type-arg]
    data = DicomFolder(DicomFolder.Options.model_validate({"path": path, **options}))
    (sample,) = data.scan()
    assert isinstance(sample, mcd.Sample), sample
    image = data.read(sample)
    assert image.maximum == 65535
    return image.pixels.astype(np.float64) / 65535


def close(found: np.ndarray, expected: np.ndarray) -> None:  # type: ignore[type-arg]
    np.testing.assert_allclose(found, expected, atol=1 / 65535)


def test_without_a_window_the_possible_range_is_shown(tmp_path: Path) -> None:
    close(read(saved(tmp_path / "a.dcm")), STORED / (2**BITS - 1))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (None, np.clip((STORED - 1999.5) / 999 + 0.5, 0, 1)),
        ("LINEAR_EXACT", np.clip((STORED - 2000.0) / 1000 + 0.5, 0, 1)),
        ("SIGMOID", 1 / (1 + np.exp(-4 * (STORED - 2000.0) / 1000))),
    ],
)
def test_windows_follow_the_standard(function: str | None, expected: np.ndarray, tmp_path: Path) -> None:  # type: ignore[type-arg]
    path = saved(tmp_path / "a.dcm", WindowCenter=[2000, 1], WindowWidth=[1000, 1], VOILUTFunction=function)
    close(read(path), expected)
    close(read(path, voi="none"), STORED / (2**BITS - 1))


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.dcm", RescaleSlope=2, RescaleIntercept=-100, WindowCenter=3000, WindowWidth=500,
                 VOILUTFunction="LINEAR_EXACT")  # fmt: skip
    close(read(path), np.clip((STORED * 2.0 - 100 - 3000) / 500 + 0.5, 0, 1))


def test_monochrome1_is_inverted_once_in_a_fixed_range(tmp_path: Path) -> None:
    plain = read(saved(tmp_path / "a.dcm"))
    twin = saved(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE",
                 PixelData=(2**BITS - 1 - STORED).astype(np.uint16).tobytes())  # fmt: skip
    close(read(twin), plain)


def test_an_eight_bit_lut_of_many_entries_is_looked_up_whole(tmp_path: Path) -> None:
    item = pydicom.Dataset()
    entries = (np.arange(1024) // 4).astype(np.uint16)
    item.LUTDescriptor = [1024, 100, 8]
    item.LUTData = entries.tolist()
    item["LUTDescriptor"].VR = "US"
    item["LUTData"].VR = "US"
    path = saved(tmp_path / "a.dcm", VOILUTSequence=Sequence([item]), WindowCenter=5, WindowWidth=5)
    close(read(path), entries[np.clip(STORED.astype(int) - 100, 0, 1023)] / 255)


def test_padding_is_black_in_either_polarity(tmp_path: Path) -> None:
    for name, photometric in (("a", "MONOCHROME1"), ("b", "MONOCHROME2")):
        path = saved(tmp_path / f"{name}.dcm", PhotometricInterpretation=photometric, PixelPaddingValue=64)
        assert read(path)[0, 1] == 0
        assert photometric == "MONOCHROME2" or read(path)[0, 0] == 1


def test_nothing_that_names_the_patient_leaves_the_reader(tmp_path: Path) -> None:
    saved(tmp_path / "Miller.dcm")
    (sample,) = DicomFolder(DicomFolder.Options(path=tmp_path)).scan()
    assert isinstance(sample, mcd.Sample)
    assert (sample.view, sample.laterality) == ("CC", "L")
    told = " ".join((sample.id, sample.digest, sample.patient, sample.view))
    assert "4711" not in told
    assert "iller" not in told


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"NumberOfFrames": 40}, "40 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colour"),
        ({"Rows": None}, "no image"),
        ({"PixelData": STORED.tobytes()[:20]}, "cut short"),
    ],
)
def test_what_is_no_single_grey_image_is_refused_with_the_reason(
    changes: dict[str, object], reason: str, tmp_path: Path
) -> None:
    saved(tmp_path / "a.dcm", **changes)
    (found,) = DicomFolder(DicomFolder.Options(path=tmp_path)).scan()
    if isinstance(found, mcd.Sample):  # the header leaves room for 20 bytes of pixels
        with pytest.raises(ImageError):
            DicomFolder(DicomFolder.Options(path=tmp_path)).read(found)
        return
    assert reason in found.reason


def test_files_are_found_by_content_and_broken_ones_named(tmp_path: Path) -> None:
    saved(tmp_path / "IM0001")
    (tmp_path / "README").write_text("no image")
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "page.dcm").write_text("<html>" + "x" * 500)
    found = {Path(one.source).name: one for one in DicomFolder(DicomFolder.Options(path=tmp_path)).scan()}
    assert found.keys() == {"IM0001", "empty.dcm", "page.dcm"}
    assert isinstance(found["IM0001"], mcd.Sample)
    assert isinstance(found["page.dcm"], mcd.Unreadable)
    assert found["page.dcm"].reason == "it is not a DICOM file"
    with pytest.raises(DataError, match="no folder"):
        len(DicomFolder(DicomFolder.Options(path=tmp_path / "no")))


def test_lossless_syntaxes_give_the_same_pixels(shared: Path) -> None:
    files = shared / "data" / "dicom_wg04" / "files"
    pictures = [read(files / name / f"RG3_{name}") for name in ("RLE", "JLSL", "J2KR", "JPLL")]
    for other in pictures[1:]:
        np.testing.assert_array_equal(pictures[0], other)
    assert len(np.unique(pictures[0])) > 500  # not cut down to eight bits


def test_a_file_that_no_decoder_reads_is_named_with_its_syntax(shared: Path) -> None:
    path = next((shared / "data" / "dicom_wg04" / "files" / "JPLY").glob("MG1*"))
    with pytest.raises(ImageError, match="JPEG Extended") as caught:
        read(path)
    assert "mammo-clip-dissect[dicom]" in caught.value.message
