"""The data set ``inbreast``: contours become boxes, names of files tell patients, spelling errors are read."""

from __future__ import annotations

import plistlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.cohorts.conftest import Scanned, write_dicom
from tests.plugins.cohorts.inbreast_tables import (
    ANNE,
    BETH,
    FILES,
    HEADER,
    ROWS,
    released,
    write_csv,
)

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.inbreast import InBreast

Scan = Callable[[mcd.Dataset], Scanned]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return released(tmp_path)


def inbreast(root: Path, **options: object) -> InBreast:
    return InBreast(InBreast.Options.model_validate({"root": root, **options}))


def test_what_the_table_and_the_name_of_the_file_say(root: Path, scanned: Scan) -> None:
    data = inbreast(root)
    found = scanned(data)
    assert list(found) == list(FILES)
    assert len(data) == 5, "a footer is no row"
    one = found["22678694"]
    assert (one.patient, one.view, one.laterality, one.split) == (ANNE, "MLO", "L", "")
    assert (one.density, one.assessment, one.collection) == ("d", "4a", "inbreast")
    assert one.labels == {"ACR": "4", "Bi-Rads": "4a", "contours": "Calcification, Espiculated Region, Mass"}
    assert Path(one.source).name == FILES["22678694"]
    assert found["50994300"].view == "FB"
    write_csv(root, ROWS[1].replace("MLO", "ML"))
    assert scanned(inbreast(root))["22678694"].view == "MLO", "names of files call it ML"


def test_blanks_for_a_density_are_unknown(root: Path, scanned: Scan) -> None:
    one = scanned(inbreast(root))["53582540"]
    assert one.density == ""
    assert "ACR" not in one.labels


def test_months_of_a_patient_are_exams_and_are_not_told(root: Path, scanned: Scan) -> None:
    found = scanned(inbreast(root))
    assert found["22678622"].exam == found["22678694"].exam == f"{ANNE}-1"
    assert found["50994381"].exam == f"{ANNE}-2"
    assert not any("2010" in str(one) for sample in found.values() for one in (sample.exam, sample.labels))


def test_contours_become_boxes_around_whole_pixels(root: Path, scanned: Scan) -> None:
    found = scanned(inbreast(root))
    assert found["22678694"].boxes == (
        mcd.Box("mass", 10, 18, 16, 31),
        mcd.Box("mass", 0, 16, 20, 34),
        mcd.Box("calcifications", 7, 8, 8, 9),
    )
    assert found["50994300"].boxes == (
        mcd.Box("architectural distortion", 1, 1, 5, 6),
        mcd.Box("Point 3", 9, 9, 10, 10),
    )


def test_names_of_contours_become_concepts_however_they_are_spelt(root: Path, scanned: Scan) -> None:
    found = scanned(inbreast(root))
    assert found["22678694"].findings == dict.fromkeys(["calcifications", "mass", "spiculated margin"], True)
    assert found["53582540"].findings == dict.fromkeys(["asymmetry", "calcifications", "grouped distribution"], True)


def test_an_image_without_contours_is_not_normal(root: Path, scanned: Scan) -> None:
    write_csv(root, *ROWS[:-1], ROWS[-1].removesuffix("1") + "2")
    marked = ["architectural distortion", "asymmetry", "calcifications", "mass"]
    found = scanned(inbreast(root))
    assert found["50994381"].findings == {}
    assert found["22678622"].findings == dict.fromkeys(marked, False), "BI-RADS 1"
    complete = scanned(inbreast(root, unlisted="absent"))
    assert complete["50994381"].findings == dict.fromkeys(marked, False)
    assert complete["53582540"].findings["mass"] is False
    assert complete["53582540"].findings["asymmetry"] is True
    assert "spiculated margin" not in complete["53582540"].findings


def test_names_without_a_meaning_are_kept_and_said_without_naming_an_image(root: Path, scanned: Scan) -> None:
    data = inbreast(root)
    assert scanned(data)["50994300"].labels["contours"] == "Distortion, Mass, Point 3"
    said = [one for one in data.remarks() if "Point 3" in one]
    assert len(said) == 1
    assert "column 'Name': 'Point 3' has no counterpart here" in said[0]
    assert "50994300" not in said[0]


