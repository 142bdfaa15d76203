"""Runs that share a store: a second study computes only what is new, and every number is the one it would compute."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import mcd
from mcd.extraction.shared_store import SharedStore
from mcd.extraction.store_care import prune
from mcd.runs.verifying import verify
from mcd_plugins.phantom.dataset import PhantomDataset

RECIPE = mcd.Preprocessing(height=32, width=32, channels=1)
DATA = {"plugin": "phantom", "options": {"patients": 18}}
IMAGES = 72


class Counting(mcd.Dissector):
    """Sees the mean of an image in patches, and counts what it is asked."""

    images = 0
    texts = 0

    def __init__(self) -> None:
        super().__init__()
        self.name, self.preprocessing, self.module = "counting", RECIPE, nn.Identity()

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        Counting.images += len(batch)
        return nn.functional.adaptive_avg_pool2d(batch, 4).flatten(1)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        Counting.texts += len(texts)
        return torch.randn(len(texts), 16, generator=torch.Generator().manual_seed(0))

    def fingerprint(self) -> str:
        return "counting"


class Network(nn.Module):
    """Two layers; counts the images it sees."""

    seen = 0

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.one, self.two = nn.Conv2d(1, 6, 5, 3), nn.Conv2d(6, 8, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Network.seen += len(x)
        found: torch.Tensor = self.two(torch.relu(self.one(x)))
        return found


@pytest.fixture(autouse=True)
def _from_zero() -> None:
    Counting.images = Counting.texts = Network.seen = 0


def counted() -> tuple[int, int, int]:
    """Return what was asked of dissector, texts and target since this was last called."""
    found = Counting.images, Counting.texts, Network.seen
    Counting.images = Counting.texts = Network.seen = 0
    return found


def dissect(folder: Path, seed: int = 1, **settings: object) -> mcd.Dissection:
    return mcd.dissect(
        mcd.Target("net", Network(seed), RECIPE),
        **{
            "layers": ["one", "two"],
            "dissector": Counting(),
            "dataset": DATA,
            "concepts": ["mass", "right breast", "left breast"],
            "scorer": "pearson",
            "calibration": {"draws": 30, "most_draws": 30, "right": False},
            "progress": False,
            **settings,
        },
        device="cpu",
        workers=0,
        output=folder,
    )


def kept(folder: Path) -> dict[str, bytes]:
    """Return the files of a run but for its record, which holds times."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if "private" not in path.parts}


def test_a_second_target_does_not_run_the_dissector(tmp_path: Path) -> None:
    dissect(tmp_path / "first")
    images, texts, seen = counted()
    assert images >= IMAGES
    assert texts == 3
    assert seen >= IMAGES
    second = dissect(tmp_path / "second", seed=2)
    images, texts, seen = counted()
    assert (images, texts) == (0, 0)
    assert seen >= IMAGES
    alone = dissect(tmp_path / "alone", seed=2, store="off")
    assert kept(second.folder) == kept(alone.folder)
    assert (second.folder / "labels.csv").read_bytes() == (alone.folder / "labels.csv").read_bytes()
    before, after = (json.loads((one.folder / "manifest.json").read_text()) for one in (alone, second))
    assert before["store"] == after["store"]
    assert before["warnings"] == after["warnings"]


def test_a_new_layer_adds_itself_only_and_the_same_again_nothing(tmp_path: Path, own_store: Path) -> None:
    dissect(tmp_path / "first", layers="one")
    (trial, _, _), store = counted(), SharedStore(own_store)
    before = {one.path for one in store.files()}
    dissect(tmp_path / "second")
    images, texts, _seen = counted()
    assert (images, texts) == (0, 0)
    added = [one for one in store.files() if one.path not in before and one.kind != "nulls"]  # of groups of neurons
    assert {one.kind for one in added} == {"activations"}
    assert len({one.key for one in added}) == 1
    dissect(tmp_path / "third")
    images, texts, seen = counted()
    assert (images, texts) == (0, 0)
    assert seen < IMAGES  # the trial pass: what layers there are
    assert kept(tmp_path / "third") == kept(tmp_path / "second")
    assert trial >= IMAGES


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({"scorer": "cosine"}, 0),
        ({"concepts": ["mass", "cyst"]}, 2),
        ({"labels_per_neuron": 1}, 0),
        ({"prompts": {"templates": ["a {concept}"]}}, 3),
    ],
)
def test_another_scorer_or_vocabulary_runs_no_image(tmp_path: Path, settings: dict[str, object], texts: int) -> None:
    dissect(tmp_path / "first")
    counted()
    dissect(tmp_path / "second", **settings)
    images, asked, seen = counted()
    assert (images, asked) == (0, texts)
    assert seen < IMAGES


