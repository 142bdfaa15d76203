"""The data set ``cmmd``: the header tells the breast, and a breast without a row is unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.cohorts.cmmd_tables import ROWS, TABLE, released, write_book, write_image
from tests.plugins.cohorts.conftest import Scanned, write_table

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.cmmd import Cmmd


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return released(tmp_path)


def cmmd(root: Path, **options: object) -> Cmmd:
    return Cmmd(Cmmd.Options.model_validate({"root": root, **options}))


def test_side_and_view_come_from_the_header_and_choose_the_row(
    release: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    found = list(scanned(cmmd(release)).values())
    assert [(one.patient, one.laterality, one.view) for one in found] == [
        ("D1-0001", "R", "MLO"),
        ("D1-0001", "R", "CC"),
        ("D2-0002", "R", "CC"),
        ("D2-0002", "L", "CC"),
    ]
    assert found[0].findings == {"calcifications": True, "mass": False, "breast cancer": False}
    assert found[3].findings == {"calcifications": True, "mass": True, "breast cancer": True}
    assert found[3].labels["subtype"] == "Luminal A"
    assert found[0].id.startswith("D1-0001/")


def test_the_other_breast_is_unknown_and_that_is_said(release: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    data = cmmd(release)
    found = list(scanned(data).values())
    assert (dict(found[2].findings), dict(found[2].labels)) == ({}, {})
    assert any("1 images are of breasts that the table has no row for" in remark for remark in data.remarks())


def test_a_header_without_side_leaves_the_findings_unknown_and_that_is_said(release: Path) -> None:
    path = next((release / "CMMD" / "D2-0002").rglob("1-2.dcm"))
    write_image(path, None, "CC")
    data = cmmd(release)
    sample = list(data.scan())[3]
    assert isinstance(sample, mcd.Sample)
    assert (sample.laterality, dict(sample.findings)) == ("", {})
    assert any("headers of 1 images do not state the side" in remark for remark in data.remarks())
    assert any("1 rows are of breasts without an image here (first row 3)" in remark for remark in data.remarks())


def test_a_broken_file_is_named_and_stops_nothing_else(release: Path) -> None:
    path = next((release / "CMMD" / "D1-0001").rglob("1-1.dcm"))
    path.write_bytes(b"<html>")
    data = cmmd(release)
    found = [data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample)]
    assert [isinstance(one, mcd.Unreadable) for one in found] == [True, False, False, False]


def test_a_csv_beside_the_workbook_and_the_download_tools_folder_serve(release: Path) -> None:
    (release / TABLE).unlink()
    write_table((release / TABLE).with_suffix(".csv"), ROWS)
    (release / "manifest-1616439774456").mkdir()
    (release / "CMMD").rename(release / "manifest-1616439774456" / "CMMD")
    assert len(cmmd(release)) == 4


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ROWS[0], ROWS[1] | {"LeftRight": "X"}], "row 3, column 'LeftRight': 'X' is none of"),
        ([ROWS[0], ROWS[1] | {"ID1": None}], "row 3, column 'ID1'"),
        ([ROWS[0], ROWS[0]], "row 3, column 'LeftRight'"),
        (
            [{key: value for key, value in ROWS[0].items() if key != "abnormality"}],
            "row 1: there is no column 'abnormality'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(
    release: Path, rows: list[dict[str, object]], said: str
) -> None:
    write_book(release / TABLE, rows)
    with pytest.raises(DataError) as caught:
        list(cmmd(release).scan())
    assert TABLE in caught.value.message
    assert said in caught.value.message


def test_an_unknown_label_is_kept_and_remarked(release: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    write_book(release / TABLE, [ROWS[0] | {"abnormality": "cyst", "classification": "Unsure"}])
    data = cmmd(release)
    found = next(iter(scanned(data).values()))
    assert found.findings == {}
    assert found.labels["abnormality"] == "cyst"
    assert any("'cyst'" in remark and "'abnormality'" in remark and "row 2" in remark for remark in data.remarks())
    assert any("'Unsure'" in remark for remark in data.remarks())


def test_without_images_or_workbook_the_folder_to_give_is_said(release: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*pictures"):
        list(cmmd(release, images="pictures").scan())
    with pytest.raises(DataError, match=r"there is no table .*other\.xlsx"):
        list(cmmd(release, table="other.xlsx").scan())


def test_it_passes_the_kit(release: Path) -> None:
    check_dataset(cmmd(release))
