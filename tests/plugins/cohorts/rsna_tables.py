"""The release that ``rsna-bcd`` reads, in miniature."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.cohorts.conftest import write_dicom, write_table

Rows = list[dict[str, object]]


def rows() -> Rows:
    """Two patients of two sites: the second site has no BI-RADS and no density, and its implants are per image."""
    columns = (
        "site_id",
        "patient_id",
        "image_id",
        "laterality",
        "view",
        "age",
        "cancer",
        "biopsy",
        "invasive",
        "BIRADS",
        "implant",
        "density",
        "machine_id",
        "difficult_negative_case",
    )
    values = [
        (1, 10006, 462822612, "L", "CC", 61.0, 0, 0, 0, "", 0, "A", 49, False),
        (1, 10006, 1459541791, "L", "MLO", 61.0, 0, 0, 0, "2.0", 0, "A", 49, False),
        (1, 10006, 1864590858, "R", "MLO", 61.0, 1, 1, 1, "0.0", 0, "A", 49, True),
        (1, 10006, 1874946579, "R", "MLO", 61.0, 1, 1, 1, "0.0", 0, "A", 49, True),
        (2, 10130, 388811999, "L", "AT", "", 0, 0, 0, "", 1, "", 48, False),
        (2, 10130, 613462606, "R", "CC", "", 0, 0, 0, "", 0, "", 48, False),
    ]
    return [dict(zip(columns, one, strict=True)) for one in values]


def released(root: Path) -> Path:
    """Write it: one image has two windows, one the sigmoid function, one is a negative."""
    write_table(root / "train.csv", rows())
    special: list[dict[str, object]] = [
        {"WindowCenter": [1800, 1500], "WindowWidth": [1000, 700]},
        {"VOILUTFunction": "SIGMOID", "WindowCenter": 1800, "WindowWidth": 1000},
        {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 1800, "WindowWidth": 1000},
    ]
    for seed, one in enumerate(rows()):
        elements = special[seed] if seed < len(special) else {}
        write_dicom(root / "train_images" / str(one["patient_id"]) / f"{one['image_id']}.dcm", seed=seed, **elements)
    return root
