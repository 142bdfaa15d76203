"""The data set ``embed``: two tables joined on exam and side, letters for findings, and what no row says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.cohorts.conftest import Scanned, write_table
from tests.plugins.cohorts.embed_tables import (
    CLINICAL,
    METADATA,
    SCREENING,
    clinical,
    embed,
    image,
    metadata,
    released,
    samples,
    write,
)

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset

Scan = Callable[[mcd.Dataset], Scanned]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write(tmp_path, metadata(), clinical())


def test_each_file_is_one_sample_however_many_findings_its_breast_has(tmp_path: Path, scanned: Scan) -> None:
    data = embed(released(tmp_path))
    found = scanned(data)
    assert len(found) == len(data) == 9
    one = found["cohort_1/66685715/1.2.100/1.3.100/1.2.826.100.LCC.1.dcm"]
    assert (one.patient, one.exam, one.view, one.laterality) == ("66685715", "100", "CC", "L")
    assert (one.density, one.assessment, one.split, one.vendor) == ("b", "0", "", "Hologic")
    assert one.collection == "embed"
    assert one.findings == dict.fromkeys(["equal-density mass", "indistinct margin", "irregular shape", "mass"], True)
    assert one.labels == {
        "desc": SCREENING,
        "side": "L",
        "asses": "A",
        "tissueden": "2.0",
        "massshape": "X",
        "massmargin": "I",
        "massdens": "=",
        "calcnumber": "0",
    }
    assert "cohort_1/66685715/a/b/LMLO.dcm" in found, "whatever stands before cohort_ in a path is of another machine"


def test_spot_views_and_synthetic_images_are_left_out_and_counted(tables: Path) -> None:
    data = embed(tables)
    assert len(data) == 9
    assert data.remarks()[:2] == [
        "1 images were left out: their FinalImageType is cview (final_image_type=… takes others)",
        "1 images were left out: they are spot compression or magnification views (spot_mag=true takes them)",
    ]
    assert len(embed(tables, spot_mag=True)) == 10
    assert len(embed(tables, final_image_type="both")) == 10
    assert [one.id for one in embed(tables, final_image_type="cview").scan() if isinstance(one, mcd.Sample)] == [
        "cohort_1/66685715/1.2.100/1.3.100/1.2.826.100.RCC.2.dcm"
    ]


def test_the_side_of_a_row_decides_which_breast_it_tells_of(tables: Path) -> None:
    found = samples(tables)
    assert found["100", "L", "MLO"].findings["mass"] is True, "all views of a breast share its findings"
    assert found["300", "L", "CC"].assessment == "1"
    assert found["300", "L", "CC"].findings["mass"] is False
    assert found["400", "L", "XCCL"].findings["oil cyst"] is True, "B is both breasts"
    assert (found["200", "L", "CC"].assessment, found["200", "R", "MLO"].assessment) == ("1", "1"), "no side: both"


def test_of_several_findings_in_a_breast_the_gravest_assessment_counts_and_all_are_named(tables: Path) -> None:
    one = samples(tables)["300", "R", "CC"]
    assert one.assessment == "4"
    assert (
        {name for name, there in one.findings.items() if there}
        == set(one.findings)
        == {
            "amorphous calcifications",
            "asymmetry",
            "asymmetry in one view",
            "breast cancer",
            "calcifications",
            "grouped distribution",
            "implant rupture",
            "suspicious calcifications",
            "typically benign calcifications",
        }
    )
    assert one.implant is True
    assert one.labels["asses"] == "S | B"
    assert one.labels["desc"] == SCREENING, "what rows repeat is told once"
    assert one.labels["otherfind"] == " | V"


def test_regions_are_read_y_first_cut_to_the_image_and_named_where_only_one_finding_can_be_meant(tables: Path) -> None:
    found = samples(tables)
    assert found["100", "L", "CC"].boxes == (mcd.Box("mass", 5, 10, 25, 30), mcd.Box("mass", 30, 40, 48, 64))
    assert found["300", "R", "CC"].boxes == (mcd.Box("", 2, 1, 4, 3),)
    assert found["100", "L", "MLO"].boxes == ()


def test_rows_that_differ_in_density_leave_it_unknown(tables: Path) -> None:
    data = embed(tables)
    found = {(one.exam, one.laterality): one for one in data.scan() if isinstance(one, mcd.Sample)}
    assert found["300", "R"].density == ""
    assert any("rows differ in tissueden" in one for one in data.remarks())


def test_codes_without_counterpart_are_kept_and_said(tables: Path) -> None:
    data = embed(tables)
    found = {one.exam: one for one in data.scan() if isinstance(one, mcd.Sample)}
    assert (found["400"].density, found["400"].labels["tissueden"]) == ("", "5"), "a normal male"
    said = [one.split(" has no")[0] for one in data.remarks() if " has no" in one]
    assert said == [
        f"{CLINICAL}, column 'massshape': 'Q'",
        f"{CLINICAL}, column 'otherfind': 'V'",
        f"{CLINICAL}, column 'tissueden': '5'",
    ]


def test_an_exam_that_the_clinical_table_lacks_is_unknown_and_said(tables: Path) -> None:
    data = embed(tables)
    one = next(one for one in data.scan() if isinstance(one, mcd.Sample) and one.exam == "500")
    assert (one.findings, one.assessment, one.density) == ({}, "", "")
    assert "1 images are of exams that the clinical table does not have: what they show is unknown" in data.remarks()


def test_views_that_are_none_are_unknown_and_said(tmp_path: Path) -> None:
    write(tmp_path, [image(100, 1, "L", "TAN"), image(100, 1, "L", "")], clinical())
    data = embed(tmp_path)
    assert [one.view for one in data.scan() if isinstance(one, mcd.Sample)] == ["", ""]
    assert any("column 'ViewPosition': 'TAN' has no counterpart here (rows: 1" in one for one in data.remarks())


def test_reduced_tables_serve_as_well(tables: Path) -> None:
    for name in (METADATA, CLINICAL):
        path = tables / "tables" / name
        path.rename(path.with_name(name.replace(".csv", "_reduced.csv")))
    assert len(embed(tables)) == 9


@pytest.mark.parametrize(
    ("table", "at", "column", "value", "message"),
    [
        (METADATA, 0, "empi_anon", "", "row 2, column 'empi_anon': the patient's id is missing"),
        (METADATA, 0, "acc_anon", "", "row 2, column 'acc_anon': the exam's id is missing"),
        (METADATA, 0, "anon_dicom_path", "", "row 2, column 'anon_dicom_path': the id is missing"),
        (METADATA, 0, "anon_dicom_path", "a/b.dcm", "row 2, column 'anon_dicom_path': it has no folder cohort_…"),
        (
            METADATA,
            2,
            "anon_dicom_path",
            metadata()[0]["anon_dicom_path"],
            "row 4, column 'anon_dicom_path': '.*' is in row 2 already",
        ),
        (METADATA, 1, "ImageLateralityFinal", "", "row 3, column 'ImageLateralityFinal': a value is missing"),
        (METADATA, 1, "ImageLateralityFinal", "B", "row 3, column 'ImageLateralityFinal': 'B' is none of L, R"),
        (METADATA, 0, "spot_mag", "no", "row 2, column 'spot_mag': 'no' is no number"),
        (METADATA, 0, "ROI_coords", "((1, 2, 3),)", "row 2, column 'ROI_coords': '.*' has not four numbers"),
        (METADATA, 0, "ROI_coords", "((1, 2, 3", "row 2, column 'ROI_coords': '.*' is no list such as"),
        (METADATA, 0, "ROI_coords", "__import__('os')", "row 2, column 'ROI_coords': '.*' is no list such as"),
        (CLINICAL, 0, "acc_anon", "", "row 2, column 'acc_anon': the exam's id is missing"),
        (CLINICAL, 0, "side", "left", "row 2, column 'side': 'left' is none of L, R, B"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(
    table: str, at: int, column: str, value: str, message: str, tables: Path
) -> None:
    rows = metadata() if table == METADATA else clinical()
    rows[at][column] = value
    write_table(tables / "tables" / table, rows)
    with pytest.raises(DataError, match=f"{table}, {message}"):
        len(embed(tables))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (METADATA, "empi_anon"),
        (METADATA, "spot_mag"),
        (METADATA, "ImageLateralityFinal"),
        (CLINICAL, "side"),
        (CLINICAL, "asses"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest(table: str, column: str, tables: Path) -> None:
    rows = metadata() if table == METADATA else clinical()
    renamed = [{f"{name}s" if name == column else name: cell for name, cell in one.items()} for one in rows]
    write_table(tables / "tables" / table, renamed)
    with pytest.raises(
        DataError, match=f"{table}, row 1: there is no column '{column}'\nhint: did you mean '{column}s'"
    ):
        len(embed(tables))


@pytest.mark.parametrize("table", [METADATA, CLINICAL])
def test_missing_tables_are_named(table: str, tables: Path) -> None:
    (tables / "tables" / table).unlink()
    with pytest.raises(DataError, match=f"there is no table .*{table}"):
        len(embed(tables))


def test_a_file_that_is_not_there_is_named(tables: Path) -> None:
    data = embed(tables)
    first = next(iter(data.scan()))
    assert isinstance(first, mcd.Sample)
    looked = data.examine(first)
    assert isinstance(looked, mcd.Unreadable)
    assert looked.source == str(tables / "images" / first.id)


def test_another_encoding_is_told_with_file_row_and_column(tables: Path) -> None:
    path = tables / "tables" / CLINICAL
    path.write_bytes(path.read_bytes().replace(b"300,MG Screening", b"300,MG Scr\xe9ening", 1))
    with pytest.raises(DataError, match=f"{CLINICAL}, row 4, column 'desc': it is not utf-8"):
        len(embed(tables))


def test_swapped_corners_of_a_region_are_put_in_order(tmp_path: Path) -> None:
    root = write(tmp_path, [metadata()[0] | {"ROI_coords": "((30, 25, 10, 5),)", "num_roi": 1}], clinical())
    data = embed(root)
    (one,) = data.scan()
    assert isinstance(one, mcd.Sample)
    assert [(box.x0, box.y0, box.x1, box.y1) for box in one.boxes] == [(5, 10, 25, 30)]
    assert one.facts["boxes"] == "64×48"
    assert any("1 boxes have swapped corners" in remark for remark in data.remarks())


def test_it_passes_the_kit(tmp_path: Path) -> None:
    check_dataset(embed(released(tmp_path)))
