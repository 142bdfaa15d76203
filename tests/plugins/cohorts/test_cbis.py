"""The data set ``cbis-ddsm``: abnormalities become images, old words become new ones, files are found by folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.plugins.cohorts.cbis_tables import (
    CALC_TEST,
    CALC_TRAIN,
    IMAGES,
    MASS_TEST,
    MASS_TRAIN,
    release,
    released,
    released_on_kaggle,
    row,
    write,
)
from tests.plugins.cohorts.conftest import Scanned, write_table

import mcd
from mcd.errors import DataError
from mcd.testing import check_dataset
from mcd_plugins.cohorts.cbis import CbisDdsm

Scan = Callable[[mcd.Dataset], Scanned]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write(tmp_path, release())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return released(tmp_path)


def cbis(root: Path, **options: object) -> CbisDdsm:
    return CbisDdsm(CbisDdsm.Options.model_validate({"root": root, **options}))


def told(root: Path, **options: object) -> Scanned:
    """Return what the tables say; the files need not exist."""
    return {one.id: one for one in cbis(root, **options).scan() if isinstance(one, mcd.Sample)}


def test_each_image_is_one_sample_however_many_abnormalities_it_has(root: Path, scanned: Scan) -> None:
    data = cbis(root)
    found = scanned(data)
    assert list(found) == list(IMAGES)
    assert len(data) == 6
    one = found[IMAGES[0]]
    assert (one.patient, one.view, one.laterality, one.split) == ("P_00001", "CC", "L", "train")
    assert (one.density, one.assessment, one.collection) == ("c", "5", "cbis-ddsm")
    assert one.findings == dict.fromkeys(
        [
            "mass",
            "irregular shape",
            "oval shape",
            "architectural distortion",
            "indistinct margin",
            "spiculated margin",
            "circumscribed margin",
            "breast cancer",
        ],
        True,
    )
    assert one.labels["mass shape"] == "IRREGULAR-ARCHITECTURAL_DISTORTION | LOBULATED"
    assert one.labels["pathology"] == "MALIGNANT | BENIGN"
    assert found[IMAGES[3]].split == "test"
    assert len({sample.digest for sample in found.values()}) == 6


def test_only_full_mammograms_are_read_and_no_mask_or_crop(root: Path, scanned: Scan) -> None:
    for one in scanned(cbis(root)).values():
        assert Path(one.source).parent.name.startswith("1.000000-full mammogram images")
        assert Path(one.source).relative_to(root / "CBIS-DDSM").parts[0] == one.id


@pytest.mark.parametrize(
    ("shape", "margin", "concepts"),
    [
        ("ROUND", "OBSCURED", {"mass", "round shape", "obscured margin"}),
        ("LOBULATED", "MICROLOBULATED", {"mass", "oval shape", "microlobulated margin"}),
        ("IRREGULAR", "ILL_DEFINED", {"mass", "irregular shape", "indistinct margin"}),
        ("N/A", "SPICULATED", {"mass", "spiculated margin"}),
        ("ARCHITECTURAL_DISTORTION", "SPICULATED", {"architectural distortion"}),
        ("LOBULATED-LYMPH_NODE", "CIRCUMSCRIBED", {"intramammary lymph node"}),
        ("ASYMMETRIC_BREAST_TISSUE", "N/A", {"asymmetry", "global asymmetry"}),
        ("FOCAL_ASYMMETRIC_DENSITY", "ILL_DEFINED", {"asymmetry", "focal asymmetry"}),
        ("IRREGULAR-FOCAL_ASYMMETRIC_DENSITY", "", {"mass", "irregular shape", "asymmetry", "focal asymmetry"}),
    ],
)
def test_masses_of_the_third_edition_are_told_in_the_words_of_the_fifth(
    shape: str, margin: str, concepts: set[str], tmp_path: Path
) -> None:
    changed = release()
    changed[MASS_TEST][0] |= {"mass shape": shape, "mass margins": margin, "pathology": ""}
    assert told(write(tmp_path, changed))[IMAGES[3]].findings == dict.fromkeys(concepts, True)


@pytest.mark.parametrize(
    ("kind", "distribution", "concepts"),
    [
        ("AMORPHOUS", "CLUSTERED", {"suspicious calcifications", "amorphous calcifications", "grouped distribution"}),
        ("PLEOMORPHIC", "LINEAR", {"suspicious calcifications", "linear distribution"}),
        (
            "FINE_LINEAR_BRANCHING",
            "SEGMENTAL",
            {"suspicious calcifications", "fine-linear branching calcifications", "segmental distribution"},
        ),
        ("PUNCTATE", "REGIONAL", {"punctate calcifications", "regional distribution"}),
        ("EGGSHELL", "", {"typically benign calcifications", "rim calcifications"}),
        ("LUCENT_CENTERED", "", {"typically benign calcifications", "rim calcifications"}),
        ("COARSE", "", {"typically benign calcifications", "popcorn calcifications"}),
        ("PUNCTATE-PLEOMORPHIC", "", {"punctate calcifications", "suspicious calcifications"}),
        ("N/A", "DIFFUSELY_SCATTERED", {"diffuse distribution"}),
    ],
)
def test_calcifications_of_the_third_edition_are_told_in_the_words_of_the_fifth(
    kind: str, distribution: str, concepts: set[str], tmp_path: Path
) -> None:
    changed = release()
    changed[CALC_TEST][0] |= {"calc type": kind, "calc distribution": distribution, "pathology": ""}
    assert told(write(tmp_path, changed))[IMAGES[5]].findings == dict.fromkeys({"calcifications", *concepts}, True)


def test_a_film_that_is_there_twice_shows_the_same_both_times(tables: Path) -> None:
    data = cbis(tables)
    found = {one.id: one for one in data.scan() if isinstance(one, mcd.Sample)}
    mass, calc = found["Mass-Training_P_00005_RIGHT_CC"], found["Calc-Training_P_00005_RIGHT_CC"]
    assert mass.findings == calc.findings
    assert {"mass", "calcifications", "rim calcifications"} <= set(mass.findings)
    assert (mass.assessment, calc.assessment) == ("0", "2"), "but each has its own assessment"
    assert any("1 films are stored twice" in one for one in data.remarks())


def test_a_film_in_both_parts_is_said(tmp_path: Path) -> None:
    changed = release()
    changed[CALC_TEST][0]["image view"] = "CC"
    changed[CALC_TRAIN].clear()
    changed[CALC_TRAIN].append(row("Calc", "Training", "P_00007", "LEFT", "CC", 1))
    data = cbis(write(tmp_path, changed))
    list(data.scan())
    assert any("1 of them are in the training part with one and in the test part" in one for one in data.remarks())


def test_cancer_is_absent_only_where_all_of_the_breast_is_benign(tables: Path) -> None:
    found = told(tables)
    assert found[IMAGES[0]].findings["breast cancer"] is True
    assert "breast cancer" not in found[IMAGES[1]].findings, "benign here, malignant in the other view"
    assert found[IMAGES[2]].findings["breast cancer"] is False
    assert found[IMAGES[5]].findings["breast cancer"] is False


def test_what_no_row_names_is_unknown(tables: Path) -> None:
    assert told(tables)[IMAGES[3]].findings == {"asymmetry": True, "focal asymmetry": True, "breast cancer": False}


def test_a_density_of_zero_is_unknown_and_said(tables: Path) -> None:
    data = cbis(tables)
    one = next(one for one in data.scan() if isinstance(one, mcd.Sample) and one.id == IMAGES[3])
    assert one.density == ""
    assert one.labels["breast_density"] == "0"
    assert any("column 'breast_density': '0' has no counterpart here" in remark for remark in data.remarks())


def test_of_several_abnormalities_the_gravest_assessment_and_the_known_density_count(tmp_path: Path) -> None:
    changed = release()
    changed[MASS_TRAIN][0] |= {"assessment": 2, "breast_density": 0}
    changed[MASS_TRAIN][1] |= {"assessment": 0, "breast_density": 2}
    one = told(write(tmp_path, changed))[IMAGES[0]]
    assert (one.assessment, one.density) == ("0", "b")
    changed[MASS_TRAIN][0]["breast_density"] = 1
    assert told(write(tmp_path, changed))[IMAGES[0]].density == "", "rows that differ do not tell"


def test_an_unknown_word_is_said_once_however_often_its_film_is_stored(tmp_path: Path) -> None:
    changed = release()
    changed[MASS_TRAIN][3]["mass shape"] = "OVAL-TUBULAR"
    data = cbis(write(tmp_path, changed))
    list(data.scan())
    assert [one for one in data.remarks() if "TUBULAR" in one] == [
        f"{MASS_TRAIN}, column 'mass shape': 'TUBULAR' has no counterpart here (rows: 1, first row 13); "
        "it is kept as it is in labels"
    ]


def test_the_copy_on_kaggle_is_found_by_its_series(tmp_path: Path, scanned: Scan) -> None:
    data = cbis(released_on_kaggle(tmp_path), tables="csv", images="jpeg")
    found = scanned(data)
    assert len(found) == 4
    assert Path(found[IMAGES[0]].source).name == "1-032.jpg"
    assert data.read(found[IMAGES[0]]).maximum == 255


def test_a_folder_with_masks_in_it_is_read_where_it_says_which_is_the_mammogram(root: Path) -> None:
    folder = root / "CBIS-DDSM" / IMAGES[0]
    PIL.Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "mask.png")
    assert told(root)[IMAGES[0]].source.endswith("1-1.dcm")
    inner = next(folder.glob("*/*full*"))
    inner.rename(inner.with_name("images"))
    with pytest.raises(DataError, match=f"{IMAGES[0]} holds several images"):
        told(root)


def test_a_file_that_is_not_there_is_named(root: Path) -> None:
    gone = next((root / "CBIS-DDSM" / IMAGES[0]).rglob("1-1.dcm"))
    gone.unlink()
    data = cbis(root)
    first = next(iter(data.scan()))
    assert isinstance(first, mcd.Sample)
    looked = data.examine(first)
    assert isinstance(looked, mcd.Unreadable)
    assert IMAGES[0] in looked.source


def test_a_folder_of_images_that_is_not_there_is_named(tables: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*dicom\nhint: give the folder .* as images=DIR"):
        told(tables, images="dicom")


@pytest.mark.parametrize("name", [MASS_TRAIN, MASS_TEST, CALC_TRAIN, CALC_TEST])
def test_all_four_tables_are_needed(name: str, tables: Path) -> None:
    (tables / name).unlink()
    with pytest.raises(DataError, match=f"there is no table .*{name}"):
        told(tables)


@pytest.mark.parametrize(
    ("name", "column", "near"),
    [
        (CALC_TRAIN, "breast density", "breast_density"),
        (MASS_TEST, "breast_density", "breast density"),
        (MASS_TRAIN, "pathology", "pathologies"),
        (CALC_TEST, "left or right breast", "left or right"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest(name: str, column: str, near: str, tables: Path) -> None:
    rows = [{near if key == column else key: cell for key, cell in one.items()} for one in release()[name]]
    write_table(tables / name, rows)
    with pytest.raises(DataError, match=f"{name}, row 1: there is no column '{column}'\nhint: did you mean '{near}'"):
        told(tables)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("patient_id", "", "the patient's id is missing"),
        ("left or right breast", "", "a value is missing"),
        ("left or right breast", "BOTH", "'BOTH' is none of"),
        ("image view", "ML", "'ML' is none of CC, MLO"),
        ("abnormality type", "calcification", "'calcification' is none of mass"),
    ],
)
def test_what_is_wrong_is_told_with_file_row_and_column(column: str, value: str, message: str, tables: Path) -> None:
    changed = release()[MASS_TRAIN]
    changed[1][column] = value
    write_table(tables / MASS_TRAIN, changed)
    with pytest.raises(DataError, match=f"{MASS_TRAIN}, row 7, column '{column}': {message}"):  # rows span lines
        told(tables)


def test_another_encoding_is_told_with_file_row_and_column(tables: Path) -> None:
    text = (tables / CALC_TEST).read_text(encoding="utf-8").replace("PLEOMORPHIC", "PLÉOMORPHIC")
    (tables / CALC_TEST).write_bytes(text.encode("cp1252"))
    with pytest.raises(DataError, match=f"{CALC_TEST}, row 4, column 'calc type': it is not utf-8"):
        told(tables)


def test_it_passes_the_kit(root: Path) -> None:
    check_dataset(cbis(root))
