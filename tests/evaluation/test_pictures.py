"""Runs of pictures of no known patient, and of networks that say little, evaluated."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.conftest import Outcome
from tests.evaluations import whole
from torch import nn

import mcd
from mcd.errors import DataError
from mcd.evaluation.references import by_other
from mcd.evaluation.splitting import Split
from mcd.runs.revived import StoredScores

FEW = {"draws": 0}
WORDS = [
    "mass",
    "cyst",
    "skin",
    "nipple",
    "calcifications",
    "asymmetry",
    "distortion",
    "implant",
    "scar",
    "duct",
    "muscle",
    "marker",
    "letter",
    "film",
    "fat",
]


def pictures(folder: Path, count: int, *, backwards: bool = False, seed: int = 0, finding: str = "mass") -> str:
    """Write pictures of which every other is bright and has a finding; return their table."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        picture = 40 + 90 * (number % 2) + rng.integers(0, 60, size=(32, 32))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{number % 2}")
    rows = [f"path,{finding}", *(rows[::-1] if backwards else rows)]
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    return f"csv:{folder / 'images.csv'}"


class Noise(nn.Module):
    """A network whose layer has nothing to do with what an image shows, and yet the same for the same image."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 60, bias=False)
        generator = torch.Generator().manual_seed(0)
        self.head.weight.data = torch.randn(60, 64, generator=generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pieces = nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)
        return self.head(torch.sin(1e5 * pieces))


class Silent(nn.Module):
    """A network whose layer says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, 4, 1, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images)


def dissected(
    folder: Path,
    images: int,
    model: str | nn.Module = "phantom-mammo",
    dissector: str = "phantom-clip",
    draws: int = 0,
    untrained: int = 0,
    backwards: bool = False,
    seed: int = 0,
    finding: str = "mass",
    concepts: Sequence[str] = WORDS[:3],
) -> mcd.Dissection:
    """Dissect a layer with pictures of no known patient."""
    table = pictures(folder, images, backwards=backwards, seed=seed, finding=finding)
    return mcd.dissect(
        model,
        layers="head",
        dissector=dissector,
        concepts=list(concepts),
        scorer=None if dissector == "annotations" else "cosine",
        dataset={"plugin": table, "options": {"findings": [finding]}},
        calibration={"draws": draws, "most_draws": max(1, draws)},
        untrained=untrained,
        device="cpu",
        workers=0,
        output=folder / "run",
        progress=False,
    )


def test_images_of_another_folder_are_others_whatever_their_names(tmp_path: Path) -> None:
    run = dissected(tmp_path / "one", 40)
    same, others = (
        dissected(tmp_path / str(seed), count, dissector="annotations", seed=seed) for seed, count in ((0, 30), (1, 40))
    )
    assert run.image_ids == others.image_ids
    with pytest.raises(DataError, match="has none of the held-out images"):
        mcd.evaluate(run, other=others, draws=0)
    split = Split(run, StoredScores(run), 0, 0)
    judge = by_other(run, same, split.concepts, split.held_out, split.units)
    assert (~np.isnan(judge.column(0))).sum() == 30


def test_held_out_images_that_were_named_by_under_another_patient_are_said(tmp_path: Path) -> None:
    table = pictures(tmp_path, 40)
    for number in range(10):
        shutil.copy(tmp_path / f"{number}.png", tmp_path / f"{number + 10}.png")
    rows = [f"{number}.png,{number % 2},p{number}" for number in range(40)]
    (tmp_path / "images.csv").write_text("\n".join(["path,mass,patient", *rows]) + "\n")
    run = mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="annotations",
        concepts=["mass"],
        dataset={"plugin": table, "options": {"findings": ["mass"], "patient": "patient"}},
        calibration=FEW,
        device="cpu",
        workers=0,
        output=tmp_path / "run",
        progress=False,
    )
    held_out = Split(run, StoredScores(run), 0, 0).held_out
    names = [Path(entry["source"]).stem for entry in run.probe_map]
    half = dict(zip(map(int, names), held_out, strict=True))
    apart = sum(half[number] != half[number + 10] for number in range(10))
    assert apart
    assert mcd.evaluate(run, draws=0).record.notes[0].startswith(f"{apart} of 20 held-out images are equal to images")


