"""The data set ``rsna-bcd``: cancer per breast, labels that go with the site, DICOM or PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import JPEG2000Lossless
from tests.plugins.cohorts.conftest import Scanned, pixels, write_dicom, write_picture, write_table
from tests.plugins.cohorts.rsna_tables import released, rows

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.rsna import RsnaBcd

Scan = Callable[[mcd.Dataset], Scanned]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    write_table(tmp_path / "train.csv", rows())
    return tmp_path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return released(tmp_path)


def rsna(root: Path, **options: object) -> RsnaBcd:
    return RsnaBcd(RsnaBcd.Options.model_validate({"root": root, **options}))


def test_what_the_table_says_of_an_image(root: Path, scanned: Scan) -> None:
    data = rsna(root)
    found = scanned(data)
    one = found["1864590858"]
    assert len(found) == len(data) == 6
    assert (one.patient, one.exam, one.split, one.collection) == ("10006", "10006", "train", "rsna-bcd")
    assert (one.view, one.laterality, one.density, one.assessment, one.implant) == ("MLO", "R", "a", "0", False)
    assert one.findings == {"breast cancer": True}
    assert one.labels["machine_id"] == "49"
    assert one.labels["difficult_negative_case"] == "True"
    assert one.vendor == "", "a number of a machine names no vendor"
    assert one.labels["age"] == "61.0"
    assert not any(data.remarks())


def test_the_table_says_nothing_of_what_is_seen(root: Path, scanned: Scan) -> None:
    found = scanned(rsna(root))
    assert found["1459541791"].assessment == "2"
    assert all(set(one.findings) == {"breast cancer"} for one in found.values())
    assert found["462822612"].findings == {"breast cancer": False}


def test_what_a_site_does_not_tell_is_unknown(root: Path, scanned: Scan) -> None:
    one = scanned(rsna(root))["388811999"]
    assert (one.density, one.assessment, one.implant) == ("", "", True)
    assert one.labels["site_id"] == "2"


def test_an_axillary_tail_view_is_an_exaggerated_one(root: Path, scanned: Scan) -> None:
    assert scanned(rsna(root))["388811999"].view == "XCCL"


def test_dicom_files_are_displayed_and_stored_values_kept(root: Path, scanned: Scan) -> None:
    data = rsna(root)
    found = scanned(data)
    negative = found["1864590858"]
    shown = data.read(negative).pixels.astype(float)
    inside = pixels(2) > 0
    assert shown[inside].mean() < shown[~inside].mean(), "MONOCHROME1 is the wrong way round here, and so turned"
    assert (data.read_stored(found["388811999"]).pixels == pixels(4)).all()


def test_compressed_files_decode(tables: Path, scanned: Scan) -> None:
    import pydicom

    write_table(tables / "train.csv", rows()[:1])
    path = write_dicom(tables / "train_images" / "10006" / "462822612.dcm")
    dataset = pydicom.dcmread(path)
    dataset.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg")
    dataset.save_as(path)
    data = rsna(tables)
    one = scanned(data)["462822612"]
    assert one.facts["syntax"].startswith("JPEG 2000")
    assert (data.read_stored(one).pixels == pixels(0)).all()


def test_a_file_cut_short_is_named_before_the_run(root: Path) -> None:
    data = rsna(root)
    first = next(iter(data.scan()))
    assert isinstance(first, mcd.Sample)
    whole = Path(first.source).read_bytes()
    Path(first.source).write_bytes(whole[: len(whole) // 2])
    looked = data.examine(first)
    assert isinstance(looked, mcd.Unreadable)
    assert looked.source == first.source


@pytest.mark.parametrize("name", ["10006/462822612.png", "10006_462822612.png"])
def test_pngs_serve_as_well(name: str, tables: Path, scanned: Scan) -> None:
    write_table(tables / "train.csv", rows()[:1])
    write_picture(tables / "pngs" / name)
    data = rsna(tables, images="pngs")
    assert data.read(scanned(data)["462822612"]).maximum == 255


def test_of_the_test_part_no_label_is_public(tmp_path: Path, scanned: Scan) -> None:
    kept = ("site_id", "patient_id", "image_id", "laterality", "view", "age", "implant", "machine_id")
    test = [{name: one[name] for name in kept} | {"prediction_id": "10006_L"} for one in rows()[:1]]
    write_table(tmp_path / "test.csv", test)
    write_dicom(tmp_path / "test_images" / "10006" / "462822612.dcm")
    one = scanned(rsna(tmp_path, part="test"))["462822612"]
    assert one.findings == {}
    assert (one.split, one.density, one.assessment, one.implant) == ("test", "", "", False)


def test_a_table_of_folds_serves_as_well(root: Path) -> None:
    write_table(root / "train_folds.csv", [{**one, "fold": 3} for one in rows()])
    first = next(iter(rsna(root, table="train_folds.csv").scan()))
    assert isinstance(first, mcd.Sample)
    assert first.labels["fold"] == "3"


def test_codes_without_counterpart_are_kept_and_said(tables: Path) -> None:
    changed = rows()
    changed[0] |= {"BIRADS": 4, "density": "E"}
    write_table(tables / "train.csv", changed)
    data = rsna(tables)
    first = next(iter(data.scan()))
    assert isinstance(first, mcd.Sample)
    assert (first.assessment, first.density) == ("", "")
    assert (first.labels["BIRADS"], first.labels["density"]) == ("4", "E")
    assert [one.split(" has")[0] for one in data.remarks() if one] == [
        "train.csv, column 'density': 'E'",
        "train.csv, column 'BIRADS': '4'",
    ]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("patient_id", "", "the patient's id is missing"),
        ("image_id", "", "the id is missing"),
        ("image_id", "462822612", "'462822612' is in row 2 already"),
        ("laterality", "", "a value is missing"),
        ("laterality", "B", "'B' is none of L, R"),
        ("view", "", "a value is missing"),
        ("cancer", "2", "'2' is neither 0 nor 1"),
        ("cancer", "yes", "'yes' is no number"),
        ("implant", "0.5", "'0.5' is no whole number"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(column: str, value: str, message: str, tables: Path) -> None:
    changed = rows()
    changed[2][column] = value
    write_table(tables / "train.csv", changed)
    with pytest.raises(DataError, match=f"train.csv, row 4, column '{column}': {message}"):
        len(rsna(tables))


@pytest.mark.parametrize("column", ["patient_id", "laterality", "cancer", "BIRADS", "density", "implant"])
def test_a_missing_column_is_named(column: str, tables: Path) -> None:
    write_table(tables / "train.csv", [{k: v for k, v in one.items() if k != column} for one in rows()])
    with pytest.raises(DataError, match=f"train.csv, row 1: there is no column '{column}'"):
        len(rsna(tables))


def test_missing_files_are_named(tables: Path) -> None:
    data = rsna(tables)
    first = next(iter(data.scan()))
    assert isinstance(first, mcd.Sample)
    looked = data.examine(first)
    assert isinstance(looked, mcd.Unreadable)
    assert looked.source == str(tables / "train_images" / "10006" / "462822612.dcm")
    (tables / "train.csv").unlink()
    with pytest.raises(DataError, match=r"there is no table .*train.csv"):
        len(rsna(tables))


def test_another_encoding_is_told_with_file_row_and_column(tables: Path) -> None:
    text = (tables / "train.csv").read_text(encoding="utf-8").replace("MLO", "MLÖ", 1)
    (tables / "train.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"train.csv, row 3, column 'view': it is not utf-8"):
        len(rsna(tables))


def test_it_passes_the_kit(root: Path) -> None:
    check_dataset(rsna(root))
