"""Parts and merges in Python, and parts of a run whose names or code are unusual."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runs.in_parts import Command, Made, manifests
from tests.runs.tiny import PLUGIN, STUDY, tree

import mcd
from mcd.errors import DataError, UsageError
from mcd.files import MANIFEST
from mcd.runs.verifying import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mcd_command: Command) -> Made:
    return Made(tmp_path_factory.mktemp("parts"), mcd_command)


def test_parts_between_which_code_that_reads_images_changed_are_refused_whatever_is_allowed(
    made: Made, tmp_path: Path
) -> None:
    other = Made(tmp_path, made.command)
    text = other.plugin.read_text()
    other.plugin.write_text(text.replace("(300, 301) else 5), 1.0)", "(300, 301) else 5), 2.0)"))
    assert other.plugin.read_text() != text
    done = other.merge(tmp_path / "merged", made.part(1, 2), other.part(2, 2), "--allow-different")
    assert done.code == 4
    assert "code or settings of the data set or the recipe" in " ".join(done.err.split())


def test_a_study_may_call_its_targets_as_a_run_calls_its_folders(made: Made, tmp_path: Path) -> None:
    names = ("activations", "statistics", "controls")
    models = [{"plugin": "first", "layers": "one", "name": name} for name in names]
    study = {"models": models, "dissectors": "tiny", "dataset": "tiny-images", "on_error": "skip", "store": "off"}
    study |= {"calibration": {"draws": 20, "most_draws": 20}, "workers": 0, "device": "cpu"}
    given = {"plugin_files": [made.plugin], "progress": False}
    parts = [tmp_path / number for number in "12"]
    for number, part in enumerate(parts, start=1):
        assert mcd.run(study, output=part, part=f"{number}/2", **given) == [part / name for name in names]
    found = mcd.merge(parts, tmp_path / "merged", **given)
    one = mcd.run(study, output=tmp_path / "one", **given)
    assert [run.manifest.target for run in found] == [run.manifest.target for run in one] == list(names)
    assert tree(tmp_path / "merged") == tree(tmp_path / "one")
    assert manifests(tmp_path / "merged") == manifests(tmp_path / "one")


def test_parts_and_merges_in_python_are_refused_in_one_sentence(made: Made, tmp_path: Path) -> None:
    def refused(said: str, call: Callable[[], object]) -> None:
        with pytest.raises(UsageError, match=said):
            call()

    refused("'4/3' is no part of a run", lambda: mcd.run(made.study, part="4/3"))
    refused("a part is not given as text", lambda: mcd.run(made.study, part=3))  # type: ignore[call-overload]  # as users may
    both = {"part": "1/2", "engine": "ray"}
    refused("--part computes one part, --engine all of them", lambda: mcd.run(made.study, **both))
    refused("no part given", lambda: mcd.merge([], tmp_path / "merged"))
    with pytest.raises(DataError, match="2 of 3 parts are missing"):
        mcd.merge(made.part(1, 3), tmp_path / "merged", plugin_files=[made.plugin])  # type: ignore[arg-type]  # as above


NORMED = """

class Normed(mcd.ModelLoader):
    def load(self):
        torch.manual_seed(3)
        layers = nn.Conv2d(1, 4, 5, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3)
        return mcd.Target("normed", nn.Sequential(*layers).eval(), SIZE)


@mcd.hookimpl(specname="mcd_register_models")
def normed():
    return [mcd.Component("normed", f"{__name__}:Normed", "tiny")]
