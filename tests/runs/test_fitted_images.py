"""Units are tested on other patients than they were fitted on, or the run says that they are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.command_line import Outcome
from tests.plugins.units.unit_files import written
from tests.runs import tiny
from tests.runs.test_dissect import Patches
from tests.runs.test_dissect import dissect as of_patches
from tests.runs.test_run_target import Plain

import mcd
from mcd.errors import DataError
from mcd.plugins import target_images

OUT = "others of patients that units were fitted on"
CALIBRATION = {"draws": 20, "most_draws": 20}
SCORER = {"plugin": "soft-wpmi", "options": {"top_k": 5}}


class Made:
    """The small plugin, the digests of its images, four to a patient, and files of units fitted on some of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugin, _ = tiny.written(folder)
        found = target_images("first", self.images(150), progress=False, plugin_files=[self.plugin], workers=0)
        self.digests = found.digests

    @staticmethod
    def images(count: int = 40) -> dict[str, object]:
        return {"plugin": "tiny-images", "options": {"images": count, "broken": False}}

    def fitted_on(self, *rows: int, name: str = "cavs") -> str:
        digests = json.dumps(sorted(self.digests[row] for row in rows))
        return (
            f"directions:{written(self.folder / f'{name}.safetensors', {'directions': torch.eye(4)}, fitted=digests)}"
        )

    def dissect(self, *units: str, output: Path | None = None, **more: object) -> mcd.Dissection:
        given = {"dissector": "tiny", "dataset": self.images(), "concepts": ["mass", "cyst"], "units": units, **more}
        how = {
            "device": "cpu",
            "workers": 0,
            "calibration": CALIBRATION,
            "scorer": SCORER,
            "progress": False,
            "store": "off",
        }
        return mcd.dissect("first", layers="one", output=output, plugin_files=[self.plugin], **given, **how)  # type: ignore[arg-type]  # each its own


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("fitted"))


def test_patients_that_units_were_fitted_on_are_left_out(made: Made, tmp_path: Path) -> None:
    file = made.fitted_on(1, 2, 9)
    found = made.dissect(file, output=tmp_path / "run")
    record = found.manifest
    assert (record.images, record.left_out) == (32, {OUT: 8})
    (layer,) = record.layers
    assert layer.through is not None
    assert (layer.through.fitted, layer.through.kept) == (3, 0)
    said = "8 of 40 images of 2 patients are left out: units cavs were fitted on images of these patients"
    assert [one for one in record.warnings if said in one]
    assert "fitted_images" not in found.labels
    assert {one["patient"] for one in found.probe_map}.isdisjoint({"p0", "p2"})
    again = mcd.load(tmp_path / "run", trust=True)
    assert again.manifest.left_out == {OUT: 8}
    assert mcd.score(
        tmp_path / "run", labels_per_neuron=1, progress=False, plugin_files=[made.plugin]
    ).manifest.left_out == {OUT: 8}


def test_those_that_are_kept_are_said_in_tables_and_records(made: Made, tmp_path: Path) -> None:
    given = {"fitted_images": "keep", "neurons": True, "output": tmp_path / "run"}
    found = made.dissect(made.fitted_on(1, 9), made.fitted_on(39, name="others"), **given)
    assert (found.manifest.images, found.manifest.left_out) == (40, {})
    kept = found.labels.groupby("layer")["fitted_images"].unique().map(list).to_dict()
    assert kept == {"one": [0], "one/cavs": [8], "one/others": [4]}
    assert [one.through and one.through.kept for one in found.manifest.layers] == [None, 8, 4]
    said = "12 of 40 images of 3 patients are no test on other patients: units cavs and others were fitted on"
    assert any(one.startswith(said) for one in found.manifest.warnings)
    page = next(path for path in mcd.report(found, reporters="markdown") if path.suffix == ".md").read_text()
    assert "The units of one/cavs were fitted on patients of 8 of the 40 images" in " ".join(page.split())
    anew = mcd.score(tmp_path / "run", labels_per_neuron=1, progress=False, plugin_files=[made.plugin])
    assert anew.labels.groupby("layer")["fitted_images"].first().tolist() == [0, 8, 4]


def test_an_image_that_was_not_chosen_takes_its_patient_along(made: Made) -> None:
    found = made.dissect(made.fitted_on(1, 22), per_patient=1)  # of each patient, the first: 0, 4, 8 and so on
    assert (found.manifest.images, found.manifest.left_out) == (8, {OUT: 2})
    assert made.dissect(made.fitted_on(1, 22), limit=20).manifest.left_out == {OUT: 4}
    assert made.dissect(made.fitted_on(22), limit=20).manifest.left_out == {}


@pytest.mark.parametrize(
    ("rows", "asked", "said"),
    [
        ([0], {"fitted_images": "refuse"}, "4 of 40 images of 1 patient are no test: units cavs were fitted on"),
        ([1, 5], {"limit": 8}, "no image is left to test on: units cavs were fitted on .*, all 8 that are chosen"),
    ],
)
def test_a_support_set_that_is_the_test_set_is_refused(
    rows: list[int], asked: dict[str, object], said: str, made: Made, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        made.dissect(made.fitted_on(*rows), output=tmp_path / "run", **asked)
    assert not list((tmp_path / "run").glob("activations/*"))


def test_an_image_without_a_patient_stands_for_itself() -> None:
    images = Patches(12)
    digests = target_images(Plain(), images, progress=False, workers=0).digests
    units = mcd.Units("mine", torch.nn.Linear(6, 2), 6, 2, fitted=frozenset(digests[3:5]))
    found = of_patches(model=Plain(), dataset=images, layers="conv", units=units)
    assert found.manifest.left_out == {OUT: 2}
    assert any("2 of 12 images are left out: units mine were fitted on them" in one for one in found.manifest.warnings)


def test_a_study_leaves_them_out_for_all_of_its_targets_and_parts_make_the_same_run(
    made: Made, mcd_command: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(
        f"""
models:
- {{plugin: first, layers: one, units: "{made.fitted_on(1, 70)}"}}
- {{plugin: second, layers: two}}
dissectors: tiny
dataset: {json.dumps(made.images(150))}
calibration: {json.dumps(CALIBRATION)}
scorer: {json.dumps(SCORER)}
batch_size: 8
device: cpu
workers: 0
store: "off"
"""
    )

    def run(output: str, *flags: str) -> None:
        done = mcd_command("--plugin-file", made.plugin, "run", "study.yaml", "-o", output, "-q", *flags, cwd=tmp_path)
        assert done.code == 0, done.err

    run("whole")
    for part in ("1/2", "2/2"):
        run(f"part-{part[0]}", "--part", part)
    given = "--plugin-file", made.plugin, "merge", "part-1", "part-2", "-o", "merged"
    done = mcd_command(*given, cwd=tmp_path)
    assert done.code == 0, done.err

    def record(folder: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((tmp_path / folder / "manifest.json").read_text())
        return {name: found[name] for name in ("images", "left_out", "warnings", "fingerprints", "layers", "digests")}

    for target in ("first", "second"):
        assert record(f"whole/{target}")["left_out"] == {OUT: 8}
        assert record(f"whole/{target}") == record(f"merged/{target}")
