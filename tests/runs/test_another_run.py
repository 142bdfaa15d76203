"""A run folder takes up the run that it holds and no other: which settings may change on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcd
from mcd.errors import UsageError
from mcd.study.study import Study

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
    "controls": True,
    "maps": 1,
    "reporters": "csv",
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
    "recipe": "dicom-standard",
    "concepts": "birads",
    "prompts": {"templates": ["a {concept}"]},
    "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 4}},
    "calibration": {"draws": 21, "most_draws": 21},
    "labels_per_neuron": 1,
    "device": "auto",
    "precision": "bf16",
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
    assert {*MAY_CHANGE, *MAY_NOT} == set(Study.model_fields) - {"schema_"}


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
