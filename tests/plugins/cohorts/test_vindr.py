"""The data sets ``vindr-mammo`` and ``vindr-png``: one sample an image, three states, tables broken one way each."""

from __future__ import annotations

import csv
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from tests.plugins.cohorts.conftest import Scanned, pixels, write_dicom, write_picture, write_table

import mcd
from mcd.errors import DataError
from mcd_plugins.cohorts.vindr import VinDrMammo, VinDrPng

Rows = list[dict[str, object]]
Scan = Callable[[mcd.Dataset], Scanned]

BREAST, FINDINGS = "breast-level_annotations.csv", "finding_annotations.csv"
ALL = {
    "mass",
    "suspicious calcifications",
    "asymmetry in one view",
    "focal asymmetry",
    "global asymmetry",
    "architectural distortion",
    "axillary lymphadenopathy",
    "skin thickening",
    "skin retraction",
    "nipple retraction",
}


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def breast(study: str, image: str, birads: int, density: str, split: str, series: str = "1") -> dict[str, object]:
    side, view = image[0], image[1:].rstrip("2")
    return {
        "study_id": md5(study),
        "series_id": md5(study + series),
        "image_id": md5(study + image),
        "laterality": side,
        "view_position": view,
        "height": 64,
        "width": 48,
        "breast_birads": f"BI-RADS {birads}",
        "breast_density": f"DENSITY {density}",
        "split": split,
    }


def breasts() -> Rows:
    """Two exams: one in two series, with a malignant and a normal breast; one with L-CC twice and no L-MLO."""
    return [
        breast("one", "LCC", 4, "C", "training"),
        breast("one", "LMLO", 4, "C", "training"),
        breast("one", "RCC", 1, "C", "training", "2"),
        breast("one", "RMLO", 1, "C", "training", "2"),
        breast("two", "LCC", 3, "A", "test"),
        breast("two", "LCC2", 3, "A", "test"),
        breast("two", "RCC", 2, "B", "test"),
        breast("two", "RMLO", 2, "B", "test"),
    ]


def finding(
    image: dict[str, object], categories: str, birads: object = "", box: tuple[object, ...] = ("",) * 4
) -> dict:  # type: ignore[type-arg]
    corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    before = {name: value for name, value in image.items() if name != "split"}
    return before | {"finding_categories": categories, "finding_birads": birads} | corners | {"split": image["split"]}


def findings(images: Rows) -> Rows:
    one, two = images[:4], images[4:]
    return [
        finding(one[0], "['Suspicious Calcification', 'Mass']", "BI-RADS 4", (30.4, -3.2, 81.6, 20.0)),
        finding(one[0], "['Mass', 'Suspicious Calcification']", "BI-RADS 4", (1.0, 2.0, 3.0, 4.0)),
        finding(one[1], "['No Finding']"),
        finding(one[2], "['No Finding']"),
        finding(one[3], "['No Finding']"),
        finding(two[0], "['Skin Thickening']", "", (5.0, 5.0, 9.0, 9.0)),
        finding(two[1], "['No Finding']"),
        finding(two[2], "['No Finding']"),
        finding(two[3], "['No Finding']"),
    ]


def vindr_dicom(path: Path, seed: int) -> None:
    """Write a file as the release holds them: hexadecimal UIDs, no SOP class, no patient, 1.2.3.4 as media class."""
    write_dicom(path, seed=seed, Manufacturer="SIEMENS", WindowCenter=1800, WindowWidth=1000)
    with pydicom.config.disable_value_validation():
        dataset = pydicom.dcmread(path)
        del dataset.SOPClassUID
        dataset.SOPInstanceUID = dataset.SeriesInstanceUID = md5(path.name)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.file_meta.ImplementationClassUID = "1.2.3.4"
        dataset.save_as(path, enforce_file_format=False)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A release without images."""
    write_table(tmp_path / BREAST, breasts())
    write_table(tmp_path / FINDINGS, findings(breasts()))
    names = "SOP Instance UID,Series Instance UID,SOP Instance UID,Patient's Age,Window Center & Width Explanation"
    (tmp_path / "metadata.csv").write_text(names + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def root(tables: Path) -> Path:
    """A whole release."""
    for seed, one in enumerate(breasts()):
        vindr_dicom(tables / "images" / str(one["study_id"]) / f"{one['image_id']}.dicom", seed)
    return tables


def vindr(root: Path, **options: object) -> VinDrMammo:
    return VinDrMammo(VinDrMammo.Options.model_validate({"root": root, **options}))


def named(found: Scanned, study: str, image: str) -> mcd.Sample:
    return found[md5(study + image)]


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
    assert data.remarks() == []
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
    assert data.remarks() == [
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


def png_rows() -> Rows:
    """Return the rows of Mammo-CLIP's table: those of findings, with other names, fold, and a column a finding."""
    table = []
    for row in findings(breasts()):
        named = {"patient_id": row["study_id"], "image_id": f"{row['image_id']}.png", "view": row["view_position"]}
        kept = {name: value for name, value in row.items() if name not in ("study_id", "view_position", "image_id")}
        marks = {
            name: int(name.replace("_", " ") in str(row["finding_categories"]))
            for name in ("Mass", "Suspicious_Calcification", "Skin_Thickening")
        }
        table.append(named | kept | {"fold": 0.0} | marks)
    return table


@pytest.fixture
def png_root(tmp_path: Path) -> Path:
    write_table(tmp_path / "vindr_detection_v1_folds.csv", png_rows())
    for seed, one in enumerate(breasts()):
        write_picture(tmp_path / "images_png" / str(one["study_id"]) / f"{one['image_id']}.png", seed=seed)
    return tmp_path


def png(root: Path, **options: object) -> VinDrPng:
    return VinDrPng(VinDrPng.Options.model_validate({"root": root, **options}))


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
    assert data.remarks() == [
        f"{FINDINGS}: 2 boxes have swapped corners, which are put in order (first row 2)",
        f"{FINDINGS}: 1 boxes lie outside their image or have no area and are left out (first row 4)",
    ]


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
