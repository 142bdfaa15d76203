"""Ids in tables: a column that a tool took for numbers names the same images and women."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from tests.plugins.cohorts.conftest import Scanned, write_dicom, write_picture, write_table

import mcd
from mcd.errors import DataError
from mcd_plugins.cohorts.rsna import RsnaBcd
from mcd_plugins.cohorts.tables import Row
from mcd_plugins.cohorts.vindr import VinDrPng
from mcd_plugins.datasets.csv_table import CsvTable

Scan = Callable[[mcd.Dataset], Scanned]


@pytest.mark.parametrize(
    ("written", "key"),
    [("10006", "10006"), ("10006.0", "10006"), ("007.00", "007"), ("1.5", "1.5"), ("P_1.0", "P_1.0"), ("nan", "")],
)
def test_a_number_for_an_id_is_the_id(written: str, key: str) -> None:
    assert Row(Path("t.csv"), 2, {"id": written}).key("id") == key


@pytest.mark.parametrize("written", ["1.23457E+12", "8.099129e+15"])
def test_an_id_that_was_rounded_is_refused(written: str) -> None:
    with pytest.raises(DataError, match=r"t\.csv, row 2, column 'id': '.*' is an id whose last digits"):
        Row(Path("t.csv"), 2, {"id": written}).key("id")


def test_rsna_finds_files_by_ids_that_became_numbers(tmp_path: Path, scanned: Scan) -> None:
    row = {"laterality": "L", "view": "CC", "cancer": 0, "BIRADS": "", "implant": 0, "density": ""}
    rows = [{"patient_id": "10006.0", "image_id": "1.0"} | row, {"patient_id": "10006", "image_id": "2"} | row]
    write_table(tmp_path / "train.csv", rows)
    for image in ("1", "2"):
        write_dicom(tmp_path / "train_images" / "10006" / f"{image}.dcm", seed=int(image))
    found = scanned(RsnaBcd(RsnaBcd.Options(root=tmp_path)))
    assert [(one.id, one.patient) for one in found.values()] == [("1", "10006"), ("2", "10006")]
    write_table(tmp_path / "train.csv", [*rows, rows[0] | {"image_id": "2.0"}])
    with pytest.raises(DataError, match="row 4, column 'image_id': '2' is in row 3 already"):
        list(RsnaBcd(RsnaBcd.Options(root=tmp_path)).scan())


def test_vindr_png_finds_files_by_ids_that_became_numbers(tmp_path: Path, scanned: Scan) -> None:
    row = {"laterality": "L", "view": "CC", "split": "test", "Mass": 0}
    rows = [{"patient_id": "7.0", "image_id": "12.0"} | row, {"patient_id": "7", "image_id": "12"} | row]
    write_table(tmp_path / "vindr_detection_v1_folds.csv", rows)
    write_picture(tmp_path / "images_png" / "7" / "12.png")
    (one,) = scanned(VinDrPng(VinDrPng.Options(root=tmp_path))).values()
    assert (one.id, one.patient) == ("12", "7")


def test_cells_of_a_workbook_and_of_a_table_are_one_patient(tmp_path: Path, scanned: Scan) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for cells in (
        ["path", "id", "patient", "exam"],
        ["1.png", "1.0", "10006.0", 2014.0],
        ["2.png", "b", "10006", 2014],
    ):
        page.append(cells)
    book.save(tmp_path / "table.xlsx")
    for seed in (1, 2):
        write_picture(tmp_path / f"{seed}.png", seed=seed)
    found = scanned(CsvTable(CsvTable.Options.model_validate({"table": tmp_path / "table.xlsx"})))
    assert {(one.patient, one.exam) for one in found.values()} == {("10006", "2014")}
    assert list(found) == ["1", "b"]


def test_a_path_made_of_ids_and_rows_of_findings_know_them_too(tmp_path: Path, scanned: Scan) -> None:
    rows = [
        {"patient": patient, "image": image, "finding": word}
        for patient, image, word in (("7.0", "12.0", "Mass"), ("7", "12", "Asymmetry"), ("7", "13.0", "Mass"))
    ]
    table = write_table(tmp_path / "table.csv", rows)
    for image in (12, 13):
        write_picture(tmp_path / "7" / f"{image}.png", seed=image)
    settings = {"table": table, "path": "{patient}/{image}.png", "rows": "finding", "finding": "finding"}
    found = scanned(CsvTable(CsvTable.Options.model_validate(settings)))
    assert [(one.patient, set(one.findings)) for one in found.values()] == [
        ("7", {"mass", "asymmetry"}),
        ("7", {"mass"}),
    ]
