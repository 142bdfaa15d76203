"""What the rungs of a run are tested with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mcd
from mcd.runs.material import facts_of
from mcd.scoring.rungs import NUISANCE, RIGHT


def drawn(folder: Path, *, images: int = 60, patients: bool = False) -> Path:
    """Draw pictures, some twice, of which half are bright and called masses; return their table."""
    rng = np.random.default_rng(0)
    rows = ["path,mass" + (",patient" if patients else "")]
    for number in range(images):
        bright = number % 2
        picture = (40 + 90 * bright + rng.integers(0, 60, size=(32, 32))).astype(np.uint8)
        for copy in range(2 if number < 4 else 1):
            name = f"{number}-{copy}.png"
            Image.fromarray(picture).save(folder / name)
            rows.append(f"{name},{bright}" + (f",p{number}" if patients else ""))
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    return folder / "images.csv"


def dissected(folder: Path, *, images: int = 60, patients: bool = False, **calibration: object) -> mcd.Dissection:
    """Dissect a layer with what the table says of the pictures."""
    table = drawn(folder, images=images, patients=patients)
    return mcd.dissect(
        "phantom-mammo",
        dissector="annotations",
        layers="stages.0",
        dataset={"plugin": f"csv:{table}", "options": {"findings": ["mass"]}},
        output=folder / "run",
        progress=False,
        workers=0,
        calibration=calibration,
    )


@pytest.mark.parametrize("patients", [False, True], ids=["by image", "by patient"])
def test_a_label_is_held_against_annotations_of_other_patients_or_of_other_images(
    tmp_path: Path, *, patients: bool
) -> None:
    found = dissected(tmp_path, patients=patients, nuisances=False)
    assert found.manifest.rungs == {RIGHT: ""}
    first = found.labels[found.labels["rank"] == 1]
    assert (first["concept"] == "mass").all()
    assert (first["q_right"] <= 0.05).any()
    assert first["q_nuisance"].isna().all()
    said = [one for one in found.manifest.warnings if "half of the images is held out" in one]
    assert bool(said) is not patients


def test_equal_images_are_on_one_side(tmp_path: Path) -> None:
    from mcd.runs.halves import units_of

    found = dissected(tmp_path, draws=0)
    units = units_of(found, found.image_statistics())
    names = [entry["own_id"] for entry in found.probe_map]
    together = {tuple(np.flatnonzero(units.patient == one).tolist()) for one in np.flatnonzero(units.sizes == 2)}
    assert {tuple(sorted(names[row] for row in rows)) for rows in together} == {
        (f"{number}-0.png", f"{number}-1.png") for number in range(4)
    }
    assert found.manifest.rungs == {}
    assert NUISANCE not in found.manifest.rungs


def test_what_is_known_of_an_image_may_be_no_utf8(tmp_path: Path) -> None:
    found = dissected(tmp_path, images=30, draws=0)
    found.probe_map[0]["labels"] = json.dumps({"note\udcff": "caf\udce9"})
    facts = facts_of(found)
    assert facts.loc[0, "note\\udcff"] == "caf\\udce9"
    assert facts.to_parquet()
