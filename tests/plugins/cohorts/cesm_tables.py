"""The release that ``cdd-cesm`` reads, in miniature."""

from __future__ import annotations

from pathlib import Path

import openpyxl
from tests.plugins.cohorts.conftest import write_picture

TABLE = "Radiology manual annotations.xlsx"

PATHOLOGY = "Pathology Classification/ Follow up"

LOW, SUBTRACTED = "Low energy images of CDD-CESM", "Subtracted images of CDD-CESM"


def row(name: str, **cells: object) -> dict[str, object]:
    patient, side, kind, view = name.strip().split("_")
    plain: dict[str, object] = {
        "Image_name": name,
        "Patient_ID": int(patient[1:]),
        "Side": side,
        "Type": {"DM": "DM", "CM": "CESM"}[kind],
        "View": view,
        "Age": 50,
        "Breast density (ACR)": "C",
        "BIRADS": "1",
        "Findings": None,
        "Tags": None,
        "Machine": 1,
        PATHOLOGY: "Normal",
    }
    return plain | cells


ROWS = [
    row("P1_L_DM_CC "),
    row("P1_R_DM_MLO", BIRADS="4$5", Findings="Mass$Suspicious calcification", **{PATHOLOGY: "Malignant"}),
    row("P1_R_DM_MLO", BIRADS="3", Findings="a benign looking thing", **{PATHOLOGY: "Benign"}),
    row("P1_R_CM_MLO", BIRADS="5", Findings="Mass enhancement", **{PATHOLOGY: "Malignant"}),
    row("P2_L_DM_CC", BIRADS="2", Findings="asymmetries", Tags="skin thickening", **{PATHOLOGY: "Benign"}),
    row("P3_L_DM_CC", BIRADS="1", **{"Breast density (ACR)": None}),
]


def released(root: Path, rows: list[dict[str, object]] = ROWS, *, sheet: str = "all") -> Path:
    """Write it; some names of files end in a blank."""
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.title = "low energy"
    page = book.create_sheet(sheet)
    page.append(list(rows[0]))
    for one in rows:
        page.append(list(one.values()))
    root.mkdir(exist_ok=True, parents=True)
    book.save(root / TABLE)
    for seed, name in enumerate(dict.fromkeys(str(one["Image_name"]).strip() for one in rows)):
        blank = " " if seed % 2 else ""
        write_picture(root / (SUBTRACTED if "_CM_" in name else LOW) / f"{name}{blank}.jpg", seed=seed)
    (root / SUBTRACTED).mkdir(exist_ok=True)
    return root
