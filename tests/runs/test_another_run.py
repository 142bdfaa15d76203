"""A run folder takes up the run that it holds and no other: which settings may change on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import mcd
from mcd.errors import UsageError
from mcd.study.study import Study
from mcd_plugins.phantom.shipped import PREPROCESSING

STUDY = {
    "models": {"plugin": "phantom-mammo", "layers": "head"},
    "dissectors": "phantom-clip",
    "dataset": "phantom:3",
    "concepts": "phantom",
    "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 3}},
    "calibration": {"draws": 20, "most_draws": 20},
    "device": "cpu",
    "workers": 0,
}

MAY_CHANGE = {
    "cache": "CACHE",
    "cache_size": 7,
    "store": "STORE",
    "controls": True,
    "maps": 1,
    "reporters": "csv",
    "verify": True,
    "workers": 1,
}
"""These decide how a run is made, or what is written beside its labels."""

MAY_NOT = {
    "models": {"plugin": "phantom-mammo", "layers": "stages.3"},
    "dissectors": {"plugin": "phantom-clip", "name": "other"},
    "dataset": "phantom:4",
    "where": 'view == "MLO"',
    "limit": 7,
    "per_patient": 2,
    "seed": 5,
    "fitted_images": "keep",
    "recipe": "dicom-standard",
    "concepts": "birads",
    "prompts": {"templates": ["a {concept}"]},
    "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 4}},
    "calibration": {"draws": 21, "most_draws": 21},
    "labels_per_neuron": 1,
    "device": "auto",
    "precision": "bf16",
    "scoring_device": "auto",
    "tf32": True,
    "autotune": True,
    "batch_size": 2,
    "keep_identifiers": True,
    "on_error": "skip",
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("stored") / "run"
    run(folder)
    return folder


def run(folder: Path, **changes: object) -> None:
    mcd.run({**STUDY, **changes}, output=folder, progress=False)


def test_every_setting_is_one_or_the_other() -> None:
    more = {"schema_", "untrained"}  # of the latter, what it adds to the labels may change
    assert {*MAY_CHANGE, *MAY_NOT} == set(Study.model_fields) - more


@pytest.mark.parametrize("name", MAY_NOT)
def test_a_setting_that_decides_labels_makes_another_run(name: str, stored: Path) -> None:
    before = (stored / "labels.csv").read_bytes()
    with pytest.raises(UsageError, match=f"holds another run; it differs in {name}\n"):
        run(stored, **{name: MAY_NOT[name]})
    assert (stored / "labels.csv").read_bytes() == before


@pytest.mark.parametrize("name", MAY_CHANGE)
def test_any_other_setting_may_change_and_labels_stay(
    name: str, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (stored / "labels.csv").read_bytes()
    run(stored, **{name: MAY_CHANGE[name]})
    assert (stored / "labels.csv").read_bytes() == before


Scoring = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def by_sum(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    return activations.T @ similarity


def renamed(scorer: Scoring) -> Scoring:
    setattr(scorer, "__name__", "by_sum")  # noqa: B010 -- a callable has no name to mypy
    return scorer


def network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 3, 5, stride=4), torch.nn.ReLU())


def images(seed: int) -> TensorDataset:
    return TensorDataset(torch.from_numpy(np.random.default_rng(seed).random((6, 1, 64, 48), dtype=np.float32)))


def target(seed: int, **recipe: object) -> mcd.Target:
    return mcd.Target("network", network(seed), PREPROCESSING.model_copy(update={"height": 64, "width": 48, **recipe}))


OBJECTS = {
    "target": ("model", lambda: target(1)),
    "target's preprocessing": ("model", lambda: target(0, intensity="min-max")),
    "probe set": ("dataset", lambda: images(1)),
    "concepts": ("concepts", lambda: ["mass", "calcification", "left breast"]),
    "scorer": ("scorer", lambda: renamed(lambda a, p: -a.T @ p)),
}
"""Objects that are called as those of the run are."""


def dissect(folder: Path, **changes: object) -> mcd.Dissection:
    parts = {"model": target(0), "dataset": images(0), "concepts": ["mass", "cyst"], "scorer": by_sum}
    settings = {"layers": "0", "dissector": "phantom-clip", "device": "cpu", "workers": 0, "calibration": {"draws": 0}}
    return mcd.dissect(**{"progress": False, **parts, **settings, **changes}, output=folder)  # type: ignore[arg-type]  # any part


@pytest.fixture(scope="module")
def of_objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dissect(tmp_path_factory.mktemp("objects") / "run").folder


@pytest.mark.parametrize("part", OBJECTS)
def test_another_object_of_the_same_class_makes_another_run(part: str, of_objects: Path) -> None:
    before = {path: path.read_bytes() for path in of_objects.rglob("*") if path.is_file()}
    name, make = OBJECTS[part]
    with pytest.raises(UsageError, match=f"holds another run; another object was its {part.partition(chr(39))[0]}\n"):
        dissect(of_objects, **{name: make()})
    assert {path: path.read_bytes() for path in of_objects.rglob("*") if path.is_file()} == before


def test_an_equal_object_goes_on(of_objects: Path) -> None:
    before = (of_objects / "labels.csv").read_bytes()
    dissect(of_objects)
    assert (of_objects / "labels.csv").read_bytes() == before


def test_functions_of_one_name_score_into_folders_of_their_own(of_objects: Path, tmp_path: Path) -> None:
    other = renamed(lambda a, p: a.T @ p + 1)
    found = [mcd.score(of_objects, scorer=one, progress=False).folder for one in (by_sum, other, by_sum)]
    assert found[0] == found[2] != found[1]
    mcd.score(of_objects, scorer=by_sum, output=tmp_path / "scored", progress=False)
    with pytest.raises(UsageError, match="another object was its scorer"):
        mcd.score(of_objects, scorer=other, output=tmp_path / "scored", progress=False)


def test_a_named_part_that_changed_is_said_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = tmp_path / "words.txt"
    for text in ("mass\ncyst\n", "mass\ncyst\n", "mass\nmargin\n"):
        words.write_text(text)
        capsys.readouterr()
        found = dissect(tmp_path / "run", concepts=str(words), progress=True)
        said = "concepts changed since the run" in " ".join(capsys.readouterr().err.split())
        assert said == ("margin" in text)
    assert {*found.labels["concept"]} <= {"mass", "margin"}
