"""The data set ``embed``: which findings are present, absent or unknown in a breast."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plugins.cohorts.embed_tables import SCREENING, clinical, embed, finding, metadata, of_one, samples, write

import mcd


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write(tmp_path, metadata(), clinical())


def test_a_side_without_rows_is_unknown(tables: Path) -> None:
    one = samples(tables)["100", "R", "CC"]
    assert (one.assessment, one.findings) == ("", {})
    assert one.density == "b", "density is the exam's"
    assert one.labels == {"desc": SCREENING, "tissueden": "2.0"}


def test_a_side_without_rows_is_negative_where_the_whole_bilateral_exam_is(tmp_path: Path) -> None:
    one = samples(write(tmp_path, metadata()[:3], [finding(100, "L", "N")]))["100", "R", "CC"]
    assert one.assessment == "1"
    assert one.findings["mass"] is False
    assert one.labels["derived"] == "negative: the exam has no row of this breast"
    assert "asses" not in one.labels
    mixed = [finding(100, "L", "N"), finding(100, "L", "A")]
    assert samples(write(tmp_path, metadata()[:3], mixed))["100", "R", "CC"].assessment == ""
    left_only = [finding(100, "L", "N", desc="MG Diagnostic Left w/CAD")]
    assert samples(write(tmp_path, metadata()[:3], left_only))["100", "R", "CC"].assessment == ""


def test_the_rule_of_the_authors_toolkit_makes_every_other_side_negative(tables: Path) -> None:
    one = samples(tables, other_side="negative")["100", "R", "CC"]
    assert (one.assessment, one.findings["mass"]) == ("1", False)
    assert "derived" in one.labels


def test_a_breast_is_negative_only_where_all_its_rows_are(tmp_path: Path) -> None:
    assert of_one(tmp_path, finding(100, "L", "N"), finding(100, "L", "A", massshape="R")).findings == {
        "mass": True,
        "round shape": True,
    }
    assert of_one(tmp_path, finding(100, "L", "N"), finding(100, "L", "")).findings == {}


def test_negative_excludes_what_bi_rads_1_excludes_and_no_more(tables: Path) -> None:
    findings = samples(tables)["200", "L", "CC"].findings
    assert {
        "mass",
        "suspicious calcifications",
        "architectural distortion",
        "focal asymmetry",
        "spiculated margin",
        "skin thickening",
    } <= set(findings)
    assert not any(findings.values())
    unmentioned = {"calcifications", "vascular calcifications", "biopsy marker clip", "surgical scar", "breast cancer"}
    assert not unmentioned & set(findings), "benign things need no mention, and a cancer can be missed"


def test_what_no_row_names_is_absent_only_on_request_and_never_a_feature_of_what_is_there(tmp_path: Path) -> None:
    row = finding(100, "L", "A", massshape="G", calcfind="G")
    assert of_one(tmp_path, row).findings == {"mass": True, "calcifications": True}
    findings = of_one(tmp_path, row, unlisted="absent").findings
    assert findings["architectural distortion"] is findings["surgical scar"] is findings["focal asymmetry"] is False
    assert not {"round shape", "spiculated margin", "amorphous calcifications", "breast cancer"} & set(findings)


def test_a_questioned_distortion_is_neither_there_nor_absent(tmp_path: Path) -> None:
    row = finding(100, "L", "A", massshape="Q")
    assert of_one(tmp_path, row).findings == {}
    assert "architectural distortion" not in of_one(tmp_path, row, unlisted="absent").findings
    data = embed(tmp_path)
    len(data)
    assert any("column 'massshape': 'Q' has no counterpart here" in one for one in data.remarks())


def test_a_finding_without_a_side_is_unknown_in_both_breasts_and_said(tmp_path: Path) -> None:
    write(tmp_path, metadata()[:3], [finding(100, "", "N", massshape="R", implanfind="N")])
    data = embed(tmp_path)
    for one in data.scan():
        assert isinstance(one, mcd.Sample)
        assert "mass" not in one.findings
        assert one.findings["architectural distortion"] is False
        assert one.implant is None
    assert any("1 rows name findings and no side" in one for one in data.remarks())


@pytest.mark.parametrize(
    ("column", "code", "concepts"),
    [
        ("massshape", "T", {"solitary dilated duct"}),
        ("massshape", "N", {"intramammary lymph node"}),
        ("massshape", "V", {"asymmetry", "developing asymmetry"}),
        ("massshape", "A", {"architectural distortion"}),
        ("massdens", "+", {"mass", "high-density mass"}),
        ("massdens", "0", {"mass", "fat-containing mass"}),
        ("massmargin", "S", {"mass", "spiculated margin"}),
        ("calcdistri", "D", {"calcifications", "diffuse distribution"}),
        ("calcfind", "O", {"calcifications", "typically benign calcifications", "rim calcifications"}),
        ("calcfind", "K", {"calcifications", "suspicious calcifications"}),
        ("calcfind", "0", set()),
        ("calcnumber", "3", {"calcifications"}),
        ("otherfind", "1", {"lumpectomy bed", "radiotherapy changes"}),
        ("otherfind", "Z", {"axillary lymphadenopathy"}),
        ("otherfind", "K", {"biopsy marker clip"}),
        ("implanfind", "N", set()),
        ("implanfind", "K", {"implant capsule calcification"}),
    ],
)
def test_letters_become_concepts(column: str, code: str, concepts: set[str], tmp_path: Path) -> None:
    one = of_one(tmp_path, finding(100, "L", "A", **{column: code}))
    assert one.findings == dict.fromkeys(concepts, True)
    assert one.labels[column] == code
    assert one.implant is (True if column == "implanfind" else None)


@pytest.mark.parametrize(
    ("side", "bside", "severity", "left"),
    [
        ("L", "", 0, True),
        ("L", "L", "1.0", True),
        ("B", "L", 0, True),
        ("", "L", 0, True),
        ("B", "", 0, None),
        ("B", "R", 0, None),
        ("L", "R", 0, None),
        ("L", "L", 4, None),
        ("L", "", 6, None),
    ],
)
def test_cancer_is_there_where_pathology_says_so_and_in_which_breast(
    side: str, bside: str, severity: object, left: bool | None, tmp_path: Path
) -> None:
    one = of_one(tmp_path, finding(100, side, "S", path_severity=severity, bside=bside))
    assert one.findings.get("breast cancer") is left


def test_a_pathology_of_the_other_side_is_said(tmp_path: Path) -> None:
    data = embed(write(tmp_path, metadata()[:1], [finding(100, "L", "S", path_severity=0, bside="R")]))
    len(data)
    assert "1 rows have a pathology of the other side than their finding: it is not used" in data.remarks()
