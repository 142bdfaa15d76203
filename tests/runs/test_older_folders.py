"""Run folders of other versions: read, or refused with what to do; a setting that is new is no difference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

import mcd
from mcd.errors import MCDError, StoreError, UsageError
from mcd.extraction.jobs import IMAGES
from mcd.extraction.store import Shards
from mcd.runs.rescore import rescore
from mcd.scoring.verdicts import VERDICTS

Edit = Callable[[dict[str, Any]], object]


class Squares(TensorDataset):
    """Grey images with a bright square that grows."""

    def __init__(self) -> None:
        images = torch.rand(24, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.3
        for row, image in enumerate(images):
            image[:, : 2 * row, : 2 * row] += 0.6
        super().__init__(images)

    def __getitem__(self, row: int) -> torch.Tensor:  # type: ignore[override]  # without the tuple
        return super().__getitem__(row)[0]


def dissect(output: Path, **changes: object) -> mcd.Dissection:
    settings: dict[str, object] = {
        "model": "phantom-mammo",
        "layers": "head",
        "dataset": Squares(),
        "dissector": "phantom-clip",
        "concepts": ["mass", "calcification", "clip"],
        "scorer": {"plugin": "soft-wpmi", "options": {"top_k": 5}},
        "progress": False,
        "device": "cpu",
        "calibration": {"draws": 20, "most_draws": 20},
        **changes,
    }
    return mcd.dissect(output=output, **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older") / "run"
    dissect(folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def edited(path: Path, change: Edit) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_settings_that_an_older_version_did_not_have_are_no_difference(run: Path) -> None:
    def older(study: dict[str, Any]) -> None:
        del study["maps"], study["per_patient"], study["prompts"], study["models"][0]["pooling"]
        del study["scorer"]["options"]["temperature"], study["models"][0]["options"], study["calibration"]["q"]

    before = json.loads((run / "private" / "study.json").read_text())
    edited(run / "private" / "study.json", older)
    dissect(run)
    assert json.loads((run / "private" / "study.json").read_text()) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"per_patient": 1}, "per_patient"),
        ({"calibration": {"draws": 20, "most_draws": 20, "q": 0.1}}, "calibration"),
        ({"scorer": {"plugin": "soft-wpmi", "options": {"top_k": 5, "temperature": 2.0}}}, "scorer"),
    ],
)
def test_a_setting_that_is_not_at_its_default_is_a_difference(run: Path, changes: dict[str, object], said: str) -> None:
    def older(study: dict[str, Any]) -> None:
        del study["per_patient"], study["scorer"]["options"]["temperature"], study["calibration"]["q"]

    edited(run / "private" / "study.json", older)
    with pytest.raises(UsageError, match=f"holds another run; it differs in {said}\n"):
        dissect(run, **changes)


@pytest.mark.parametrize(
    ("file", "change", "said", "hint"),
    [
        (
            "manifest.json",
            lambda one: one.update(schema="mcd.manifest/99"),
            "manifest.json cannot be read: it was made by a newer mcd: mcd.manifest/99",
            "upgrade",
        ),
        (
            "manifest.json",
            lambda one: one.update(new_field=1),
            "manifest.json was made by a newer mcd: it has the field 'new_field', which is not known here",
            "upgrade",
        ),
        (
            "manifest.json",
            lambda one: one.update(schema="mcd.study/1"),
            "manifest.json cannot be read: it holds mcd.study/1",
            "give another file",
        ),
        (
            "manifest.json",
            lambda one: one.update(images="many"),
            "manifest.json is damaged: images: Input should be a valid integer",
            "run it again into another --output",
        ),
        (
            "private/study.json",
            lambda one: one.update(new_field=1),
            "private/study.json was made by a newer mcd: it has the field 'new_field', which is not known here",
            "upgrade",
        ),
        (
            "private/study.json",
            lambda one: one.update(schema="mcd.study/7"),
            "private/study.json cannot be read: it was made by a newer mcd: mcd.study/7",
            "upgrade",
        ),
    ],
)
def test_a_folder_that_is_not_read_says_why_and_what_to_do(
    run: Path, file: str, change: Edit, said: str, hint: str
) -> None:
    edited(run / file, change)
    actions: list[Callable[[], object]] = [lambda: dissect(run), lambda: rescore(mcd.load(run), labels_per_neuron=2)]
    for action in actions:
        with pytest.raises(StoreError) as caught:
            action()
        assert caught.value.message.replace(f"{run}/", "").startswith(said)
        assert caught.value.hint.startswith(hint)


def older_shards(folder: Path, key: str, tensors: dict[str, torch.Tensor]) -> None:
    """Write a shard as versions did whose keys held all images."""
    widths = {name: tensor.shape[1] for name, tensor in tensors.items()}
    Shards(folder, key, widths).write(0, tensors, range(len(next(iter(tensors.values())))), [])


def test_a_folder_that_keeps_the_layers_together_is_read(tmp_path: Path) -> None:
    found = dissect(tmp_path / "run", layers=["stages.3", "head"])
    activations = {layer: found.activations(layer) for layer in found.layers}
    store, statistics, ids = found.manifest.store, found.image_statistics(), found.image_ids
    assert statistics is not None
    images = {"embeddings": (store.embeddings, found.image_embeddings()), "statistics": (store.statistics, statistics)}
    shutil.rmtree(found.folder / "activations")
    older_shards(found.folder / "activations", store.activations, activations)
    for kind, (own, tensor) in images.items():
        shutil.rmtree(found.folder / kind / store.whole(own)[:16])
        older_shards(found.folder / kind, own, {IMAGES: tensor})
    without_digests(found.folder)
    edited(found.folder / "manifest.json", lambda one: (one["store"].pop("layered"), one["store"].pop("images")))
    older = mcd.load(found.folder)
    for layer, tensor in activations.items():
        torch.testing.assert_close(older.activations(layer), tensor, rtol=0, atol=0)
    assert older.image_ids == ids
    assert len(mcd.score(older, labels_per_neuron=2, progress=False).labels) > 0
    again = dissect(tmp_path / "run", layers=["stages.3", "head"])  # as this version keeps them
    assert not (found.folder / "activations" / store.activations[:16]).exists()
    assert torch.equal(again.activations("head"), activations["head"])


def test_patients_that_are_not_known_are_no_permutation_unit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the patient of no image is known"):
        dissect(tmp_path / "run", calibration={"draws": 20, "most_draws": 20, "exchangeable": "patient"})
    assert not list((tmp_path / "run").glob("activations/*/*"))


def test_a_run_that_was_shared_without_its_private_folder_is_read(run: Path) -> None:
    shutil.rmtree(run / "private")
    assert len(mcd.load(run).labels) > 0
    edited(run / "manifest.json", lambda one: one["study"].update(new_field=1))
    with pytest.raises(MCDError, match=r"the study in .*manifest\.json was made by a newer mcd"):
        dissect(run)


def without_digests(run: Path) -> None:
    """Make a run folder one of a version that wrote no digests."""

    def older(manifest: dict[str, Any]) -> None:
        del manifest["digests"], manifest["checksum"], manifest["store"]["digests"], manifest["store"]["ids"]

    edited(run / "manifest.json", older)
    for sums in run.rglob("SHA256SUMS"):
        sums.unlink()


def as_version_0_1_wrote_it(run: Path) -> None:
    def older(manifest: dict[str, Any]) -> None:
        manifest["schema"] = "mcd.manifest/1"
        names = {
            "significant": "above_chance",
            "non_null": "responding",
            "decided": "settled",
            "permutation_unit": "exchangeable",
        }
        manifest["summary"] = [{names.get(key, key): one[key] for key in one} for one in manifest["summary"]]

    edited(run / "manifest.json", older)
    verdicts = {"significant": "above chance", "multiple categories": "polysemantic", "not significant": "chance"}
    labels = pd.read_parquet(run / "labels.parquet")
    labels.assign(verdict=labels["verdict"].replace(verdicts)).to_parquet(run / "labels.parquet", index=False)
    for name in ("neurons", "null"):
        table = pd.read_parquet(run / f"{name}.parquet")
        table.rename(columns={"stratum": "kind"}).to_parquet(run / f"{name}.parquet", index=False)


def test_a_folder_of_version_0_1_is_read_under_the_present_names_and_stays_as_it_is(run: Path) -> None:
    without_digests(run)
    labels = mcd.load(run).labels
    half = labels["verdict"].where(labels.index % 2 == 0, "significant")  # whatever so few images say
    labels.assign(verdict=half).to_parquet(run / "labels.parquet", index=False)
    now = mcd.load(run)
    as_version_0_1_wrote_it(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    then = mcd.load(run)
    assert then.manifest == now.manifest
    for name in ("labels", "neurons", "null"):
        pd.testing.assert_frame_equal(getattr(then.results, name), getattr(now.results, name))
    assert {path: path.read_bytes() for path in before} == before
    assert set(then.labels["verdict"]) <= set(VERDICTS)
