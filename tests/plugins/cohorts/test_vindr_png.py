"""The data set ``vindr-png``: Mammo-CLIP's table of the same images as pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.cohorts.conftest import Scanned, write_table
from tests.plugins.cohorts.vindr_tables import ALL, md5, named, png_rows, released_as_png

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.vindr import VinDrPng

Scan = Callable[[mcd.Dataset], Scanned]


@pytest.fixture
def png_root(tmp_path: Path) -> Path:
    return released_as_png(tmp_path)


def png(root: Path, **options: object) -> VinDrPng:
    return VinDrPng(VinDrPng.Options.model_validate({"root": root, **options}))


def test_pngs_tell_the_same_as_the_release_without_boxes(png_root: Path, scanned: Scan) -> None:
    found = scanned(png(png_root))
    assert len(found) == 8, "one a picture, not one a row"
    one = named(found, "one", "LCC")
    assert (one.patient, one.view, one.laterality, one.split, one.density, one.assessment) == (
        md5("one"),
        "CC",
        "L",
        "training",
        "c",
        "4",
    )
    assert one.findings == {"mass": True, "suspicious calcifications": True}
    assert one.boxes == (), "those of the table are of the whole image"
    assert named(found, "one", "RCC").findings == dict.fromkeys(ALL, False)
    assert one.labels["fold"] == "0.0"
    assert png(png_root).read(one).maximum == 255


def test_columns_of_findings_serve_where_there_is_no_list(png_root: Path, scanned: Scan) -> None:
    without = [
        {name: value for name, value in row.items() if not name.startswith(("finding", "breast"))} for row in png_rows()
    ]
    write_table(png_root / "vindr_detection_v1_folds.csv", without)
    found = scanned(png(png_root, unlisted="absent"))
    assert named(found, "one", "LCC").findings == {
        "mass": True,
        "suspicious calcifications": True,
        "skin thickening": False,
    }, "findings without a column are unknown"
    assert named(found, "one", "RCC").assessment == ""


@pytest.mark.parametrize(
    ("at", "column", "value", "message"),
    [
        (0, "patient_id", "", "row 2, column 'patient_id': the patient id is missing"),
        (0, "image_id", "", "row 2, column 'image_id': the image id is missing"),
        (2, "laterality", "", "row 4, column 'laterality': a value is missing"),
        (2, "split", "valid", "row 4, column 'split': 'valid' is none of training, test"),
        (2, "view", "", "row 4, column 'view': a value is missing"),
        (1, "laterality", "R", "row 3, column 'laterality': 'R', but of the same image 'L' in row 2"),
        (1, "split", "test", "row 3, column 'split': 'test', but of the same image 'training' in row 2"),
        (1, "patient_id", md5("two"), "row 3, column 'image_id': '.*' belongs to another patient as well"),
    ],
)
def test_what_is_wrong_with_the_table_of_pngs_is_told(
    at: int, column: str, value: str, message: str, png_root: Path
) -> None:
    rows = png_rows()
    rows[at][column] = value
    write_table(png_root / "vindr_detection_v1_folds.csv", rows)
    with pytest.raises(DataError, match=f"vindr_detection_v1_folds.csv, {message}"):
        len(png(png_root))


def test_a_table_of_pngs_without_findings_is_refused(png_root: Path) -> None:
    few = ("patient_id", "image_id", "laterality", "view", "split")
    write_table(png_root / "vindr_detection_v1_folds.csv", [{name: row[name] for name in few} for row in png_rows()])
    with pytest.raises(DataError, match=r"vindr_detection_v1_folds.csv, row 1: there is no column of findings"):
        len(png(png_root))


def test_it_passes_the_kit(png_root: Path) -> None:
    check_dataset(png(png_root))
