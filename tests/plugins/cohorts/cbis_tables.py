"""The release that ``cbis-ddsm`` reads, in miniature."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.cohorts.conftest import write_dicom, write_picture, write_table

Rows = list[dict[str, object]]

MASS_TRAIN, MASS_TEST = "mass_case_description_train_set.csv", "mass_case_description_test_set.csv"

CALC_TRAIN, CALC_TEST = "calc_case_description_train_set.csv", "calc_case_description_test_set.csv"

SERIES = "1.3.6.1.4.1.9590.100.1.2.342386194811267636608694132590482924515"


def row(kind: str, part: str, patient: str, side: str, view: str, number: int, **cells: object) -> dict[str, object]:
    """Return a row as the release has it: paths end in a newline, and the column of density is spelt in two ways."""
    folder = f"{kind}-{part}_{patient}_{side}_{view}"
    mass = kind == "Mass"
    descriptors = (
        {"mass shape": "OVAL", "mass margins": "CIRCUMSCRIBED"}
        if mass
        else {"calc type": "PUNCTATE", "calc distribution": "CLUSTERED"}
    )
    plain: dict[str, object] = {
        "patient_id": patient,
        "breast_density" if mass else "breast density": 3,
        "left or right breast": side,
        "image view": view,
        "abnormality id": number,
        "abnormality type": "mass" if mass else "calcification",
        **descriptors,
        "assessment": 4,
        "pathology": "BENIGN",
        "subtlety": 4,
        "image file path": f"{folder}/1.3.6.1.4.1.9590.100.1.2.4221/{SERIES}/000000.dcm",
        "cropped image file path": f"{folder}_{number}/1.3.6.1.4.1.9590.100.1.2.1082/1.3.6.1.2967/000000.dcm\n",
        "ROI mask file path": f"{folder}_{number}/1.3.6.1.4.1.9590.100.1.2.1082/1.3.6.1.2967/000001.dcm\n",
    }
    return plain | {name.replace("_", " ") if name != "breast_density" else name: text for name, text in cells.items()}


def release() -> dict[str, Rows]:
    """Return the four tables: a film with two masses, one in both kinds of tables, one in both parts."""
    return {
        MASS_TRAIN: [
            row(
                "Mass",
                "Training",
                "P_00001",
                "LEFT",
                "CC",
                1,
                mass_shape="IRREGULAR-ARCHITECTURAL_DISTORTION",
                mass_margins="ILL_DEFINED-SPICULATED",
                pathology="MALIGNANT",
                assessment=5,
            ),
            row("Mass", "Training", "P_00001", "LEFT", "CC", 2, mass_shape="LOBULATED"),
            row(
                "Mass",
                "Training",
                "P_00001",
                "LEFT",
                "MLO",
                1,
                mass_shape="LYMPH_NODE",
                assessment=2,
                pathology="BENIGN_WITHOUT_CALLBACK",
            ),
            row("Mass", "Training", "P_00005", "RIGHT", "CC", 1, mass_shape="N/A", mass_margins="", assessment=0),
        ],
        MASS_TEST: [
            row(
                "Mass",
                "Test",
                "P_00016",
                "LEFT",
                "CC",
                1,
                breast_density=0,
                mass_shape="FOCAL_ASYMMETRIC_DENSITY",
                mass_margins="N/A",
            )
        ],
        CALC_TRAIN: [
            row(
                "Calc",
                "Training",
                "P_00005",
                "RIGHT",
                "CC",
                1,
                calc_type="ROUND_AND_REGULAR-LUCENT_CENTER-DYSTROPHIC",
                calc_distribution="DIFFUSELY_SCATTERED",
                assessment=2,
                pathology="BENIGN_WITHOUT_CALLBACK",
            ),
        ],
        CALC_TEST: [
            row("Calc", "Test", "P_00005", "RIGHT", "MLO", 1, calc_type="PLEOMORPHIC", calc_distribution="N/A"),
        ],
    }


IMAGES = (
    "Mass-Training_P_00001_LEFT_CC",
    "Mass-Training_P_00001_LEFT_MLO",
    "Mass-Training_P_00005_RIGHT_CC",
    "Mass-Test_P_00016_LEFT_CC",
    "Calc-Training_P_00005_RIGHT_CC",
    "Calc-Test_P_00005_RIGHT_MLO",
)


def write(root: Path, tables: dict[str, Rows]) -> Path:
    (root / "CBIS-DDSM").mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        write_table(root / name, rows)
    return root


def released(root: Path) -> Path:
    """Write it as TCIA's downloader leaves it: other folders and names than the tables have, crop and mask swapped."""
    write(root, release())
    for seed, image in enumerate(IMAGES):
        study = root / "CBIS-DDSM" / image / "08-29-2017-DDSM-NA-96009"
        write_dicom(
            study / "1.000000-full mammogram images-63992" / "1-1.dcm",
            seed=seed,
            Modality="MG",
            PatientID=image,
            SeriesDescription="full mammogram images",
            SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        )
        cut = root / "CBIS-DDSM" / f"{image}_1" / "08-29-2017-DDSM-NA-94942" / "1.000000-ROI mask images-18515"
        write_dicom(cut / "1-1.dcm", SeriesDescription="cropped images", PatientID=f"{image}_1")
        write_dicom(cut / "1-2.dcm", SeriesDescription="ROI mask images", PatientID=f"{image}_1")
    return root


def released_on_kaggle(root: Path) -> Path:
    """Write the copy on Kaggle: JPEG files in folders of their series."""
    tables = {name: rows[:1] for name, rows in release().items()}
    for at, rows in enumerate(tables.values()):
        rows[0]["image file path"] = str(rows[0]["image file path"]).replace(SERIES, f"1.3.6.1.4.1.{at}")
        write_picture(root / "jpeg" / f"1.3.6.1.4.1.{at}" / f"1-{at}32.jpg", seed=at)
    write(root / "csv", tables)
    return root