@pytest.mark.parametrize("settings", [{"batch_size": 8}, {"precision": "bf16"}, {"limit": 70}])
def test_what_changes_numbers_is_computed_anew(tmp_path: Path, settings: dict[str, object]) -> None:
    dissect(tmp_path / "first")
    counted()
    second = dissect(tmp_path / "second", **settings)
    images, _, seen = counted()
    assert images >= 70
    assert seen >= 70
    assert kept(second.folder) == kept(dissect(tmp_path / "alone", store="off", **settings).folder)


@pytest.mark.parametrize("store", ["off", None])
def test_texts_are_encoded_once_a_run(tmp_path: Path, store: str | None) -> None:
    dissect(tmp_path / "first", store=store, controls=True)
    _, texts, _ = counted()
    assert texts == 3  # for the run and for its control with random weights


def test_a_folder_that_is_copied_away_is_whole_without_the_store(tmp_path: Path, own_store: Path) -> None:
    dissect(tmp_path / "first")
    second = dissect(tmp_path / "second", scorer="cosine")
    copy = Path(shutil.copytree(second.folder, tmp_path / "copy"))
    shutil.rmtree(own_store)
    shutil.rmtree(tmp_path / "first")
    assert all(one.sound for one in verify(copy))
    assert all(one.sound for one in verify(second.folder))
    labels = mcd.score(mcd.load(copy), scorer="pearson", progress=False).labels
    assert len(labels) > 0


def test_pruned_while_a_run_is_on_it_computes_what_it_lacks(tmp_path: Path, own_store: Path) -> None:
    alone = dissect(tmp_path / "alone", seed=2, store="off")
    dissect(tmp_path / "first")

    class Pruning(Counting):
        """Prunes the store when its texts are asked for, and at each image."""

        def encode_texts(self, texts: list[str]) -> torch.Tensor:
            prune(SharedStore(own_store), keep_days=0)
            return super().encode_texts(texts)

    class Target(Network):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            prune(SharedStore(own_store), keep_days=0)
            return super().forward(x)

    for name in ("second", "third"):
        found = mcd.dissect(
            mcd.Target("net", Target(2), RECIPE),
            layers=["one", "two"],
            dissector=Pruning(),
            dataset=DATA,
            concepts=["mass", "right breast", "left breast"],
            scorer="pearson",
            calibration={"draws": 30, "most_draws": 30, "right": False},
            device="cpu",
            progress=False,
            workers=0,
            output=tmp_path / name,
        )
        assert (found.folder / "labels.csv").read_bytes() == (alone.folder / "labels.csv").read_bytes()
        assert all(one.sound for one in verify(found.folder))


def test_a_file_that_was_edited_in_a_run_folder_is_found_out_in_the_next(tmp_path: Path) -> None:
    first = dissect(tmp_path / "first")
    path = sorted(first.folder.glob("embeddings/*/00000.safetensors"))[0]
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)  # it is the store's too
    counted()
    second = dissect(tmp_path / "second")
    images, _, seen = counted()
    assert images > 0
    assert seen < IMAGES
    assert any("files of the store were damaged" in one for one in second.manifest.warnings)
    assert all(one.sound for one in verify(second.folder))
    assert kept(second.folder) == kept(dissect(tmp_path / "alone", store="off").folder)


