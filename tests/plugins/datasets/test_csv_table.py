"""The data set ``csv``: anybody's images and labels, read as they are meant or not at all."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from tests.conftest import Outcome
from tests.plugins.cohorts.conftest import write_dicom, write_picture, write_table

import mcd
from mcd.errors import ConfigError, DataError
from mcd.options import validate_options
from mcd_plugins.datasets.csv_table import CsvTable

ROWS: list[dict[str, object]] = [
    {
        "path": "a/one.png",
        "patient": "P1",
        "laterality": "left",
        "view": "cc",
        "density": "B",
        "split": "train",
        "mass": 1,
        "calcifications": "no",
        "site": "north",
    },
    {
        "path": "a\\two.png",
        "patient": "P1",
        "laterality": "R",
        "view": "MLO",
        "density": "3.0",
        "split": "test",
        "mass": "",
        "calcifications": "Present",
        "site": "south",
    },
    {
        "path": "three.dcm",
        "patient": "P2",
        "laterality": "",
        "view": "",
        "density": "",
        "split": "test",
        "mass": 0.0,
        "calcifications": "",
        "site": "",
    },
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_picture(tmp_path / "a" / "one.png", seed=1)
    write_picture(tmp_path / "a" / "two.png", seed=2)
    write_dicom(tmp_path / "three.dcm", seed=3, ImageLaterality="R", ViewPosition="MLO", PatientID="not this")
    return write_table(tmp_path / "labels.csv", ROWS)


def csv(table: Path, **options: object) -> CsvTable:
    return CsvTable(validate_options(CsvTable.Options, {"table": str(table), **options}, "data set 'csv'"))


def samples(data: mcd.Dataset) -> list[mcd.Sample]:
    return [one for one in data.scan() if isinstance(one, mcd.Sample)]


def examined(data: mcd.Dataset) -> list[mcd.Sample]:
    found = [data.examine(one) for one in samples(data)]
    return [one for one in found if isinstance(one, mcd.Sample)]


def test_columns_that_are_called_like_fields_become_them(table: Path) -> None:
    data = csv(table, findings="mass,calcifications")
    one, two, three = examined(data)
    assert (one.id, one.patient, one.laterality, one.view, one.density, one.split) == (
        "a/one.png",
        "P1",
        "L",
        "CC",
        "b",
        "train",
    )
    assert (two.id, two.density, two.findings) == ("a/two.png", "c", {"calcifications": True})
    assert one.findings == {"mass": True, "calcifications": False}
    assert three.findings == {"mass": False}
    assert one.labels == {
        "laterality": "left",
        "view": "cc",
        "density": "B",
        "split": "train",
        "mass": "1",
        "calcifications": "no",
        "site": "north",
    }
    assert one.collection == "csv"


def test_dicom_files_and_pictures_may_stand_in_one_table(table: Path) -> None:
    data = csv(table)
    one, _, three = examined(data)
    assert (three.laterality, three.view, three.patient) == ("R", "MLO", "P2")  # the header fills what the table leaves
    assert data.read(one).maximum == 255
    assert data.read(three).maximum > 255
    assert samples(pickle.loads(pickle.dumps(data))) == samples(data)


def test_columns_go_by_the_names_that_are_given(table: Path) -> None:
    rows = [
        {"Datei": one["path"], "Fall": f"case-{at}", "Seite": "links", "Masse": one["mass"], "patient": "P"}
        for at, one in enumerate(ROWS)
    ]
    write_table(table, rows, delimiter=";")
    options = {"path": "Datei", "id": "Fall", "patient": None, "findings": {"Masse": "mass"}, "delimiter": ";"}
    first = samples(csv(table, **options))[0]
    assert (first.id, first.patient, first.laterality, dict(first.findings)) == ("case-0", "", "", {"mass": True})
    assert first.labels == {"Seite": "links", "Masse": "1", "patient": "P"}


def test_a_workbook_and_another_root_serve(table: Path, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for cells in (list(ROWS[0]), *(list(row.values()) for row in ROWS)):
        sheet.append(cells)
    (tmp_path / "tables").mkdir()
    book.save(tmp_path / "tables" / "labels.xlsx")
    data = csv(tmp_path / "tables" / "labels.xlsx", root=tmp_path)
    assert [one.id for one in examined(data)] == ["a/one.png", "a/two.png", "three.dcm"]


def test_resolved_settings_can_be_read_again(table: Path) -> None:
    first = csv(table, findings=["mass"])
    again = CsvTable(CsvTable.Options.model_validate(first.options.model_dump(mode="json")))
    assert samples(again) == samples(first)


def test_a_file_outside_the_root_is_read_and_its_path_not_shown(
    table: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = write_picture(tmp_path_factory.mktemp("Miller") / "Jane.png", seed=5)
    write_table(table, [{"path": elsewhere, "site": "x"}])
    data = csv(table)
    (found,) = examined(data)
    assert found.source == str(elsewhere)
    assert found.id.startswith("outside-")
    assert not [text for text in (found.id, *found.labels.values(), *data.remarks()) if "Miller" in text]
    write_table(table, [{"path": elsewhere}, {"path": elsewhere}])
    with pytest.raises(DataError) as caught:
        samples(csv(table))
    assert "Miller" not in caught.value.message


def test_a_path_of_another_machine_is_reported_and_not_taken_for_one_below_the_root(table: Path) -> None:
    write_table(table, [{"path": "C:\\scans\\a.dcm"}])
    data = csv(table)
    (found,) = samples(data)
    assert found.id.startswith("outside-")
    assert isinstance(data.examine(found), mcd.Unreadable)


def test_what_is_not_told_is_remarked(table: Path) -> None:
    data = csv(table, findings={"mass": "mass", "calcifications": "chalk"})
    samples(data)
    remarks = "\n".join(data.remarks())
    assert "column 'laterality': empty in 1 row (first row 4)" in remarks
    assert "no concepts of birads: chalk" in remarks
    assert "no column of patients" not in remarks
    write_table(table, [{"path": "a/one.png", "view": "sideways"}])
    data = csv(table)
    samples(data)
    remarks = "\n".join(data.remarks())
    assert "labels.csv has no column of patients" in remarks
    assert "column 'view': 'sideways' has no counterpart" in remarks


@pytest.mark.parametrize(
    ("cells", "known"),
    [
        ({"view": "LCC"}, ("CC", "L", None)),
        ({"view": "rmlo"}, ("MLO", "R", None)),
        ({"view": "MLO-ID", "laterality": "L"}, ("MLO", "L", True)),
        ({"view": "RMLO-ID", "laterality": "L", "implant": "no"}, ("MLO", "L", False)),
        ({"view": "AT"}, ("XCCL", "", None)),
    ],
)
def test_views_are_read_as_images_are_labelled(
    cells: dict[str, str], known: tuple[str, str, bool | None], table: Path
) -> None:
    write_table(table, [{"path": "a/one.png", "patient": "P1", **cells}])
    data = csv(table)
    (found,) = samples(data)
    assert (found.view, found.laterality, found.implant) == known
    assert ("the view names another side in 1 row" in " ".join(data.remarks())) is (cells["view"] == "RMLO-ID")


@pytest.mark.parametrize(
    ("at", "cells", "said"),
    [
        (0, {"mass": "maybe"}, "row 2, column 'mass': 'maybe' is none of"),
        (0, {"mass": 2}, "row 2, column 'mass': '2' is none of"),
        (1, {"laterality": "B"}, "row 3, column 'laterality': 'B' is none of"),
        (1, {"path": ""}, "row 3, column 'path': the path is missing"),
        (1, {"path": "a/one.png"}, "row 3, column 'path': the file is that of row 2 again"),
        (1, {"path": "a/../a/one.png"}, "row 3, column 'path': the file is that of row 2 again"),
        (2, {"density": 0}, "row 4, column 'density': '0'"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(
    table: Path, at: int, cells: dict[str, object], said: str
) -> None:
    write_table(table, [row | (cells if number == at else {}) for number, row in enumerate(ROWS)])
    with pytest.raises(DataError) as caught:
        samples(csv(table, findings="mass"))
    assert "labels.csv" in caught.value.message
    assert said in caught.value.message


def test_ids_must_be_there_and_unlike(table: Path) -> None:
    for ids, said in (
        (["x", "x", "y"], "row 3, column 'id': the id is that of row 2"),
        (["x", "", "y"], "row 3, column 'id'"),
    ):
        write_table(table, [row | {"id": own} for row, own in zip(ROWS, ids, strict=True)])
        with pytest.raises(DataError, match=said):
            samples(csv(table))
    assert [one.id for one in samples(csv(table, id=None))] == ["a/one.png", "a/two.png", "three.dcm"]


def test_a_missing_column_file_table_or_encoding_is_said(table: Path) -> None:
    with pytest.raises(DataError, match="row 1: there is no column 'masss'") as caught:
        samples(csv(table, findings="masss"))
    assert "did you mean 'mass'?" in caught.value.hint
    with pytest.raises(DataError, match="row 1: there is no column 'Seite'"):
        samples(csv(table, laterality="Seite"))
    (table.parent / "a" / "two.png").unlink()
    (missing,) = [one for one in map(csv(table).examine, samples(csv(table))) if isinstance(one, mcd.Unreadable)]
    assert missing.source.endswith("two.png")
    table.write_bytes(table.read_text().replace("north", "nörd").encode("latin-1"))
    with pytest.raises(DataError, match=r"labels\.csv, row 2, column 'site': it is not utf-8"):
        samples(csv(table))
    table.unlink()
    with pytest.raises(DataError, match=r"there is no table .*labels\.csv"):
        samples(csv(table))


def test_wrong_settings_are_said_by_name(table: Path) -> None:
    with pytest.raises(ConfigError, match="unknown setting 'patients'"):
        csv(table, patients="P")
    with pytest.raises(ConfigError, match="setting 'table' is required"):
        validate_options(CsvTable.Options, {}, "data set 'csv'")
    assert CsvTable.Options.primary() == "table"


def test_a_path_may_be_made_of_several_columns(tmp_path: Path) -> None:
    write_dicom(tmp_path / "s1" / "i1.dicom", ImageLaterality="L", ViewPosition="CC")
    rows = [{"study_id": "s1", "image_id": "i1", "split": "test"}, {"study_id": "s1", "image_id": "", "split": "test"}]
    path = "{study_id}/{image_id}.dicom"
    (found,) = examined(csv(write_table(tmp_path / "t.csv", rows[:1]), path=path))
    assert (found.id, found.laterality, found.split) == ("s1/i1.dicom", "L", "test")
    assert found.labels == {"split": "test"}  # what a path is made of may tell who somebody is
    with pytest.raises(DataError, match="row 3, column 'image_id': a part of the path is missing"):
        samples(csv(write_table(tmp_path / "t.csv", rows), path=path))
    with pytest.raises(DataError, match="there is no column 'image'"):
        samples(csv(tmp_path / "t.csv", path="{study_id}/{image}.dicom"))


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("a/one.png;a/two.png", {}),
        ("a/one.png | a/two.png", {}),
        ("a/one.png, a/two.png", {}),
        ("['a/one.png', 'a/two.png']", {}),
        ("a/one.png + a/two.png", {"separator": "+"}),
    ],
)
def test_a_cell_may_name_several_images(cell: str, options: dict[str, object], table: Path) -> None:
    parted = "; " if ";" in cell else " + " if "+" in cell else " | " if "|" in cell else ", "
    view = "['CC', 'MLO']" if "[" in cell else parted.join(("CC", "MLO"))
    write_table(table, [{"path": cell, "patient": "P1", "laterality": "L", "view": view, "id": "x", "mass": 1}])
    data = csv(table, findings="mass", **options)
    one, two = samples(data)
    assert (one.id, two.id, one.view, two.view) == ("x/1", "x/2", "CC", "MLO")
    assert (Path(one.source).name, Path(two.source).name) == ("one.png", "two.png")
    assert (one.patient, two.laterality, two.findings) == ("P1", "L", {"mass": True})
    assert "rows that name several images: 1" in "\n".join(data.remarks())


def test_many_paths_in_a_cell_may_be_longer_than_a_name(table: Path) -> None:
    names = [f"{at:03d}-{'x' * 40}.png" for at in range(12)]
    for name in names:
        write_picture(table.parent / name, seed=len(name))
    write_table(table, [{"path": ";".join(names)}])
    assert len(samples(csv(table))) == 12
    write_table(table, [{"path": ";".join([*names, "gone.png"])}])
    data = csv(table)
    (lost,) = [data.examine(one) for one in samples(data)]
    assert isinstance(lost, mcd.Unreadable)


def test_a_name_with_a_comma_is_one_file(table: Path, tmp_path: Path) -> None:
    write_picture(tmp_path / "left, cc.png")
    write_table(table, [{"path": "left, cc.png"}])
    assert [one.id for one in samples(csv(table))] == ["left, cc.png"]
    write_table(table, [{"path": "gone; one.png"}])
    assert [one.id for one in samples(csv(table))] == ["gone; one.png"]


FINDING_ROWS: list[dict[str, object]] = [
    {"path": "a/one.png", "laterality": "L", "what": "['Mass', 'Skin Thickening']", "mass": 0, "clip": 0, "size": 3},
    {"path": "a\\one.png", "laterality": "L", "what": "Calcification", "mass": 1, "clip": 0, "size": 5},
    {"path": "a/two.png", "laterality": "R", "what": "No Finding", "mass": "", "clip": 0, "size": ""},
    {"path": "three.dcm", "laterality": "", "what": "Herd; sparkle", "mass": 0, "clip": "", "size": 1},
]


def test_a_row_may_be_a_finding(table: Path) -> None:
    write_table(table, FINDING_ROWS)
    with pytest.raises(DataError, match="set rows=finding where each is a finding"):
        samples(csv(table))
    findings = {"mass": "mass", "clip": "biopsy marker clip"}
    data = csv(table, rows="finding", finding="what", findings=findings, words={"Herd": "asymmetry"})
    one, two, three = samples(data)
    assert one.findings == {
        "mass": True,
        "biopsy marker clip": False,
        "skin thickening": True,
        "calcifications": True,
    }
    assert (two.findings, three.findings) == ({"biopsy marker clip": False}, {"mass": False, "asymmetry": True})
    assert (one.labels["size"], one.labels["laterality"], one.id) == ("3 | 5", "L", "a/one.png")
    remarks = "\n".join(data.remarks())
    assert "images with several rows, which are joined: 1" in remarks
    assert "column 'what': 'sparkle' has no counterpart" in remarks


def test_rows_of_one_image_that_contradict_each_other_are_refused(table: Path) -> None:
    write_table(table, [FINDING_ROWS[0], FINDING_ROWS[1] | {"laterality": "R"}])
    with pytest.raises(DataError, match="row 3, column 'laterality': 'R', but row 2 says 'L' of the same image"):
        samples(csv(table, rows="finding"))
    assert samples(csv(table, rows="finding", laterality=None))[0].labels["laterality"] == "L | R"


@pytest.mark.parametrize(
    ("assessment", "density", "expected"),
    [
        ("BI-RADS 2", "DENSITY C", ("2", "c")),
        ("BIRADS 0", "density: a", ("0", "a")),
        ("birads_4B", "ACR-B", ("4b", "b")),
        ("Category 4A", "BI-RADS D", ("4a", "d")),
        ("BI-RADS IV", "ACR III", ("4", "c")),
        ("5.0", "Type 2", ("5", "b")),
        ("BI-RADS", "dense", ("", "")),
    ],
)
def test_codes_may_have_their_name_before_them(
    assessment: str, density: str, expected: tuple[str, str], table: Path
) -> None:
    write_table(table, [{"path": "a/one.png", "assessment": assessment, "density": density}])
    (found,) = samples(csv(table))
    assert (found.assessment, found.density) == expected


@pytest.mark.parametrize(("mark", "setting"), [(";", ";"), ("\t", "tab"), ("|", "|")])
def test_a_table_with_another_mark_between_columns_gets_a_hint(mark: str, setting: str, table: Path) -> None:
    write_table(table, ROWS, delimiter=mark)
    with pytest.raises(DataError) as caught:
        samples(csv(table))
    assert f"set 'delimiter={setting}' " in caught.value.hint
    assert len(samples(csv(table, delimiter=setting))) == 3


@pytest.mark.parametrize("header", ['"path";"mass"', "path;size (mm, cm);mass", '"path"\tmass'])
def test_quoted_names_and_commas_in_them_do_not_hide_another_mark(header: str, table: Path) -> None:
    table.write_text(f"{header}\n" + header.replace("path", "a/one.png") + "\n")
    with pytest.raises(DataError, match="its columns are parted by") as caught:
        samples(csv(table))
    assert "delimiter=" in caught.value.hint


def test_a_quotation_mark_without_its_other_is_said(table: Path) -> None:
    table.write_text('path,note\na/one.png,"open\n')
    with pytest.raises(DataError, match="row 2: unexpected end of data") as caught:
        samples(csv(table))
    assert caught.value.hint == "a quotation mark stands alone"


def test_a_pattern_of_columns_can_be_typed(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    write_dicom(tmp_path / "s1" / "i1.dicom", ImageLaterality="L", ViewPosition="CC")
    table = write_table(tmp_path / "t.csv", [{"study_id": "s1", "image_id": "i1"}])
    settings = ("--dataset-arg", "path={study_id}/{image_id}.dicom", "--workers", 0)
    done = mcd_command("data", "check", table, "--dataset", "csv", *settings)
    assert done.code == 0, done.err
    assert "1 image can be used" in done.out
