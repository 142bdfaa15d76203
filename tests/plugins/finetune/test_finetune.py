"""``mcd finetune``: a probe, refusals, training that is interrupted, and models that loaders take."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import sklearn.metrics as oracle
import torch
from safetensors.torch import load_file, save_file
from tests.command_line import Outcome
from tests.plugins.finetune.material import Drawn

import mcd
from mcd.errors import CheckpointError, UsageError
from mcd_plugins.finetune.finetuning import Finetuned, finetune
from mcd_plugins.mammo_clip.tower import HEAD, empty_tower, released_names

Run = Callable[..., Outcome]
PHANTOMS = ("--model", "phantom-mammo", "--dataset", "phantom:50", "--workers", "0", "--device", "cpu")
TASK = ("--task", "calcification", "--balance", "weighted")
TINY = {"plugin": "timm", "options": {"name": "test_efficientnet", "input_size": [32, 32], "in_chans": 1}}
SHORT = {"epochs": 4, "batch_size": 4, "learning_rate": 3e-3}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def outputs_of(flags: list[str], folder: Path, dataset: object) -> np.ndarray:
    """Return what a model that a card names gives for images."""
    _, name, *rest = flags
    plugin, _, value = name.partition(":")
    options = dict(one.split("=", 1) for one in rest if one != "--model-arg")
    options = {key: json.loads(one) if one[0] in "[{" else one for key, one in options.items()}
    file = str(folder / "model.safetensors")
    options |= {"name": value, "checkpoint": file} if plugin == "timm" else {"checkpoint": file}
    model = {"plugin": plugin, "options": options}
    found = mcd.run_target(model=model, dataset=dataset, device="cpu", workers=0, progress=False)
    return found.outputs.double().numpy()


def agrees(done: Finetuned, dataset: object) -> None:
    """Make sure that the written model gives the predictions that were measured."""
    logits = outputs_of(list(map(str, done.card["load"])), done.folder, dataset)
    rows = table(done.folder / "predictions.csv")
    last = [float(list(row.values())[-1]) for row in rows]
    shown = (
        1 / (1 + np.exp(-logits[:, 0])) if logits.shape[1] == 1 else torch.from_numpy(logits).softmax(1).numpy()[:, -1]
    )
    assert last == pytest.approx(shown.tolist(), abs=2e-5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def probed(mcd_command: Run, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Finetuned:
    folder = tmp_path_factory.mktemp("probed") / "out"
    done = mcd_command("finetune", *PHANTOMS, "--store", store, *TASK, "-o", folder, "--json")
    assert done.code == 0, done.err
    return Finetuned(folder, json.loads(done.out))


def test_a_probe_is_written_with_a_card_of_what_was_measured(probed: Finetuned) -> None:
    card, folder = probed.card, probed.folder
    names = {"card.json", "card.md", "history.csv", "model.safetensors", "predictions.csv", "settings.json"}
    assert {one.name for one in folder.iterdir()} == {*names, "calibration.svg"}
    assert json.loads((folder / "card.json").read_text()) == card
    assert card["licences"] == {"data": "Apache-2.0", "weights it was trained from": "Apache-2.0"}
    rows = [row for row in table(folder / "predictions.csv") if row["part"] == "test"]
    truth = [row["label"] == "calcifications" for row in rows]
    shown = [float(row["p calcifications"]) for row in rows]
    area = oracle.roc_auc_score(truth, shown)
    found = card["measures"]["test"]["AUROC"]
    assert found["value"] == pytest.approx(area, abs=1e-6)
    right = [(one >= card["threshold"]) == true for one, true in zip(shown, truth, strict=True)]
    assert card["measures"]["test"]["accuracy"]["value"] == pytest.approx(np.mean(right), abs=1e-6)
    assert found["low"] < found["value"] <= found["high"] <= 1
    assert card["data"]["parts"]["test"]["images"] == len(rows)
    page = (folder / "card.md").read_text()
    assert f"| AUROC | {area:.3f} |" in page
    assert "mcd dissect --model-plugin finetuned:model.safetensors --model-arg base=phantom-mammo" in page
    picture = ElementTree.parse(folder / "calibration.svg").getroot()
    assert len(picture.findall(".//{*}circle")) == len(card["calibration"]["bins"])
    assert str(folder.parent) not in page + (folder / "settings.json").read_text()


def test_the_model_that_is_written_predicts_what_was_measured(probed: Finetuned) -> None:
    agrees(probed, "phantom:50")


def test_a_second_probe_runs_no_image_and_gives_the_same_bytes(
    probed: Finetuned, mcd_command: Run, store: Path, tmp_path: Path
) -> None:
    kept = {path: path.stat().st_mtime_ns for path in store.rglob("*.safetensors")}
    done = mcd_command("finetune", *PHANTOMS, "--store", store, *TASK, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "to dissect it: mcd dissect --model-plugin finetuned:" in done.out
    for path in probed.folder.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name
    assert kept == {path: path.stat().st_mtime_ns for path in store.rglob("*.safetensors")}
    again = mcd_command("finetune", *PHANTOMS, "--store", store, "--task", "density", "-o", tmp_path / "density")
    assert again.code == 0, again.err
    assert "quadratic kappa" in again.out
    assert kept.keys() == set(store.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--task", "assessment"), 4, "no image has a label for task 'assessment'"),
        (("--task", "calcificatoin"), 2, "did you mean 'calcifications'"),
        (("--task", "mass", "--limit", "24"), 4, "at least 5 are needed"),
        (("--task", "mass", "--where", '"mass" in findings'), 4, "of one class, 'mass'"),
        (("--task", "mass", "--split", "fold"), 2, "no image has a column 'fold'"),
        (("--task", "mass", "--train", "blocks:9"), 2, "the network has 4 blocks"),
        (("--task", "mass", "--train", "some"), 2, "train"),
        (("--task", "mass", "--checkpoints"), 2, "has no part in a probe"),
        (("--task", "mass", "--shares", "1,2"), 2, "three numbers above 0"),
        (("--task", "mass", "--model", "phantom-mamo"), 2, "phantom-mammo"),
        (("--task", "mass", "--dataset", "csv:none.csv"), 4, "none.csv"),
    ],
)
def test_bad_input_is_refused_before_training(
    arguments: tuple[str, ...], code: int, said: str, mcd_command: Run, tmp_path: Path
) -> None:
    done = mcd_command("finetune", *PHANTOMS, *arguments, "-o", tmp_path / "out", cwd=tmp_path)
    assert (done.code, done.out) == (code, ""), done.err
    assert said in " ".join(done.err.split())
    assert "hint: " in done.err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_folder_of_another_fine_tuning_or_of_something_else_is_refused(
    probed: Finetuned, mcd_command: Run, store: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in probed.folder.iterdir()}
    done = mcd_command("finetune", *PHANTOMS, "--store", store, "--task", "mass", "-o", probed.folder)
    assert done.code == 2
    assert "its task is calcification, and mass is asked for" in " ".join(done.err.split())
    (tmp_path / "notes.txt").write_text("mine")
    done = mcd_command("finetune", *PHANTOMS, "--task", "mass", "-o", tmp_path)
    assert done.code == 2
    assert "notes.txt" in done.err
    assert before == {path.name: path.read_bytes() for path in probed.folder.iterdir()}


def test_a_trainer_that_is_missing_is_said_with_the_command(
    mcd_command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    done = mcd_command("finetune", *PHANTOMS, "--task", "mass", "--train", "all", "-o", tmp_path / "out")
    assert done.code == 3
    assert "pip install 'mammo-clip-dissect[finetune]'" in done.err


@pytest.fixture(scope="module")
def stop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stop") / "now"


def trained(folder: Path, stop: Path, **changes: object) -> Finetuned:
    options = {"recipe": {"train": "all", **SHORT}, "checkpoints": True, **changes}
    images = Drawn(Drawn.Options(stop=stop, after=100))
    return finetune(TINY, images, "mass", folder, device="cpu", workers=0, store="off", progress=False, **options)


@pytest.fixture(scope="module")
def whole(stop: Path, tmp_path_factory: pytest.TempPathFactory) -> Finetuned:
    return trained(tmp_path_factory.mktemp("trained") / "whole", stop)


def test_training_all_weights_learns_and_timm_loads_the_result(whole: Finetuned, stop: Path) -> None:
    assert whole.card["measures"]["test"]["AUROC"]["value"] == 1.0
    assert whole.card["load"][:2] == ["--model-plugin", "timm:test_efficientnet"]
    agrees(whole, Drawn(Drawn.Options(stop=stop)))
    assert len(table(whole.folder / "history.csv")) == 4


def test_an_interrupted_training_continues_and_ends_in_the_same_bytes(
    whole: Finetuned, stop: Path, tmp_path: Path
) -> None:
    stop.touch()  # as by Ctrl-C
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "out", stop)
    stop.unlink()
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert "training.ckpt" in there
    assert "card.json" not in there
    first = (tmp_path / "out" / "checkpoints" / "epoch-001.safetensors").stat().st_mtime_ns
    trained(tmp_path / "out", stop)
    assert (tmp_path / "out" / "checkpoints" / "epoch-001.safetensors").stat().st_mtime_ns == first
    names = sorted(path.relative_to(whole.folder) for path in whole.folder.rglob("*"))
    assert names == sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*"))
    for name in names:
        if (whole.folder / name).is_file():
            assert (tmp_path / "out" / name).read_bytes() == (whole.folder / name).read_bytes(), name


class Huge(torch.nn.Module):
    """Learns well, and overflows once it is evaluated, as by statistics of a normalisation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :64].abs() * (1 if self.training else 1e38)


