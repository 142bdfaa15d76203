"""The release that ``cmmd`` reads, in miniature."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pydicom
from pydicom.sequence import Sequence
from tests.plugins.cohorts.conftest import write_dicom

TABLE = "CMMD_clinicaldata_revision.xlsx"

CODES = {"CC": "399162004", "MLO": "399368009"}

ROWS: list[dict[str, object]] = [
    {
        "ID1": "D1-0001",
        "LeftRight": "R",
        "Age": 44,
        "number": 2,
        "abnormality": "calcification",
        "classification": "Benign",
        "subtype": None,
    },
    {
        "ID1": "D2-0002",
        "LeftRight": "L",
        "Age": 51,
        "number": 4,
        "abnormality": "both",
        "classification": "Malignant",
        "subtype": "Luminal A",
    },
]


def write_book(path: Path, rows: list[dict[str, object]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    book.save(path)


def write_image(path: Path, side: str | None, view: str, seed: int = 0) -> None:
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = CODES[view], "SCT", "view"
    write_dicom(
        path,
        seed=seed,
        ImageLaterality=side,
        ViewCodeSequence=Sequence([code]),
        WindowCenter=2048,
        WindowWidth=4096,
        VOILUTFunction="SIGMOID",
        PresentationLUTShape="IDENTITY",
    )


def released(root: Path) -> Path:
    """Write it: both breasts of the second woman have images, one has a row."""
    first = root / "CMMD" / "D1-0001" / "07-18-2010-NA-NA-79377" / "1.000000-NA-70244"
    write_image(first / "1-1.dcm", "R", "MLO", 1)
    write_image(first / "1-2.dcm", "R", "CC", 2)
    second = root / "CMMD" / "D2-0002" / "07-18-2011-NA-NA-11111" / "1.000000-NA-22222"
    write_image(second / "1-1.dcm", "R", "CC", 3)  # the name tells neither side nor view
    write_image(second / "1-2.dcm", "L", "CC", 4)
    write_book(root / TABLE, ROWS)
    return root
