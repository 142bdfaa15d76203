"""Untrained networks in the store that runs share: what their normalisations saw decides their numbers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from tests.runs.test_shared_store import DATA, RECIPE, Counting, counted, kept
from torch import nn

import mcd
from mcd.extraction.shared_store import SharedStore
from mcd_plugins.phantom.dataset import PhantomDataset


class Normalising(nn.Module):
    """Has a normalisation, which an untrained network estimates before the sweep."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.one, self.two = nn.Conv2d(1, 6, 5, 3), nn.BatchNorm2d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.two(self.one(x))
        return found


class SometimesUnreadable(PhantomDataset):
    """Cannot read one image while the environment says so."""

    def read(self, sample: mcd.Sample) -> mcd.Image:
        if os.environ.get("MCD_TEST_UNREADABLE") == sample.id:
            raise mcd.errors.ImageError("the disk is away")
        return super().read(sample)


def with_untrained(folder: Path, **settings: object) -> mcd.Dissection:
    counted()  # what is counted is a part of the dissector
    return mcd.dissect(
        mcd.Target("net", Normalising(1), RECIPE),
        **{"dissector": Counting(), "dataset": DATA, **settings},
        layers="two",
        untrained=10,
        concepts=["mass", "right breast", "left breast"],
        scorer="pearson",
        calibration={"draws": 30, "most_draws": 30, "right": False},
        on_error="skip",
        device="cpu",
        progress=False,
        workers=0,
        output=folder,
    )


def test_untrained_networks_of_a_store_are_normalised_before_they_run_again(tmp_path: Path) -> None:
    class Narrow(Counting):
        """Cannot take one of the images; so all columns of its shard are computed again, without it."""

        def __init__(self) -> None:
            super().__init__()
            self.preprocessing = Fails(height=32, width=32, channels=1)

    class Fails(mcd.Preprocessing):
        def picture(self, image: mcd.Image) -> mcd.Image:
            if image.pixels.mean() > Fails.above:
                raise mcd.errors.ImageError("it is too bright")
            return image

    data = PhantomDataset(PhantomDataset.Options(patients=18))
    Fails.above = float(sorted(data.read(one).pixels.mean() for one in data.scan() if isinstance(one, mcd.Sample))[-2])
    with_untrained(tmp_path / "first")
    second = with_untrained(tmp_path / "second", dissector=Narrow())
    assert second.manifest.left_out["not decoded"] == 1
    alone = with_untrained(tmp_path / "alone", dissector=Narrow(), store="off")
    for one, other in zip(second.untrained("two"), alone.untrained("two"), strict=True):
        torch.testing.assert_close(one, other)


def test_untrained_networks_that_an_image_is_missing_in_are_not_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_store: Path
) -> None:
    data = SometimesUnreadable(PhantomDataset.Options(patients=18))
    last = [one.id for one in data.scan() if isinstance(one, mcd.Sample)][-1]
    monkeypatch.setenv("MCD_TEST_UNREADABLE", last)
    with_untrained(tmp_path / "first", dataset=data)  # its first shard is whole
    kinds = {one.kind for one in SharedStore(own_store).files()}
    assert kinds == {"activations", "embeddings", "nulls", "statistics", "texts"}
    monkeypatch.delenv("MCD_TEST_UNREADABLE")
    second = with_untrained(tmp_path / "second", dataset=data)
    assert kept(second.folder) == kept(with_untrained(tmp_path / "alone", dataset=data, store="off").folder)
