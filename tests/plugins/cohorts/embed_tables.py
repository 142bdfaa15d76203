"""The release that ``embed`` reads, in miniature, and its samples."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.cohorts.conftest import write_dicom, write_table

import mcd
from mcd_plugins.cohorts.embed import Embed

Rows = list[dict[str, object]]

METADATA, CLINICAL = "EMBED_OpenData_metadata.csv", "EMBED_OpenData_clinical.csv"
SCREENING = "MG Screening Bilateral w/Tomosynthesis"
BLANK = (
    "massshape",
    "massmargin",
    "massdens",
    "calcfind",
    "calcdistri",
    "otherfind",
    "implanfind",
    "path_severity",
    "bside",
)


def image(exam: int, patient: int, side: str, view: str, number: int = 1, **cells: object) -> dict[str, object]:
    """Return a row of metadata; exams and patients are numbers, of which pandas makes floats in some columns."""
    path = f"./images/cohort_1/{patient}/1.2.{exam}/1.3.{exam}/1.2.826.{exam}.{side}{view}.{number}.dcm"
    plain: dict[str, object] = {
        "": number,
        "empi_anon": patient,
        "acc_anon": exam,
        "anon_dicom_path": path,
        "study_date_anon": "2015-01-10",
        "SeriesDescription": f"{side} {view}",
        "FinalImageType": "2D",
        "ImageLateralityFinal": side,
        "ViewPosition": view,
        "spot_mag": "",
        "num_roi": 0,
        "ROI_coords": "()",
        "Rows": 64,
        "Columns": 48,
    }
    return plain | cells


def finding(exam: object, side: str, asses: str, **cells: object) -> dict[str, object]:
    """Return a row of the clinical table."""
    plain: dict[str, object] = {
        "empi_anon": 1,
        "acc_anon": exam,
        "desc": SCREENING,
        "side": side,
        "asses": asses,
        "tissueden": 2.0,
        "numfind": 1,
        "calcnumber": 0,
    }
    return plain | dict.fromkeys(BLANK, "") | cells


def metadata() -> Rows:
    """Five exams: a finding in the left breast; a negative one; two findings; benign; one without clinical rows."""
    return [
        image(100, 66685715, "L", "CC", num_roi=2, ROI_coords="((10, 5, 30, 25), (40, 30, 90, 60))"),
        image(100, 66685715, "L", "MLO", anon_dicom_path="/mnt/NAS2/mammo/anon_dicom/cohort_1/66685715/a/b/LMLO.dcm"),
        image(100, 66685715, "R", "CC"),
        image(100, 66685715, "R", "CC", 2, FinalImageType="cview"),
        image(100, 66685715, "L", "CC", 3, spot_mag=1.0),
        image(200, 2, "L", "CC"),
        image(200, 2, "R", "MLO"),
        image(300, 3, "R", "CC", ROI_coords="[[1, 2, 3, 4]]", num_roi=1),
        image(300, 3, "L", "CC"),
        image(400, 4, "L", "XCCL"),
        image(500, 5, "L", "CC"),
    ]


def clinical() -> Rows:
    return [
        finding("100.0", "L", "A", massshape="X", massmargin="I", massdens="="),
        finding(200, "", "N"),
        finding(300, "R", "S", massshape="Q", calcfind="A,9.0", calcdistri="C", calcnumber=7, path_severity=1.0),
        finding(300, "R", "B", massshape="S", otherfind="V", implanfind="R"),
        finding(300, "L", "N", tissueden=3.0),
        finding(400, "B", "B", otherfind="%", tissueden=5),
    ]


def write(root: Path, rows: Rows, findings: Rows) -> Path:
    write_table(root / "tables" / METADATA, rows)
    write_table(root / "tables" / CLINICAL, findings)
    return root


def released(root: Path) -> Path:
    """Write a whole release."""
    for one in metadata():
        path = str(one["anon_dicom_path"])
        write_dicom(root / "images" / path[path.index("cohort_1") :], Manufacturer="HOLOGIC, Inc.")
    return write(root, metadata(), clinical())


def embed(root: Path, **options: object) -> Embed:
    return Embed(Embed.Options.model_validate({"root": root, **options}))


def samples(root: Path, **options: object) -> dict[tuple[str, str, str], mcd.Sample]:
    """Return exam, side and view → what the tables say; the files need not exist."""
    found = [one for one in embed(root, **options).scan() if isinstance(one, mcd.Sample)]
    return {(one.exam, one.laterality, one.view): one for one in found}


def of_one(root: Path, *rows: dict[str, object], **options: object) -> mcd.Sample:
    """Return what some clinical rows make of the left breast of exam 100."""
    return samples(write(root, metadata()[:1], list(rows)), **options)["100", "L", "CC"]
