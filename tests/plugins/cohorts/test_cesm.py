"""The data set ``cdd-cesm``: two modalities kept apart, several rows an image, free text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from tests.plugins.cohorts.cesm_tables import LOW, PATHOLOGY, ROWS, TABLE, released, row
from tests.plugins.cohorts.conftest import Scanned, write_picture

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.cesm import CddCesm


def cesm(root: Path, **options: object) -> CddCesm:
    return CddCesm(CddCesm.Options.model_validate({"root": root, **options}))


def test_rows_of_one_image_are_one_sample(tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    data = cesm(released(tmp_path, ROWS))
    found = scanned(data)
    assert list(found) == ["P1_L_DM_CC", "P1_R_DM_MLO", "P2_L_DM_CC", "P3_L_DM_CC"]
    one = found["P1_R_DM_MLO"]
    assert (one.patient, one.laterality, one.view, one.density, one.assessment) == ("1", "R", "MLO", "c", "5")
    assert one.findings == {
        "calcifications": True,
        "mass": True,
        "suspicious calcifications": True,
        "breast cancer": True,
    }
    assert one.labels["BIRADS"] == "4$5; 3"
    assert one.labels["Findings"] == "Mass$Suspicious calcification; a benign looking thing"
    assert found["P2_L_DM_CC"].findings == {"asymmetry": True, "skin thickening": True, "breast cancer": False}
    assert found["P3_L_DM_CC"].density == ""


def test_only_a_normal_breast_of_birads_1_is_without_findings(
    tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    rows = [*ROWS, row("P4_L_DM_CC", BIRADS="2")]
    found = scanned(cesm(released(tmp_path, rows)))
    assert found["P1_L_DM_CC"].findings == dict.fromkeys(
        ["mass", "calcifications", "architectural distortion", "asymmetry", "breast cancer"], False
    )
    assert found["P4_L_DM_CC"].findings == {"breast cancer": False}


def test_subtracted_images_come_only_when_asked_for(tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    released(tmp_path, ROWS)
    assert list(scanned(cesm(tmp_path, images="subtracted"))) == ["P1_R_CM_MLO"]
    assert len(scanned(cesm(tmp_path, images="both"))) == 5


def test_free_text_without_counterpart_is_remarked_once(tmp_path: Path) -> None:
    data = cesm(released(tmp_path, ROWS))
    list(data.scan())
    (told,) = [remark for remark in data.remarks() if "'Findings'" in remark]
    assert "1 phrases such as 'a benign looking thing'" in told
    assert "first row 4" in told


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("P1_L_DM_CC", Side="")], "row 2, column 'Side'"),
        ([row("P1_L_DM_CC", Side="Z")], "row 2, column 'Side': 'Z' is none of"),
        ([row("P1_L_DM_CC", View="CCC")], "row 2, column 'View': 'CCC'"),
        ([row("P1_L_DM_CC", Type="XY")], "row 2, column 'Type': 'XY'"),
        ([row("P1_L_DM_CC", Patient_ID=None)], "row 2, column 'Patient_ID': the patient's key is missing"),
        ([row("P1_L_DM_CC"), row("P1_L_DM_CC", Side="R")], "row 3, column 'Side': 'R', but row 2 of the same image"),
        ([{key: cell for key, cell in row("P1_L_DM_CC").items() if key != "BIRADS"}], "no column 'BIRADS'"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(
    tmp_path: Path, rows: list[dict[str, object]], said: str
) -> None:
    data = cesm(released(tmp_path, rows))
    with pytest.raises(DataError) as caught:
        list(data.scan())
    assert TABLE in caught.value.message
    assert said in caught.value.message


def test_unknown_codes_are_kept_and_remarked(tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    cells = {"Breast density (ACR)": "E", "BIRADS": "7$2", PATHOLOGY: "Unclear"}
    data = cesm(released(tmp_path, [row("P1_L_DM_CC", **cells)]))
    (found,) = scanned(data).values()
    assert (found.density, found.assessment, dict(found.findings)) == ("", "2", {})
    remarks = "\n".join(data.remarks())
    assert all(text in remarks for text in ("'E'", "'7'", "'Unclear'", "row 2"))


def test_files_and_rows_that_miss_each_other_are_said(tmp_path: Path) -> None:
    data = cesm(released(tmp_path, ROWS))
    write_picture(tmp_path / LOW / "P9_L_DM_CC.jpg")
    (tmp_path / LOW / "P1_L_DM_CC.jpg").unlink()
    samples = [one for one in data.scan() if isinstance(one, mcd.Sample)]
    assert any("no row for 1 low-energy images" in remark for remark in data.remarks())
    missing = data.examine(samples[0])
    assert isinstance(missing, mcd.Unreadable)
    assert missing.source.endswith("P1_L_DM_CC.jpg")
    write_picture(tmp_path / LOW / "P9_L_DM_CC .jpg")
    with pytest.raises(DataError, match="two files have one name"):
        list(cesm(tmp_path).scan())


def test_a_missing_sheet_or_folder_is_said(tmp_path: Path) -> None:
    data = cesm(released(tmp_path, ROWS, sheet="everything"))
    with pytest.raises(DataError, match="no sheet 'all'"):
        list(data.scan())
    released(tmp_path, ROWS)
    (tmp_path / LOW).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"there is no folder .*{LOW}"):
        list(cesm(tmp_path).scan())


HEADERS = "cesm_headers.xlsx"


def test_every_sheet_of_todays_release_says_where_to_look(
    shared: Path, tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    case = (shared / "data" / "cases" / HEADERS).read_bytes()
    (tmp_path / "Radiology-manual-annotations.xlsx").write_bytes(case)
    for seed, name in enumerate(("P901_L_DM_CC", "P902_L_DM_CC")):
        write_picture(tmp_path / LOW / f"{name}.jpg", seed=seed)
    data = cesm(tmp_path)
    found = scanned(data)
    one, two = found["P901_L_DM_CC"], found["P902_L_DM_CC"]
    assert one.findings == dict.fromkeys(
        [
            "calcifications",
            "circumscribed margin",
            "equal-density mass",
            "mass",
            "obscured margin",
            "oval shape",
            "round shape",
            "typically benign calcifications",
        ],
        True,
    ) | {"breast cancer": False}
    assert two.findings == {"intramammary lymph node": True, "breast cancer": False}
    assert (one.patient, one.density, one.assessment) == ("901", "b", "3")
    assert one.labels["Mass shape"] == "Round-Oval"
    assert "asymmetry" in one.labels["sheets"].split("; ")


def sheets(root: Path, name: str, rows: list[dict[str, object]]) -> CddCesm:
    data = cesm(released(root, [row("P1_L_DM_CC", BIRADS="2", **{PATHOLOGY: "Benign"})]))
    book = openpyxl.load_workbook(root / TABLE)
    page = book.create_sheet(name)
    page.append([f"{column} " for column in rows[0]])
    for one in rows:
        page.append(list(one.values()))
    book.save(root / TABLE)
    return data


@pytest.mark.parametrize(
    ("sheet", "text", "present"),
    [
        ("asymmetry", "Focal asymmetry", {"asymmetry", "focal asymmetry"}),
        ("asymmetry", "Diffuse edema$Dilated ducts", set()),
        ("distortion", "Distortion", {"architectural distortion"}),
        ("distortion", "Postoperative scar", set()),
        ("Calcifications ", "suspicious micro-calcifications", {"calcifications", "suspicious calcifications"}),
        ("calcifications", "No calcifications", set()),
        ("calcifications", "Mass with no calcifications, skin thickening", {"mass", "skin thickening"}),
        ("nonmass enhancement_description", "Heterogeneous non-mass enhancement", set()),
        ("postoperative", "Surgical scar", {"surgical scar"}),
        ("postneoajuvant chemotherapy", "Mass not seen", set()),
    ],
)
def test_the_text_of_a_sheet_decides(
    tmp_path: Path, sheet: str, text: str, present: set[str], scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    rows: list[dict[str, object]] = [
        {"Image_name": "P1_L_DM_CC ", "ACR": "B", "Findings": text},
        {"Image_name": "P9_L_DM_CC", "ACR": "B", "Findings": "mass"},
    ]
    data = sheets(tmp_path, sheet, rows)
    (found,) = scanned(data).values()
    assert {concept for concept, there in found.findings.items() if there} == present
    name = sheet.strip().lower()
    assert (
        f"{TABLE}, sheet '{name}': 1 rows are of images that sheet 'all' does not name (first row 3)" in data.remarks()
    )


def test_what_describes_a_lymph_node_describes_no_mass(
    tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    described = {"Mass shape": "Irregular", "Mass density/enhancement pattern": "High", "Findings": None}
    rows: list[dict[str, object]] = [
        {"Image_name": "P1_L_DM_CC", "Abnormality type": kind, "Mass margin": margin, **described}
        for kind, margin in (("IMLN", "Circumscribed"), ("Mass", "Ill-defined-Obscured"), ("Mass", "Not circumscribed"))
    ]
    (found,) = scanned(sheets(tmp_path, "mass_description", rows)).values()
    present = {concept for concept, there in found.findings.items() if there}
    margins = {"indistinct margin", "obscured margin"}
    assert present == {"intramammary lymph node", "mass", "irregular shape", "high-density mass"} | margins


def test_a_sheet_without_its_text_is_refused_by_name(tmp_path: Path) -> None:
    data = sheets(tmp_path, "asymmetry", [{"Image_name": "P1_L_DM_CC", "ACR": "B"}])
    with pytest.raises(DataError, match="sheet 'asymmetry', row 1: there is no column 'Findings'"):
        list(data.scan())


PHRASES = {
    "Popcorn calcification": {"popcorn calcifications", "calcifications"},
    "Calcified mass": {"mass", "calcifications"},
    "Non-calcified mass": {"mass"},
    "Assymetry": {"asymmetry"},
    "asymmetrical dense area": {"asymmetry"},
    "Architectural distorsion": {"architectural distortion"},
    "distorted parenchyma, retracted nipple": {"architectural distortion", "nipple retraction"},
    "Intra-mammary LN": {"intramammary lymph node"},
    "Suspicious LNs": {"axillary lymphadenopathy"},
    "Mass?": set(),
    "Mass ?benign": {"mass"},
    "Negative for masses": set(),
    "neither mass nor calcification": set(),
    "The mass is no longer seen": set(),
    "mass cannot be excluded": set(),
    "Near complete resolution of the mass": set(),
    "regressive course of the mass": set(),
    "calcification-like artefact": set(),
}
"""Texts, and what they say is there."""


def test_words_are_understood_in_their_spellings_and_what_is_denied_or_open_is_not_there(
    tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]
) -> None:
    cells = {"BIRADS": "2", PATHOLOGY: "Benign"}
    rows = [row(f"P{at}_L_DM_CC", Findings=text, **cells) for at, text in enumerate(PHRASES)]
    found = scanned(cesm(released(tmp_path, rows)))
    present = [{name for name, there in one.findings.items() if there} for one in found.values()]
    assert dict(zip(PHRASES, present, strict=True)) == PHRASES


def test_a_margin_that_is_denied_leaves_the_others(tmp_path: Path, scanned: Callable[[mcd.Dataset], Scanned]) -> None:
    rows: list[dict[str, object]] = [
        {
            "Image_name": "P1_L_DM_CC",
            "Findings": None,
            "Abnormality type": "Mass",
            "Mass shape": "Oval & lobulated",
            "Mass margin": "Non-circumscribed / spiculated",
            "Mass density/enhancement pattern": "Equal",
        }
    ]
    (found,) = scanned(sheets(tmp_path, "mass_description", rows)).values()
    present = {concept for concept, there in found.findings.items() if there}
    assert present == {"mass", "oval shape", "spiculated margin", "equal-density mass"}


def test_it_passes_the_kit(tmp_path: Path) -> None:
    check_dataset(cesm(released(tmp_path, ROWS)))
