"""What the tests of shared state and of chance share: a recipe, images, a dissector that writes into one buffer."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import nn

import mcd

CPU = torch.device("cpu")
RECIPE = mcd.Preprocessing(height=32, width=32, channels=3)


class Words(mcd.Dissector):
    """A dissector whose encoder writes every batch into the same buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.preprocessing, self.module = "words", RECIPE, nn.Identity()
        self.buffer = torch.zeros(64, 48)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        kept = self.buffer[: len(batch)]
        kept.copy_(functional.adaptive_avg_pool2d(batch, 4).flatten(1))
        batch.zero_()
        return kept

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.randn(len(texts), 48, generator=torch.Generator().manual_seed(0))


def dissect(module: nn.Module, layers: object, by: object = "phantom-clip", **settings: object) -> mcd.Dissection:
    return mcd.dissect(
        mcd.Target("net", module, RECIPE),
        layers=layers,
        dataset={"plugin": "phantom", "options": {"patients": 5}},
        dissector=by,
        concepts=["mass", "calcification"],
        scorer="cosine",
        device="cpu",
        calibration={"draws": 0},
        progress=False,
        batch_size=8,
        workers=0,
        **settings,
    )


def images(count: int = 20) -> torch.Tensor:
    """The phantoms as a network with RECIPE sees them."""
    from mcd_plugins.phantom.dataset import PhantomDataset

    data = PhantomDataset(PhantomDataset.Options(patients=5))
    samples = [one for one in data.scan() if isinstance(one, mcd.Sample)][:count]
    return RECIPE.finalize(torch.stack([RECIPE.prepare(data.read(one)) for one in samples]))


def in_place_head() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 16),
        nn.ReLU(inplace=True),
        nn.Linear(16, 2),
    ).eval()
