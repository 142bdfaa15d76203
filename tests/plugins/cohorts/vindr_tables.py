"""The releases that ``vindr-mammo`` and ``vindr-png`` read, in miniature."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pydicom
from tests.plugins.cohorts.conftest import Scanned, write_dicom, write_picture, write_table

import mcd

Rows = list[dict[str, object]]


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
) -> dict:
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


def named(found: Scanned, study: str, image: str) -> mcd.Sample:
    return found[md5(study + image)]


def tables_of(root: Path) -> Path:
    """Write a release without images."""
    write_table(root / BREAST, breasts())
    write_table(root / FINDINGS, findings(breasts()))
    names = "SOP Instance UID,Series Instance UID,SOP Instance UID,Patient's Age,Window Center & Width Explanation"
    (root / "metadata.csv").write_text(names + "\n", encoding="utf-8")
    return root


def vindr_dicom(path: Path, seed: int) -> None:
    """Write a file as the release holds them: hexadecimal UIDs, no SOP class, no patient, 1.2.3.4 as media class."""
    write_dicom(path, seed=seed, Manufacturer="SIEMENS", WindowCenter=1800, WindowWidth=1000)
    with pydicom.config.disable_value_validation():
        dataset = pydicom.dcmread(path)
        del dataset.SOPClassUID
        dataset.SOPInstanceUID = dataset.SeriesInstanceUID = md5(path.name)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.file_meta.ImplementationClassUID = "1.2.3.4"
        dataset.save_as(path, enforce_file_format=False)


def released(root: Path) -> Path:
    """Write a whole release."""
    for seed, one in enumerate(breasts()):
        vindr_dicom(root / "images" / str(one["study_id"]) / f"{one['image_id']}.dicom", seed)
    return tables_of(root)


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


def released_as_png(root: Path) -> Path:
    """Write Mammo-CLIP's copy of it."""
    write_table(root / "vindr_detection_v1_folds.csv", png_rows())
    for seed, one in enumerate(breasts()):
        write_picture(root / "images_png" / str(one["study_id"]) / f"{one['image_id']}.png", seed=seed)
    return root
