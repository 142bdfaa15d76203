"""What any data set as a whole is remarked for: findings that are never there, keys of patients that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome
from tests.plugins.cohorts.conftest import write_dicom, write_picture, write_table

from mcd import Sample
from mcd.extraction.remarks import ProbeRemarks, remarks_on
from mcd.runs.finishing import not_decoded

Command = Callable[..., Outcome]

FILMS = [(side, view) for side in "LR" for view in ("CC", "MLO")]


def films(*keys: str, **known: object) -> list[Sample]:
    """One woman's four films after the other; a key may hold SIDE and VIEW, as those of CBIS-DDSM's headers do."""
    return [
        Sample(
            f"{key}/{side}{view}",
            patient=key.replace("SIDE", side).replace("VIEW", view).replace("ID", f"{side}{view}"),
            laterality=side,
            view=view,
            **known,  # type: ignore[arg-type]  # fields of a sample
        )
        for key in keys
        for side, view in FILMS
    ]


def test_a_concept_that_is_only_ever_absent_is_remarked() -> None:
    sick = Sample("1", findings={"mass": True, "calcifications": False})
    well = Sample("2", findings={"mass": False, "asymmetry": False})
    (said,) = remarks_on([sick, well, Sample("3")])
    assert "present in none: asymmetry, calcifications; is" in said
    assert remarks_on([sick, Sample("4", findings={"calcifications": True})]) == []


def test_of_several_data_sets_each_is_remarked_by_itself() -> None:
    one = [Sample("1", collection="old", findings={"mass": False}), Sample("2", collection="old")]
    other = [Sample("3", collection="new", findings={"mass": True})]
    assert [said.partition("; ")[0] for said in remarks_on([*one, *other])] == [
        "old: absent in some images and present in none: mass"
    ]


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (films("P1-ID", "P2-ID"), "each of 8 images is of another patient"),
        (films("Mass-Test_P_1_SIDE_VIEW", "Mass-Test_P_1_SIDE_VIEW"), "no patient has images of two sides or views"),
        (films("anonymous", "anonymous"), "all 8 images are of one patient"),
        (films("1", "2"), ""),
        (films("", ""), ""),
        ([Sample("1", patient="1"), Sample("2", patient="1"), Sample("3", patient="2")], ""),
        ([Sample("1", patient="1")], ""),
    ],
    ids=["own", "side and view", "one", "right", "unknown", "no views", "one image"],
)
def test_keys_of_patients_that_look_like_something_else_are_remarked(samples: list[Sample], said: str) -> None:
    found = remarks_on(samples)
    assert [said in one for one in found] == ([True] if said else [])
    assert not any(one.patient and one.patient in remark for one in samples for remark in found)


def test_each_collection_has_patients_of_its_own() -> None:
    one, two = films("1", "2", collection="a"), films("1-ID", "2-ID", collection="b")
    (said,) = remarks_on([*one, *two])
    assert said.startswith("b: each of 8 images")


def test_data_check_says_so_of_headers_and_of_tables(tmp_path: Path, mcd_command: Command) -> None:
    for side, view in FILMS:
        for number in (173, 174):
            name = f"Mass-Test_P_00{number}_{'LEFT' if side == 'L' else 'RIGHT'}_{view}"
            write_dicom(tmp_path / "dicom" / f"{name}.dcm", PatientID=name, ImageLaterality=side, ViewPosition=view)
    done = mcd_command("data", "check", tmp_path / "dicom", "--workers", "0", "--limit", "1")
    assert "each of 8 images is of another patient" in " ".join(done.out.split())
    rows = [{"path": f"{at}.png", "patient": "10006.0", "mass": 0} for at in range(2)]
    for row in rows:
        write_picture(tmp_path / str(row["path"]), seed=int(str(row["path"])[0]))
    table = write_table(tmp_path / "table.csv", rows)
    done = mcd_command("data", "check", table, "--dataset", "csv", "--dataset-arg", "findings=mass", "--workers", "0")
    said = " ".join(done.out.split())
    assert "all 2 images are of one patient" in said
    assert "present in none: mass" in said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, ["1 image cannot be used and is left out", "the data set gives 1 image no digest"]),
        (2, ["2 images cannot be used and are left out", "the data set gives 2 images no digest"]),
    ],
)
def test_one_image_is_not_several(count: int, said: list[str]) -> None:
    found = ProbeRemarks(unreadable=count, unidentified=count).sentences()
    assert all(part in whole for part, whole in zip(said, found, strict=True))
    assert not_decoded(count).startswith(said[0].replace("cannot be used", "could not be decoded"))
