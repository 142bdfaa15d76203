"""Tables as ``vindr-mammo`` and ``vindr-png`` have them."""

from __future__ import annotations

import hashlib

from tests.plugins.cohorts.conftest import Scanned

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