"""


def test_untrained_networks_with_normalisations_see_the_same_images_in_every_part(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcd.extraction.beside.ESTIMATED_FROM", 100)
    plugin = tmp_path / "normed.py"
    plugin.write_text(PLUGIN + NORMED)
    study = {"models": [{"plugin": "normed", "layers": "3"}], "dissectors": "tiny", "dataset": "tiny-images"}
    study |= {"untrained": 10, "on_error": "skip", "calibration": {"draws": 20, "most_draws": 20}}
    study |= {"workers": 0, "batch_size": 8, "store": "off", "device": "cpu"}
    given = {"plugin_files": [plugin], "progress": False}
    mcd.run(study, output=tmp_path / "one", **given)
    parts = [tmp_path / number for number in "123"]
    notes = tmp_path / "notes"
    for number, part in enumerate(parts, start=1):
        monkeypatch.setenv("MCD_TEST_NOTES", str(notes))
        mcd.run(study, output=part, part=f"{number}/3", **given)
    touched = [line for line in notes.read_text().splitlines() if line.startswith("examined")]
    assert len(touched) == 333 + 2 * 100
    mcd.merge(parts, tmp_path / "merged", **given)
    assert tree(tmp_path / "merged") == tree(tmp_path / "one")
    merged, one = manifests(tmp_path / "merged"), manifests(tmp_path / "one")
    assert merged == one


def test_maps_are_made_of_the_strongest_images_of_all_parts(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    text = STUDY.replace("[tiny, annotations]", "tiny").replace("tiny-images", "tiny-images:150")
    study.write_text(text.replace("  - {plugin: second, layers: two}\n", "") + "maps: 1\nstore: off\n")
    given = {"plugin_files": [made.plugin], "progress": False}
    one = mcd.run(study, output=tmp_path / "one", **given)
    assert (one[0].folder / "maps.safetensors").is_file()
    parts = [tmp_path / "1", tmp_path / "2"]
    for number, part in enumerate(parts, start=1):
        mcd.run(study, output=part, part=f"{number}/2", **given)
        assert not list(part.rglob("maps.safetensors"))
    loud = {**given, "progress": True}
    mcd.merge(parts, tmp_path / "without", **loud)
    said = " ".join(capsys.readouterr().err.split())
    assert "has no maps yet: they are made of images, which a merge opens with --trust only" in said
    found = mcd.merge(parts, tmp_path / "merged", trust=True, **given)
    assert tree(tmp_path / "merged") == tree(tmp_path / "one")
    assert manifests(tmp_path / "merged") == manifests(tmp_path / "one")
    assert found[0].maps("one").images.shape == one[0].maps("one").images.shape
    assert all(each.sound for folder in found for each in verify(folder.folder))
    monkeypatch.setattr("torch.get_num_threads", lambda: 7)
    mcd.merge(parts, tmp_path / "elsewhere", trust=True, **loud)
    said = " ".join(capsys.readouterr().err.split())
    assert "has no maps yet: the parts were computed with other threads than this process has" in said
    assert mcd.load(tmp_path / "elsewhere").manifest.status == "finished"
    for part in parts:  # as of a machine with a device that this one has not
        (part / "private" / "study.json").unlink()
        record = json.loads((part / MANIFEST).read_text().replace('"device": "cpu"', '"device": "xpu:7"'))
        (part / MANIFEST).write_text(json.dumps(record | {"checksum": ""}))
    mcd.merge(parts, tmp_path / "other", trust=True, **loud)
    said = " ".join(capsys.readouterr().err.split())
    assert "has no maps yet: device 'xpu:7' cannot be used" in said
    assert mcd.load(tmp_path / "other").manifest.status == "finished"


def test_the_store_has_after_a_merge_what_a_run_in_one_process_leaves_in_it(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = {"models": [{"plugin": "first", "layers": "*"}], "dissectors": "tiny", "store": tmp_path / "store"}
    study |= {"dataset": {"plugin": "tiny-images", "options": {"broken": False}}, "device": "cpu", "workers": 0}
    study |= {"calibration": {"draws": 20, "most_draws": 20}, "untrained": 10}
    given = {"plugin_files": [made.plugin], "progress": False}
    parts = [tmp_path / "1", tmp_path / "2"]
    for number, part in enumerate(parts, start=1):
        mcd.run(study, output=part, part=f"{number}/2", **given)
    before = {path.name for path in (tmp_path / "store").rglob("*.safetensors")}
    mcd.merge(parts, tmp_path / "merged", store=tmp_path / "store", **given)
    kept = [path for path in (tmp_path / "store").rglob("*.safetensors") if "nulls" not in path.parts]
    assert {path.name for path in kept} <= before  # what lies in a part may be anybody's, and does not go into it
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.setenv("MCD_TEST_NOTES", str(notes))
    mcd.run(study, output=tmp_path / "one", **given)
    assert "decoded" not in notes.read_text()
    assert tree(tmp_path / "one") == tree(tmp_path / "merged")