def test_a_file_that_is_not_there_is_named_and_has_no_patient(root: Path) -> None:
    (root / "AllDICOMs" / FILES["22678622"]).unlink()
    data = inbreast(root)
    first = next(iter(data.scan()))
    assert isinstance(first, mcd.Sample)
    looked = data.examine(first)
    assert isinstance(looked, mcd.Unreadable)
    assert "22678622" in looked.source


def test_files_with_other_names_are_refused_since_patients_are_only_there(root: Path) -> None:
    for path in (root / "AllDICOMs").glob("*.dcm"):
        path.rename(path.with_name(path.name.split("_")[0] + ".dcm"))
    with pytest.raises(DataError, match="AllDICOMs holds no file such as 20586908_6c613a14b80a8591_MG_R_CC") as told:
        len(inbreast(root))
    assert told.value.hint.startswith("patients are identified by these names")


def test_two_files_of_one_image_are_refused(root: Path) -> None:
    write_dicom(root / "AllDICOMs" / f"22678622_{BETH}_MG_R_CC_ANON.dcm")
    with pytest.raises(DataError, match="two files of image 22678622"):
        len(inbreast(root))


@pytest.mark.parametrize(
    ("at", "row", "message"),
    [
        (0, "removed;removed;;CC;201001;22678622;4;1", "row 2, column 'Laterality': a value is missing"),
        (0, "removed;removed;B;CC;201001;22678622;4;1", "row 2, column 'Laterality': 'B' is none of L, R"),
        (0, "removed;removed;L;CC;201001;22678622;4;1", "row 2, column 'Laterality': 'L', but its file is called"),
        (1, "removed;removed;L;XX;201001;22678694;4;4a", "row 3, column 'View': 'XX' is none of CC, MLO"),
        (1, "removed;removed;R;CC;201001;22678622;4;1", "row 3, column 'File Name': '22678622' is in row 2 already"),
        (1, "removed;removed;R;CC;201001;22678694;4;1;9;9", "row 3: 10 cells for 8 columns"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(at: int, row: str, message: str, root: Path) -> None:
    write_csv(root, *ROWS[:at], row, *ROWS[at + 1 :])
    with pytest.raises(DataError, match=f"INbreast.csv, {message}"):
        len(inbreast(root))


def test_unknown_categories_are_kept_and_said(root: Path, scanned: Scan) -> None:
    write_csv(root, *ROWS[:-1], "removed;removed;L;CC;201003;50994381;7;4d")
    data = inbreast(root)
    one = scanned(data)["50994381"]
    assert (one.density, one.assessment, one.labels["ACR"], one.labels["Bi-Rads"]) == ("", "", "7", "4d")
    assert sum("INbreast.csv, column" in said for said in data.remarks()) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("File Name", "Filename", "row 1: there is no column 'File Name'\nhint: did you mean 'Filename'"),
        ("Bi-Rads", "BIRADS", "row 1: there is no column 'Bi-Rads'"),
        (";", ",", "row 1: there is no column 'Laterality'"),
    ],
)
def test_a_missing_column_is_named(old: str, new: str, message: str, root: Path) -> None:
    write_csv(root, *ROWS, header=HEADER.replace(old, new))
    with pytest.raises(DataError, match=f"INbreast.csv, {message}"):
        len(inbreast(root))


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "INbreast.csv").unlink()
    with pytest.raises(DataError, match=r"there is no table .*INbreast.csv"):
        len(inbreast(root))


def test_another_encoding_is_told_with_file_row_and_column(root: Path) -> None:
    path = write_csv(root, *ROWS)
    path.write_bytes(path.read_bytes().replace(b"200901;50994300;3", b"200901;50994300;\xe9"))
    with pytest.raises(DataError, match=r"INbreast.csv, row 5, column 'ACR': it is not utf-8"):
        len(inbreast(root))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<plist", "is no file of contours"),
        (b"", "is no file of contours"),
        (
            plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass", "Point_px": ["12, 13"]}]}]}),
            "region 1: it has no Name, or",
        ),
        (plistlib.dumps({"Images": [{"ROIs": [{"Point_px": ["(1, 2)"]}]}]}), "region 1: it has no Name, or points"),
    ],
)
def test_broken_contours_are_named(content: bytes, message: str, root: Path) -> None:
    (root / "AllXML" / "53582540.xml").write_bytes(content)
    with pytest.raises(DataError, match=rf"53582540.xml,? {message}"):
        len(inbreast(root))


def test_it_passes_the_kit(root: Path) -> None:
    check_dataset(inbreast(root))
