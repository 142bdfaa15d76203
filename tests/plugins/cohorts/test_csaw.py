"""The data set ``csaw-cc``: what is known of a woman is not what is known of an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugins.cohorts.conftest import Scanned, write_dicom, write_table
from tests.plugins.cohorts.csaw_tables import ROWS, TABLE, released

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.csaw import CsawCc


def csaw(root: Path, **options: object) -> CsawCc:
    return CsawCc(CsawCc.Options.model_validate({"root": root, **options}))


def test_only_the_exam_and_breast_in_which_cancer_was_found_show_it(
    tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    found = list(scanned(csaw(released(tmp_path, ROWS))).values())
    assert [dict(one.findings) for one in found] == [
        {"breast cancer": False},
        {"breast cancer": False},  # a control
        {},
        {"breast cancer": False},  # an earlier exam: whether there was something to see is not known
        {"breast cancer": True},
        {"breast cancer": False},
        {},  # an interval cancer
        {},  # a case of unknown side
    ]


def test_rows_become_samples(tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    found = scanned(csaw(released(tmp_path, ROWS)))
    assert list(found) == [str(one["anon_filename"]).removesuffix(".dcm") for one in ROWS]
    one = found["00002_20990909_L_CC_2"]
    assert (one.patient, one.laterality, one.view, one.split, one.density, one.assessment) == (
        "00002",
        "L",
        "CC",
        "",
        "",
        "",
    )
    assert one.exam == "00002/2012" != found["00002_20990909_L_CC_1"].exam
    assert one.labels["libra_percentdensity"] == "20.0"
    assert one.labels["x_case"] == "1"
    assert "rad_r1" in one.labels
    assert "anon_patientid" not in one.labels


def test_file_names_may_stand_without_ending_and_the_older_table_serves(tmp_path: Path) -> None:
    data = csaw(released(tmp_path, ROWS[:1]))
    write_table(tmp_path / TABLE, [{**ROWS[0], "anon_filename": str(ROWS[0]["anon_filename"]).removesuffix(".dcm")}])
    (tmp_path / TABLE).rename(tmp_path / "anon_dataset_nonhidden_211125.csv")
    (sample,) = data.scan()
    assert isinstance(sample, mcd.Sample)
    assert isinstance(data.examine(sample), mcd.Sample)


def test_a_file_name_that_contradicts_its_row_leaves_the_side_unknown(tmp_path: Path) -> None:
    wrong = {**ROWS[4], "imagelaterality": "Right"}
    data = csaw(released(tmp_path, [wrong, {**ROWS[0], "viewposition": "MLO"}]))
    side, view = data.scan()
    assert isinstance(side, mcd.Sample)
    assert isinstance(view, mcd.Sample)
    assert (side.laterality, side.view, dict(side.findings)) == ("", "CC", {})
    assert (view.laterality, view.view, dict(view.findings)) == ("L", "", {"breast cancer": False})
    assert any("2 file names name another side or view" in remark and "row 2" in remark for remark in data.remarks())


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"imagelaterality": "Links"}, "row 2, column 'imagelaterality': 'Links' is none of"),
        ({"imagelaterality": ""}, "row 2, column 'imagelaterality'"),
        ({"viewposition": "CX"}, "row 2, column 'viewposition': 'CX'"),
        ({"anon_patientid": ""}, "row 2, column 'anon_patientid': the patient's key is missing"),
        ({"exam_year": ""}, "row 2, column 'exam_year'"),
        ({"x_case": ""}, "row 2, column 'x_case'"),
        ({"x_case": 2}, "row 2, column 'x_case': '2' is neither 0 nor 1"),
        ({"x_case": 1, "rad_timing": 9}, "row 2, column 'rad_timing': '9' is none of 1, 2, 3"),
        ({"anon_filename": ROWS[1]["anon_filename"]}, "row 3, column 'anon_filename'"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(tmp_path: Path, cells: dict[str, object], said: str) -> None:
    data = csaw(released(tmp_path, [ROWS[0] | cells, ROWS[1]]))
    with pytest.raises(DataError) as caught:
        list(data.scan())
    assert TABLE in caught.value.message
    assert said in caught.value.message


def test_a_missing_column_table_or_encoding_is_told(tmp_path: Path) -> None:
    data = csaw(released(tmp_path, [{key: value for key, value in ROWS[0].items() if key != "rad_timing"}]))
    with pytest.raises(DataError, match="row 1: there is no column 'rad_timing'"):
        list(data.scan())
    write_table(tmp_path / TABLE, ROWS[:1])
    (tmp_path / TABLE).write_bytes((tmp_path / TABLE).read_text().replace("Left", "L\u00e9ft").encode("latin-1"))
    with pytest.raises(DataError, match=rf"{TABLE}, row 2, column 'imagelaterality': it is not utf-8"):
        list(csaw(tmp_path).scan())
    (tmp_path / TABLE).unlink()
    with pytest.raises(DataError, match=f"there is no table .*{TABLE}"):
        list(csaw(tmp_path).scan())


def test_an_unknown_side_of_the_cancer_is_remarked_and_a_missing_file_reported(tmp_path: Path) -> None:
    data = csaw(released(tmp_path, [ROWS[4] | {"x_cancer_laterality": "Bilateral"}, ROWS[0]]))
    (tmp_path / "images" / "00001" / str(ROWS[0]["anon_filename"])).unlink()
    first, second = (data.examine(one) for one in data.scan() if isinstance(one, mcd.Sample))
    assert isinstance(first, mcd.Sample)
    assert first.findings == {}
    assert any("'Bilateral'" in remark and "'x_cancer_laterality'" in remark for remark in data.remarks())
    assert isinstance(second, mcd.Unreadable)
    assert "a table of the data set names it" in second.reason


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    data = csaw(released(tmp_path, ROWS[:1]))
    write_dicom(tmp_path / "copy" / str(ROWS[0]["anon_filename"]))
    with pytest.raises(DataError, match="two files have one name"):
        list(data.scan())


def test_it_passes_the_kit(tmp_path: Path) -> None:
    check_dataset(csaw(released(tmp_path, ROWS)))
