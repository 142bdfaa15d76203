"""What ``mcd cav`` refuses: one clear message each, before anything is computed, and nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.command_line import Outcome
from tests.plugins.cav.material import Head, Planted, ready

import mcd
from mcd.errors import DataError
from mcd_plugins.cav.asked import Concepts, Sensitivities, asked_for, settings_of
from mcd_plugins.cav.measuring import measured

Run = Callable[..., Outcome]
MODEL = ("--model", "phantom-calc", "--layers", "stages.2", "--workers", "0", "--device", "cpu")
FEW = (*MODEL, "--dataset", "phantom:6")
MASS = ("--concepts", "mass")


@pytest.mark.parametrize(
    ("flags", "code", "problem"),
    [
        ((), 2, "which model, and which images?"),
        (MODEL, 2, "which model, and which images?"),
        (("run", *FEW), 2, "a run has a model and images of its own: --model-plugin has no part here"),
        (("nowhere",), 4, "nowhere is not a run folder"),
        ((*FEW, "--concepts", "masss"), 2, "no image says whether it shows 'masss'\n  hint: did you mean 'mass'?"),
        ((*FEW, "--concepts", ","), 2, "--concepts names none"),
        ((*FEW, *MASS, "--limit", "1"), 4, "mass: one class only: 1 patient"),
        ((*FEW, *MASS, "--limit", "8"), 4, "patients without it, of 4 needed, 2 to fit on and 2 held out"),
        ((*FEW, "--limit", "8"), 4, "annotated concepts can be tested"),
        ((*FEW, "--label", "site"), 2, "no image has a label column 'site'"),
        (
            (*FEW, "--classes", "calcification"),
            2,
            "no output 'calcification'; they are numbered 0 to 13",
        ),
        ((*FEW, "--classes", "14"), 2, "the network has no output '14'"),
        ((*FEW, "--of", "stages.3"), 2, "--of stages.3: a layer and the number of a unit are needed"),
        ((*FEW, "--of", "stages.3:128"), 2, "--of stages.3:128: layer stages.3 has units 0 to 127"),
        ((*FEW, "--of", "stages.*:1"), 2, "picks 4 layers"),
        ((*FEW, "--of", "nothing:1"), 2, "no layer matches 'nothing'"),
        ((*FEW, "--of", "stages.2:1"), 2, "directions of stages.2 are tested on what comes later"),
        ((*FEW, *MASS, "--of", "stages.0:1"), 2, "does not depend on layer stages.2"),
        ((*FEW, *MASS, "--layers", "nothing"), 2, "no layer matches 'nothing'"),
        ((*FEW, *MASS, "--class-images", 'view == "X"'), 4, "images fits view"),
        ((*FEW, *MASS, "--class-images", "vie"), 2, "there is no field 'vie'"),
        ((*FEW, "--present", "a"), 2, "--present, --absent and --name go together"),
        ((*FEW, "--name", "mass"), 2, "--present, --absent and --name go together"),
        ((*FEW, *MASS, "--present", "a", "--absent", "b", "--name", "x"), 2, "are the images of one concept, x"),
        ((*FEW, "--present", "a", "--absent", "b", "--name", "x"), 4, "there is no file or folder a"),
        ((*FEW, "--text", "mass"), 2, "texts need a dissector"),
        ((*FEW, "--dissector", "phantom-clip"), 2, "texts need a dissector"),
        ((*FEW, "--text", "mass", "--dissector", "phantom-clip"), 4, "6 patients: directions of texts need 10"),
        ((*FEW, *MASS, "--nuisances", "patient"), 2, "nuisance 'patient' says whose the images are"),
        ((*FEW, *MASS, "--nuisances", "age"), 2, "no image has a nuisance 'age'"),
        ((*FEW, *MASS, "--nuisances", "collection"), 2, "nuisance 'collection' is 'phantom' in all images"),
        ((*FEW, "--dissector-arg", "x=1"), 2, "--dissector-arg has no part"),
    ],
)
def test_it_is_said_what_where_and_what_to_do(
    mcd_command: Run, tmp_path: Path, flags: tuple[str, ...], code: int, problem: str
) -> None:
    done = mcd_command("cav", *flags, "-o", tmp_path / "cav", cwd=tmp_path)
    assert done.code == code, done.err
    assert problem in done.err
    assert done.err.count("error:") == 1
    assert "hint:" in done.err
    assert not done.out
    assert not list(tmp_path.rglob("*.csv"))


def test_one_that_mcd_did_not_write_is_in_the_way(mcd_command: Run, tmp_path: Path) -> None:
    (tmp_path / "cav.csv").write_text("mine")
    done = mcd_command("cav", *FEW, *MASS, "-o", tmp_path)
    assert done.code == 2
    assert "cav.csv" in done.err
    assert (tmp_path / "cav.csv").read_text() == "mine"


def test_directions_of_another_call_do_not_stay_beside_new_ones(mcd_command: Run, tmp_path: Path) -> None:
    few = ("--concepts", "right breast", "--classes", "0", "--sets", "19", "-o", tmp_path / "cav")
    assert mcd_command("cav", *FEW, *few).code == 0
    assert mcd_command("cav", *FEW, *few).code == 0  # the same again
    done = mcd_command("cav", *FEW[:2], "--layers", "stages.1", *FEW[4:], *few)
    assert done.code == 2
    assert "holds stages.2.safetensors, which this call does not write" in done.err


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, mcd_command: Run) -> Path:
    """Drawn mammograms as files: all of them, and parted into those with calcifications and without."""
    folder: Path = tmp_path_factory.mktemp("files")
    assert mcd_command("phantoms", folder / "all", "--patients", "9").code == 0
    for row in pd.read_csv(folder / "all" / "labels.csv").itertuples():
        own = folder / ("with" if row.calcifications else "without")
        own.mkdir(exist_ok=True)
        shutil.copy(folder / "all" / str(row.path), own)
    return folder


def test_folders_are_two_classes_and_overlap_is_refused(mcd_command: Run, tmp_path: Path, files: Path) -> None:
    pair = ("--present", files / "with", "--absent", files / "without", "--name", "calc", "--classes", "0")
    other = (*MODEL, "--dataset", "phantom:5", "--dataset-arg", "seed=12", "--sets", "19", "-o", tmp_path / "cav")
    done = mcd_command("cav", *other, *pair)
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "cav" / "cav.csv")
    assert list(table["concept"]) == ["calc"]
    assert set(table["images_of"]) <= {"all images", "all images, with calcifications"}
    assert str(files) not in (tmp_path / "cav" / "cav.json").read_text()

    same = ("--dataset", f"csv:{files}/all/labels.csv", "-o", tmp_path / "no")
    done = mcd_command("cav", *MODEL, *same, *pair)
    assert done.code == 4
    assert "36 images are in the images of the concept and in the data set, such as" in done.err
    assert not (tmp_path / "no" / "cav.csv").exists()

    mixed = tmp_path / "mixed"
    shutil.copytree(files / "without", mixed)
    shutil.copy(sorted((files / "with").iterdir())[0], mixed / "renamed.png")
    done = mcd_command("cav", *other[:-1], tmp_path / "no", *pair[:2], "--absent", mixed, *pair[4:])
    assert done.code == 4
    assert "1 image is in --present and in --absent, such as" in done.err

    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((files / "with").iterdir())[:3]:
        shutil.copy(path, few)
    done = mcd_command("cav", *other[:-1], tmp_path / "no", "--present", few, *pair[2:])
    assert done.code == 4
    assert "calc: 3 patients with it, of 4 needed" in done.err


class Elsewhere(Planted):
    """Other images of the same patients."""

    def scan(self) -> Iterator[mcd.Sample]:
        for at, one in enumerate(super().scan()):
            yield mcd.Sample(f"other {at}", digest=f"{at + 10**6:064x}", patient=one.patient)


class Silent(Planted):
    """The same picture everywhere."""

    def read(self, sample: mcd.Sample) -> mcd.Image:
        return mcd.Image(np.linspace(0, 1, 36, dtype=np.float32).reshape(6, 6), 1.0)


def test_patients_of_the_concept_are_not_tested_on_and_features_must_differ() -> None:
    settings = settings_of(sets=19)
    own = ready(mcd.Target("planted", Head()), Planted())
    pair = Concepts(present=Elsewhere(), absent=Elsewhere(Planted.Options(patients=5)), name="x")
    with pytest.raises(DataError, match="are in --present and in --absent"):
        asked_for(own, pair, Sensitivities(["features"]), settings)
    same = ready(mcd.Target("planted", Head()), Silent())
    found = asked_for(same, Concepts(["up"]), Sensitivities(["features"]), settings)
    with pytest.raises(DataError, match="layer features: the features are the same in all images"):
        measured(found)
