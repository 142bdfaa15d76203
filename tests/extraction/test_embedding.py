"""Vectors by themselves: an interrupted call goes on, and leaves nothing beside its output."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mcd.extraction.embedding import Embedder
from mcd.extraction.zero_shot import auroc
from mcd.study.outputs import WRITTEN
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.phantom.dissector import PhantomClip


class Counted(PhantomClip):
    """Counts images, and is interrupted before the fifth batch where asked to."""

    def __init__(self, stop: bool) -> None:
        super().__init__()
        self.stop, self.seen = stop, 0

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        if self.stop and self.seen >= 64:
            raise KeyboardInterrupt
        self.seen += len(batch)
        return super().encode_images(batch)

    def fingerprint(self) -> str:
        return "the same"


def embedder(dissector: PhantomClip) -> Embedder:
    dissector.load()
    return Embedder(
        dissector, device="cpu", precision="fp32", batch_size=16, workers=0, on_error="stop", emit=lambda event: None
    )


def test_an_interrupted_embedding_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = PhantomDataset(PhantomDataset.Options(patients=25))
    out = tmp_path / "vectors.safetensors"
    with pytest.raises(KeyboardInterrupt):
        embedder(Counted(stop=True)).images(data, out)
    again = Counted(stop=False)
    continued = embedder(again)
    vectors = continued.images(data, out)
    assert again.seen == 3 + 100 - 64  # three of noise, before the first batch
    other = embedder(Counted(stop=False))
    whole = other.images(data, tmp_path / "other.safetensors")
    assert torch.equal(vectors.images, whole.images)
    assert [sample.id for sample in vectors.samples] == [sample.id for sample in whole.samples]
    continued.finish(out)
    other.finish(tmp_path / "other.safetensors")
    assert list(tmp_path.glob(".*")) == []
    assert (tmp_path / "private" / WRITTEN).is_file()


def test_the_area_under_the_curve_counts_ties_half() -> None:
    positive = torch.tensor([True, False, True, False]).numpy()
    assert auroc([0.9, 0.1, 0.5, 0.5], positive) == (1 + 1 + 1 + 0.5) / 4
