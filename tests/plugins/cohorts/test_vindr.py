"""The data set ``vindr-mammo``: one sample an image, three states, tables broken one way each."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.cohorts.conftest import Scanned, pixels, write_table
from tests.plugins.cohorts.vindr_tables import (
    ALL,
    BREAST,
    FINDINGS,
    breasts,
    finding,
    findings,
    md5,
    named,
    released,
    tables_of,
)

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.vindr import VinDrMammo

Scan = Callable[[mcd.Dataset], Scanned]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A release without images."""
    return tables_of(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A whole release."""
    return released(tmp_path)


def vindr(root: Path, **options: object) -> VinDrMammo:
    return VinDrMammo(VinDrMammo.Options.model_validate({"root": root, **options}))


def test_each_image_is_one_sample_however_many_findings_it_has(root: Path, scanned: Scan) -> None:
    data = vindr(root)
    found = scanned(data)
    assert len(found) == len(data) == 8
    one = named(found, "one", "LCC")
    assert (one.patient, one.exam, one.split) == (md5("one"), md5("one"), "training")
    assert (one.view, one.laterality, one.density, one.assessment) == ("CC", "L", "c", "4")
    assert one.collection == "vindr-mammo"
    assert one.vendor == "Siemens"
    assert (
        one.labels["finding_categories"]
        == "['Suspicious Calcification', 'Mass'] | ['Mass', 'Suspicious Calcification']"
    )
    assert one.labels["breast_birads"] == "BI-RADS 4"
    assert not any(data.remarks())
    assert {sample.exam for sample in found.values()} == {md5("one"), md5("two")}, "series do not make exams"


def test_a_study_may_have_the_same_view_twice(root: Path, scanned: Scan) -> None:
    found = scanned(vindr(root))
    views = sorted((one.laterality, one.view) for one in found.values() if one.exam == md5("two"))
    assert views == [("L", "CC"), ("L", "CC"), ("R", "CC"), ("R", "MLO")]


def test_boxes_are_cut_to_the_image_and_carry_every_label(root: Path, scanned: Scan) -> None:
    one = named(scanned(vindr(root)), "one", "LCC")
    assert one.boxes == (
        mcd.Box("suspicious calcifications", 30, 0, 48, 20),
        mcd.Box("mass", 30, 0, 48, 20),
        mcd.Box("mass", 1, 2, 3, 4),
        mcd.Box("suspicious calcifications", 1, 2, 3, 4),
    )


def test_no_finding_is_not_normal(root: Path, scanned: Scan) -> None:
    found = scanned(vindr(root))
    assert named(found, "one", "LCC").findings == {"mass": True, "suspicious calcifications": True}
    assert named(found, "one", "LMLO").findings == {}, "the mass is drawn in the other view only"
    assert named(found, "one", "RCC").findings == dict.fromkeys(ALL, False), "BI-RADS 1"
    assert named(found, "two", "RCC").findings == {}, "BI-RADS 2: benign findings are not drawn"
    assert named(found, "two", "LCC").findings == {"skin thickening": True}


def test_benchmarks_take_what_is_not_drawn_as_absent(root: Path, scanned: Scan) -> None:
    found = scanned(vindr(root, unlisted="absent"))
    there = {"mass", "suspicious calcifications"}
    assert named(found, "one", "LMLO").findings == dict.fromkeys(ALL - there, False), "but not of the other view"
    assert named(found, "one", "LCC").findings == dict.fromkeys(there, True) | dict.fromkeys(ALL - there, False)
    assert named(found, "two", "RCC").findings == dict.fromkeys(ALL, False)


def test_files_of_the_release_decode(root: Path, scanned: Scan) -> None:
    data = vindr(root, reading={"voi": "none"})
    sample = named(scanned(data), "one", "LCC")
    stored = data.read_stored(sample)
    assert (stored.pixels == pixels(0)).all()
    assert data.read(sample).pixels.shape == (64, 48)


def test_the_data_set_crosses_process_boundaries(tables: Path) -> None:
    data = vindr(tables)
    assert list(pickle.loads(pickle.dumps(data)).scan()) == list(data.scan())


def test_an_unknown_finding_is_kept_and_said(root: Path, scanned: Scan) -> None:
    rows = findings(breasts())
    rows[4]["finding_categories"] = "['Oedema']"
    write_table(root / FINDINGS, rows)
    data = vindr(root)
    found = scanned(data)
    assert named(found, "one", "RMLO").labels["finding_categories"] == "['Oedema']"
    assert "oedema" not in named(found, "one", "RMLO").findings
    assert [*filter(None, data.remarks())] == [
        "finding_annotations.csv, column 'finding_categories': 'Oedema' has no counterpart here "
        "(rows: 1, first row 6); it is kept as it is in labels"
    ]


def test_a_file_that_is_not_there_is_named(root: Path) -> None:
    data = vindr(root)
    first = next(iter(data.scan()))
    assert isinstance(first, mcd.Sample)
    Path(first.source).unlink()
    looked = data.examine(first)
    assert isinstance(looked, mcd.Unreadable)
    assert looked.source == first.source
    assert "a table of the data set names it" in looked.reason


@pytest.mark.parametrize("name", [BREAST, FINDINGS])
def test_a_missing_table_is_named(name: str, tables: Path) -> None:
    (tables / name).unlink()
    with pytest.raises(DataError, match=f"there is no table .*{name}"):
        len(vindr(tables))


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        len(vindr(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("table", "at", "column", "value", "message"),
    [
        (BREAST, 0, "study_id", "", "row 2, column 'study_id': the exam's id is missing"),
        (BREAST, 1, "image_id", "", "row 3, column 'image_id': the id is missing"),
        (BREAST, 2, "laterality", "", "row 4, column 'laterality': a value is missing"),
        (BREAST, 2, "laterality", "B", "row 4, column 'laterality': 'B' is none of L, R"),
        (BREAST, 0, "view_position", "AP", "row 2, column 'view_position': 'AP' is none of"),
        (BREAST, 0, "split", "train", "row 2, column 'split': 'train' is none of training, test"),
        (BREAST, 0, "split", "", "row 2, column 'split': a value is missing"),
        (BREAST, 0, "height", "tall", "row 2, column 'height': 'tall' is no number"),
        (BREAST, 1, "image_id", md5("oneLCC"), "row 3, column 'image_id': '.*' is in row 2 already"),
        (BREAST, 7, "image_id", md5("other"), f".*{FINDINGS}, row 10, column 'image_id': '.*' is not in breast-level"),
        (FINDINGS, 0, "image_id", md5("other"), "row 2, column 'image_id': '.*' is not in breast-level"),
        (FINDINGS, 8, "image_id", md5("oneLCC"), f".*{BREAST}, row 9, column 'image_id': '.*' is not in finding_"),
        (FINDINGS, 0, "finding_categories", "Mass", "row 2, column 'finding_categories': 'Mass' is no list"),
        (FINDINGS, 0, "finding_categories", "", "row 2, column 'finding_categories': '' is no list"),
        (FINDINGS, 0, "finding_categories", "__import__('os')", "row 2, column 'finding_categories': '.*' is no list"),
        (FINDINGS, 0, "finding_categories", "['No Finding']", "row 2, column 'finding_categories': 'No .*' has a box"),
        (FINDINGS, 0, "xmax", "", "row 2, column 'xmin': a box needs all of xmin, ymin, xmax, ymax"),
        (FINDINGS, 0, "ymin", "low", "row 2, column 'ymin': 'low' is no number"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(
    table: str, at: int, column: str, value: str, message: str, tables: Path
) -> None:
    rows = breasts() if table == BREAST else findings(breasts())
    rows[at][column] = value
    write_table(tables / table, rows)
    with pytest.raises(DataError, match=message if message.startswith(".*") else f"{table}, {message}"):
        len(vindr(tables))


@pytest.mark.parametrize(("table", "column"), [(BREAST, "split"), (BREAST, "laterality"), (FINDINGS, "xmin")])
def test_a_missing_column_is_named_with_the_nearest(table: str, column: str, tables: Path) -> None:
    rows = breasts() if table == BREAST else findings(breasts())
    write_table(tables / table, [{f"{name}s" if name == column else name: one[name] for name in one} for one in rows])
    with pytest.raises(
        DataError, match=rf"{table}, row 1: there is no column '{column}'\nhint: did you mean '{column}s'"
    ):
        len(vindr(tables))


def test_another_encoding_is_told_with_file_row_and_column(tables: Path) -> None:
    rows = breasts()
    rows[5]["breast_density"] = "DENSITÉ A"
    write_table(tables / BREAST, rows)
    (tables / BREAST).write_bytes((tables / BREAST).read_text(encoding="utf-8").encode("cp1252"))
    with pytest.raises(DataError, match=rf"{BREAST}, row 7, column 'breast_density': it is not utf-8"):
        len(vindr(tables))


def test_of_two_columns_with_one_name_the_first_counts(tables: Path) -> None:
    lines = (tables / BREAST).read_text(encoding="utf-8").splitlines()
    again = [f"{lines[0]},laterality", *(f"{line},R" for line in lines[1:])]
    (tables / BREAST).write_text("\n".join(again), encoding="utf-8")
    first = next(iter(vindr(tables).scan()))
    assert isinstance(first, mcd.Sample)
    assert first.laterality == "L"


def test_a_row_with_too_many_cells_is_named(tables: Path) -> None:
    with (tables / BREAST).open("a", newline="") as file:
        csv.writer(file).writerow(["x"] * 12)
    with pytest.raises(DataError, match=rf"{BREAST}, row 10: 12 cells for 10 columns"):
        len(vindr(tables))


def test_swapped_corners_are_put_in_order_and_boxes_outside_are_counted(tables: Path) -> None:
    images = breasts()[:1]
    rows = [
        finding(images[0], "['Mass']", "BI-RADS 4", (30, 20, 10, 5)),
        finding(images[0], "['Mass']", "BI-RADS 4", (10, 20, 30, 5)),
        finding(images[0], "['Mass']", "BI-RADS 4", (60, 20, 90, 25)),
    ]
    write_table(tables / BREAST, images)
    write_table(tables / FINDINGS, rows)
    data = vindr(tables)
    (one,) = data.scan()
    assert isinstance(one, mcd.Sample)
    assert one.boxes == (mcd.Box("mass", 10, 5, 30, 20),) * 2
    assert one.facts["boxes"] == "64×48"
    assert [*filter(None, data.remarks())] == [
        f"{FINDINGS}: 2 boxes have swapped corners, which are put in order (first row 2)",
        f"{FINDINGS}: 1 boxes lie outside their image or have no area and are left out (first row 4)",
    ]


def test_it_passes_the_kit(root: Path) -> None:
    check_dataset(vindr(root))
