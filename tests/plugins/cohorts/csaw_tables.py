"""The release that ``csaw-cc`` reads, in miniature."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.cohorts.conftest import write_dicom, write_table

TABLE = "CSAW-CC_breast_cancer_screening_data.csv"


def row(patient: str, side: str, view: str, number: object = 1, **cells: object) -> dict[str, object]:
    name = f"{patient}_20990909_{side[0]}_{view}_{number}.dcm"
    plain: dict[str, object] = {
        "anon_patientid": patient,
        "exam_year": 2012,
        "x_case": 0,
        "x_cancer_laterality": "",
        "x_type": "",
        "x_lymphnode_met": "",
        "x_age": 1,
        "rad_timing": "",
        "rad_r1": 0,
        "rad_r2": 0,
        "rad_recall": "",
        "rad_recall_type_right": "",
        "rad_recall_type_left": "",
        "imagelaterality": side,
        "viewposition": view,
        "anon_filename": name,
        "libra_breastarea": 100.5,
        "libra_densearea": 20.1,
        "libra_percentdensity": 20.0,
    }
    return plain | cells


CASE = {"x_case": 1, "x_cancer_laterality": "Left", "x_type": 1}

ROWS = [
    row("00001", "Left", "CC"),
    row("00001", "Right", "MLO"),
    row("00002", "Left", "CC", exam_year=2010, rad_timing=3, **CASE),
    row("00002", "Right", "CC", exam_year=2010, rad_timing=3, **CASE),
    row("00002", "Left", "CC", 2, rad_timing=1, rad_recall=1, **CASE),
    row("00002", "Right", "CC", 2, rad_timing=1, rad_recall=1, **CASE),
    row("00003", "Left", "MLO", rad_timing=2, **CASE),
    row("00004", "Left", "MLO", rad_timing=1, **(CASE | {"x_cancer_laterality": ""})),
]


def released(root: Path, rows: list[dict[str, object]] = ROWS) -> Path:
    """Write it, and a mask that is not read."""
    write_table(root / TABLE, rows)
    for seed, one in enumerate(rows):
        write_dicom(root / "images" / str(one["anon_patientid"]) / str(one["anon_filename"]), seed=seed)
    (root / "anon_annotations_nonhidden").mkdir()
    (root / "anon_annotations_nonhidden" / "00002_20990909_L_CC_2_mask.png").write_bytes(b"not read")
    return root
