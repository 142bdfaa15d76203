"""The data set ``dmid``: the original release in miniature, and the real images of the preprocessed copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from tests.plugins.cohorts.conftest import Scanned, write_picture, write_table
from tests.plugins.cohorts.dmid_tables import INFO, released

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.dmid import Dmid


def dmid(root: Path, **options: object) -> Dmid:
    return Dmid(Dmid.Options.model_validate({"root": root, **options}))


def named(data: mcd.Dataset) -> Scanned:
    return {one.id: one for one in data.scan() if isinstance(one, mcd.Sample)}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return released(tmp_path)


def test_rows_of_one_image_are_one_sample(release: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    data = dmid(release)
    found = scanned(data)
    one = found["IMG001"]
    assert (one.view, one.laterality, one.patient, one.density) == ("MLO", "L", "", "")
    assert one.findings == {
        "calcifications": True,
        "mass": True,
        "circumscribed margin": True,
        "breast cancer": True,
    }
    assert one.labels["abnormality"] == "CALC+MISC; CIRC"
    assert one.labels["tissue"] == "G"
    assert set(found["IMG002"].findings.values()) == {False}
    assert data.read(one).pixels.ndim == 2


def test_known_defects_are_handled_or_said(release: Path) -> None:
    data = dmid(release)
    found = named(data)
    assert found["IMG003"].findings == {"calcifications": True, "breast cancer": False}  # CLAC
    assert found["IMG003"].labels["abnormality"] == "CLAC"
    assert (found["IMG004"].view, found["IMG004"].laterality) == ("CC", "")
    assert "breast cancer" not in found["IMG004"].findings
    remarks = "\n".join(data.remarks())
    assert "'CCLRT' has no counterpart" in remarks
    assert "'N' has no counterpart" in remarks
    assert "2 circles lie outside their image or have no radius (first row 5)" in remarks
    assert "records no patients" in remarks


def test_circles_count_from_the_top_and_belong_to_the_tiff_files(
    release: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    found = scanned(dmid(release))
    assert found["IMG001"].boxes == (mcd.Box("calcifications", 15, 25, 25, 35), mcd.Box("mass", 32, 52, 48, 64))
    assert found["IMG004"].boxes == found["IMG005"].boxes == ()
    dicom = scanned(dmid(release, images="dicom"))
    assert dicom["IMG001"].boxes == ()
    assert dicom["IMG001"].source.endswith("IMG001.dcm")


def test_a_table_without_views_leaves_them_unknown_and_says_so(release: Path) -> None:
    (release / "Info.txt").write_text("IMG001  G  CIRC  B  20  30  5\nIMG002 F NORM\n")
    data = dmid(release)
    found = named(data)
    assert (found["IMG001"].view, found["IMG001"].laterality) == ("", "")
    assert found["IMG001"].findings["mass"]
    assert any("2 images have no view" in remark for remark in data.remarks())


def test_the_workbook_serves_as_well(release: Path) -> None:
    expected = named(dmid(release))
    (release / "Info.txt").unlink()
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in INFO.replace("CALC + MISC", "CALC+MISC").splitlines():
        sheet.append([int(cell) if cell.isdigit() else cell for cell in line.split()])
    book.save(release / "Metadata.xlsx")
    assert named(dmid(release)) == expected


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("IMG001  MLOLT", "IMG001  MLORT", "row 2, column 'view': 'MLORT', but row 1 says 'MLOLT'"),
        ("IMG002  MLORT  F  NORM", "IMG002  MLORT  F", "row 3, column 'abnormality'"),
        ("IMG002", "IMG-2", "row 3, column 'image': 'IMG-2'"),
        ("20\t30\t5", "20\t30\t5\t9", "row 1, column 'r': 9 words"),
        ("20\t30\t5", "20\t30", "row 1, column 'r': a circle needs all"),
        ("20\t30\t5", "20\tthirty\t5", "row 1, column 'y': 'thirty' is no number"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(release: Path, old: str, new: str, said: str) -> None:
    assert old in INFO
    (release / "Info.txt").write_text(INFO.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        list(dmid(release).scan())
    assert "Info.txt" in caught.value.message
    assert said in caught.value.message


def test_a_missing_table_or_image_is_said(release: Path) -> None:
    (release / "TIFF Images" / "TIFF Images" / "IMG002.tif").unlink()
    data = dmid(release)
    found = [data.examine(one) for one in named(data).values()]
    (missing,) = [one for one in found if isinstance(one, mcd.Unreadable)]
    assert missing.source.endswith("IMG002.tif")
    (release / "Info.txt").unlink()
    with pytest.raises(DataError, match=r"none of labels\.csv, Info\.txt, Metadata\.xlsx"):
        list(dmid(release).scan())


def test_the_preprocessed_copy_is_known_by_its_table(tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    line = {
        "image": "IMG001",
        "view": "MLOLT",
        "tissue": "G",
        "abnormality": "CIRC",
        "severity": "B",
        "x": 20,
        "y": 30,
        "r": 5,
    }
    write_table(tmp_path / "labels.csv", [line])
    write_picture(tmp_path / "images" / "IMG001.png")
    data = dmid(tmp_path)
    found = scanned(data)["IMG001"]
    assert found.boxes == ()  # the circle fits another frame
    assert (found.labels["x"], found.labels["r"]) == ("20", "5")
    assert any("nipple points left" in remark for remark in data.remarks())
    write_table(tmp_path / "labels.csv", [{key: cell for key, cell in line.items() if key != "view"}])
    with pytest.raises(DataError, match=r"labels\.csv, row 1: there is no column 'view'"):
        list(dmid(tmp_path).scan())


def test_the_real_images_come_with_the_published_counts(
    shared: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    data = dmid(shared / "data" / "dmid")
    found = scanned(data)
    assert len(found) == len(data) == 510
    codes = Counter(
        code for one in found.values() for code in set(one.labels["abnormality"].replace("; ", "+").split("+"))
    )
    assert codes == {"NORM": 200, "CIRC": 151, "CALC": 87, "MISC": 80, "SPIC": 58, "ARCH": 16, "ASYM": 6}
    assert Counter(one.labels["tissue"] for one in found.values()) == {"G": 426, "F": 66, "D": 16, "-": 2}
    present = Counter(name for one in found.values() for name, there in one.findings.items() if there)
    assert (present["calcifications"], present["architectural distortion"], present["asymmetry"]) == (87, 16, 6)
    assert (present["circumscribed margin"], present["spiculated margin"]) == (151, 58)
    assert sum(set(one.findings.values()) == {False} for one in found.values()) == 200
    assert Counter((one.view, one.laterality) for one in found.values()) == {
        ("CC", "L"): 133,
        ("CC", "R"): 115,
        ("MLO", "L"): 139,
        ("MLO", "R"): 122,
        ("CC", ""): 1,
    }
    assert {one.patient for one in found.values()} == {""}
    assert len({one.digest for one in found.values()}) == 510 - 4  # four pairs are the same image
    image = data.read(found["IMG001"])
    assert image.pixels.shape == (512, 512)


def test_it_passes_the_kit(release: Path) -> None:
    check_dataset(dmid(release))
    check_dataset(dmid(release, images="dicom"))