@pytest.mark.parametrize("obstacle", ["a file in the store's place", "a file in the home's place"])
def test_a_store_that_cannot_be_made_or_written_is_said_once_and_harms_no_run(
    tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    (tmp_path / "file").write_text("")
    own_store.mkdir(mode=0o700)
    if obstacle == "a file in the home's place":
        monkeypatch.delenv("MCD_STORE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "file"))
        monkeypatch.setenv("HOME", str(tmp_path / "file"))
    else:
        (own_store / "v1").write_text("in the way")
    found = dissect(tmp_path / "run")
    said = [one for one in found.manifest.warnings if "kept for other runs" in one]
    assert len(said) == 1
    assert "what was computed is not kept for other runs: " in said[0]
    assert all(one.sound for one in verify(found.folder))
    counted()  # what is counted is a part of the dissector
    assert kept(found.folder) == kept(dissect(tmp_path / "alone", store="off").folder)


def test_runs_before_and_after_an_image_failed_hold_the_same_images(tmp_path: Path) -> None:
    class Fails(mcd.Preprocessing):
        """Cannot take one of the images."""

        def picture(self, image: mcd.Image) -> mcd.Image:
            if image.pixels.mean() > Fails.above:
                raise mcd.errors.ImageError("it is too bright")
            return image

    data = PhantomDataset(PhantomDataset.Options(patients=18))
    means = sorted(data.read(one).pixels.mean() for one in data.scan() if isinstance(one, mcd.Sample))
    Fails.above = float(means[-3])
    dissect(tmp_path / "first", on_error="skip")
    counted()
    found = mcd.dissect(
        mcd.Target("net", Network(1), Fails(height=32, width=32, channels=1)),
        layers="one",
        dissector=Counting(),
        dataset=DATA,
        concepts=["mass", "right breast"],
        scorer="pearson",
        calibration={"draws": 30, "most_draws": 30, "right": False},
        on_error="skip",
        device="cpu",
        progress=False,
        workers=0,
        output=tmp_path / "second",
    )
    assert found.manifest.left_out == {"unreadable": 0, "not decoded": 2}
    assert len(found.image_embeddings()) == len(found.activations("one")) == IMAGES - 2
    assert all(one.sound for one in verify(found.folder))


def test_a_run_that_adds_to_the_store_ends_with_it_below_its_limit_and_says_so(
    tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = dissect(tmp_path / "first")
    monkeypatch.setenv("MCD_STORE_LIMIT", "0")
    dissect(tmp_path / "second", seed=2)
    kinds = {"activations", "embeddings", "statistics", "texts"}
    assert {one.kind for one in SharedStore(own_store).files()} == kinds  # run folders hold all of it
    shutil.rmtree(first.folder)
    before = {one.path for one in SharedStore(own_store).files() if not one.shared}
    assert before
    assert capsys.readouterr().err == ""
    third = dissect(tmp_path / "third", seed=3, progress=True)
    assert "no run folder holds" in " ".join(capsys.readouterr().err.split())
    left = list(SharedStore(own_store).files())
    assert {one.kind for one in left} == kinds
    assert all(one.shared for one in left)
    assert before.isdisjoint({one.path for one in left})
    assert all(one.sound for one in verify(third.folder))
    monkeypatch.setenv("MCD_STORE_LIMIT", "much")
    with pytest.raises(mcd.errors.UsageError, match="MCD_STORE_LIMIT"):
        dissect(tmp_path / "fourth")


def test_new_labels_and_comparisons_take_the_nulls_of_runs_from_the_store(tmp_path: Path, own_store: Path) -> None:
    first = dissect(tmp_path / "first")
    stored = {one.path: one.path.read_bytes() for one in SharedStore(own_store).files() if one.kind == "nulls"}
    assert stored
    counted()  # what a class counts is part of it: the second run has the same dissector
    runs = [first, dissect(tmp_path / "second", seed=2)]
    uses = (
        lambda: mcd.score(first, labels_per_neuron=1, progress=False),
        lambda: mcd.compare(runs, resamples=0),
    )
    for use in uses:
        for path in stored:
            path.write_bytes(b"damaged")
        use()
        assert {path: path.read_bytes() for path in stored} == stored  # found damaged, drawn and kept again