def test_of_noise_no_label_is_better_than_chance(tmp_path: Path) -> None:
    run = mcd.dissect(
        mcd.Target("noise", Noise(), mcd.Preprocessing(height=32, width=32, channels=1)),
        layers="head",
        dissector="phantom-clip",
        dataset="phantom:24",
        concepts="phantom",
        scorer={"plugin": "soft-wpmi", "options": {"top_k": 15}},
        calibration=FEW,
        device="cpu",
        workers=0,
        output=tmp_path,
        progress=False,
    )
    found = mcd.evaluate(run, against=["annotations", "truth"], draws=20)
    means = whole(found, "annotations")["first"]
    assert means["auc (annotated positives)"] == pytest.approx(0.5, abs=0.05)
    assert means["pearson"] == pytest.approx(0, abs=0.07)
    assert whole(found, "truth").loc["recovered", "first"] < 0.2
    assert found.stability["share"].mean() < 0.6


def test_two_images_are_too_few(tmp_path: Path) -> None:
    run = dissected(tmp_path, 2)
    with pytest.raises(DataError, match="too few images to hold out half") as caught:
        mcd.evaluate(run)
    assert "at least" in caught.value.hint


def test_where_no_patient_is_known_images_are_held_out(tmp_path: Path) -> None:
    found = mcd.evaluate(dissected(tmp_path, 40, dissector="annotations"), draws=10)
    assert (found.record.held_out_patients, found.record.held_out_images) == (None, 20)
    assert found.record.against == ["annotations"]
    # of one concept that can be judged, there is no other to draw
    assert set(found.summary["labels"]) == {"first", "constant", "first - constant"}
    assert (found.summary["units"] == 20).all()


def test_the_order_of_images_plays_no_part(tmp_path: Path) -> None:
    one, other = (
        mcd.evaluate(dissected(tmp_path / str(backwards), 40, backwards=backwards), against="held-out", draws=10)
        for backwards in (False, True)
    )
    pd.testing.assert_frame_equal(one.summary, other.summary, atol=1e-4)
    pd.testing.assert_frame_equal(one.stability, other.stability)
    # which of nearly equal neurons is the nearest hangs on last bits, and these on an image's place in its batch
    geometry = [found.geometry.drop(columns="nearest") for found in (one, other)]
    pd.testing.assert_frame_equal(*geometry, atol=1e-4)


def test_labels_that_nothing_annotates_are_not_judged_and_it_is_said(tmp_path: Path) -> None:
    labels = dissected(tmp_path / "first", 40, concepts=WORDS).labels
    assert labels["neuron"].nunique() < len(WORDS)  # so one word names no neuron, on whatever processor
    unused = {*WORDS} - {*labels.loc[labels["rank"] == 1, "concept"]}
    found = mcd.evaluate(dissected(tmp_path / "second", 40, finding=min(unused), concepts=WORDS), draws=0)
    assert not len(found.summary)
    assert "no label by half of the patients is a concept that can be judged against annotations" in found.problems


def test_a_run_in_which_no_neuron_responds_has_nothing_to_judge(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    run = dissected(tmp_path, 24, Silent())
    done = mcd_command("evaluate", run.folder, "--draws", 5)
    assert done.code == 0, done.err
    assert "names no neuron: there are no labels to judge" in " ".join(done.out.split())


@pytest.mark.slow
def test_the_random_networks_of_a_run_stand_beside_it(tmp_path: Path) -> None:
    run = dissected(tmp_path, 40, draws=20, untrained=10)
    found = mcd.evaluate(run, against="held-out", draws=5)
    assert not any("random network" in one for one in found.problems)
    table = found.summary[found.summary["layer"] == ""].set_index(["measure", "labels"])
    first, beside = (table.loc[("pearson", kind), "value"] for kind in ("first", "untrained"))
    assert table.loc[("pearson", "first - untrained"), "value"] == pytest.approx(first - beside)
    neurons = {one.name: one.neurons for one in run.manifest.layers}["head"]
    assert neurons < table.loc[("pearson", "untrained"), "neurons"] <= 10 * neurons