def test_outputs_that_are_no_numbers_are_no_result(stop: Path, tmp_path: Path) -> None:
    huge = mcd.Target("huge", Huge(), mcd.Preprocessing(height=32, width=32, channels=1))
    recipe = {"train": "all", "epochs": 1, "batch_size": 32, "learning_rate": 100}
    images = Drawn(Drawn.Options(stop=stop))
    with pytest.raises(UsageError, match="training has diverged"):
        finetune(huge, images, "mass", tmp_path, recipe=recipe, device="cpu", workers=0, store="off", progress=False)
    assert not (tmp_path / "card.json").exists()


def test_a_licence_that_is_said_later_is_in_the_card(stop: Path, whole: Finetuned, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path / "out")
    done = trained(tmp_path / "out", stop, licences={"weights": "MIT"})
    assert done.card["licences"] == {"data": "CC0", "weights it was trained from": "MIT"}
    assert json.loads((tmp_path / "out" / "card.json").read_text()) == {**whole.card, "licences": done.card["licences"]}
    assert "weights it was trained from: MIT" in (tmp_path / "out" / "card.md").read_text()


def test_a_damaged_state_is_said(stop: Path, whole: Finetuned, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path / "out")
    (tmp_path / "out" / "card.json").unlink()
    (tmp_path / "out" / "training.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match=r"training\.ckpt cannot be read"):
        trained(tmp_path / "out", stop)


def test_checkpoints_are_dissected_over_training(whole: Finetuned, stop: Path) -> None:
    files = sorted((whole.folder / "checkpoints").iterdir())
    assert [one.name for one in files] == [f"epoch-{at:03d}.safetensors" for at in (1, 2, 3, 4)]
    found = [
        mcd.dissect(
            {**TINY, "options": {**TINY["options"], "num_classes": 1, "checkpoint": str(file)}},
            layers="blocks.3.*",
            dissector="annotations",
            dataset=Drawn(Drawn.Options(stop=stop)),
            calibration={"draws": 0},
            device="cpu",
            workers=0,
            progress=False,
        ).labels
        for file in (files[0], files[-1])
    ]
    assert not found[0]["score"].equals(found[1]["score"])


def test_only_the_last_blocks_are_trained_in_mixed_precision_too(stop: Path, tmp_path: Path) -> None:
    recipe = {"train": "blocks:1", **SHORT, "epochs": 1, "precision": "bf16"}
    done = trained(tmp_path / "out", stop, recipe=recipe, checkpoints=False)
    before = mcd.plugins.load_target(TINY).module.state_dict()
    after = load_file(done.folder / "model.safetensors")
    changed = {name for name, one in after.items() if one.shape != before[name].shape or not one.equal(before[name])}
    parts = {".".join(name.split(".")[: 3 if name.startswith("blocks.") else 1]) for name in changed}
    assert parts == {"blocks.4.0", "conv_head", "bn2", "classifier"}


def stand_in(path: Path) -> Path:
    """Write a classifier as the published scripts do, B2 with random weights that keep signals alive."""
    tower = empty_tower("b2", classes=1)
    names = {**released_names(tower), **{f"classifier.{one}": f"{HEAD}{one}" for one in ("weight", "bias")}}
    generator, state = torch.Generator().manual_seed(0), {}
    for name, one in tower.state_dict().items():
        drawn = torch.randn(one.shape, generator=generator) / max(1, one[0].numel() if one.ndim > 1 else 1) ** 0.5
        kept = torch.ones_like(one) if name.endswith(("weight", "running_var")) else torch.zeros_like(one)
        state[names[name]] = drawn if one.ndim > 1 else kept
    save_file(state, path)
    return path


def test_what_is_trained_from_mammo_clip_is_loaded_by_mammo_clip_classifier(tmp_path: Path, stop: Path) -> None:
    small = {"height": 64, "width": 40, "crop": False}
    file = stand_in(tmp_path / "mass.safetensors")
    model = {"plugin": "mammo-clip-classifier", "options": {"checkpoint": str(file), "preprocessing": small}}
    images = Drawn(Drawn.Options(stop=stop, patients=40))
    done = finetune(model, images, "density", tmp_path / "out", device="cpu", workers=0, store="off", progress=False)
    assert done.card["load"][:2] == ["--model-plugin", "mammo-clip-classifier:model.safetensors"]
    assert done.card["licences"] == {"data": "CC0", "weights it was trained from": "CC BY-NC-SA 4.0"}
    agrees(done, images)


def test_the_loader_of_trained_models_says_what_it_lacks(probed: Finetuned) -> None:
    model = {
        "plugin": "finetuned",
        "options": {"checkpoint": str(probed.folder / "model.safetensors"), "base": "phantom-clip"},
    }
    with pytest.raises(CheckpointError, match="does not fit"):
        mcd.plugins.load_target(model)
    right = {"plugin": "finetuned", "options": {**model["options"], "base": "phantom-mammo"}}
    assert mcd.plugins.load_target(right).outputs == ("calcifications",)
