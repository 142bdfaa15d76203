"""The dissector: imported when somebody uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

import mcd
from acme_greys.words import LEXICON, STATISTICS, known

__all__ = ["Greys", "GreysDissector"]

_SIDE = 128
_SCALES = (3, 9, 27, 81)
"""Sides of the squares whose means are compared: 128 pixels across, from a speck to a breast."""
_BACKGROUND = 0.02
"""Up to this share of white a pixel is no breast."""


class Greys(nn.Module):
    """Measure what grey values say of an image, without any weight that was trained.

    Parameters
    ----------
    centre, spread
        What is usual of each statistic, ``(5,)``: they are given as so many spreads from the centre.
    """

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self, centre: Sequence[float], spread: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor(centre))
        self.register_buffer("spread", torch.tensor(spread))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the statistics ``(B, 5)`` of grey images ``(B, 1, 128, 128)`` in 0…1, in the order of `STATISTICS`."""
        return (self.measured(images) - self.centre) / self.spread

    @staticmethod
    def measured(images: torch.Tensor) -> torch.Tensor:
        """Return the statistics as they are measured: shares of white, and the share of the image that is breast."""
        breast = (images > _BACKGROUND).float()
        area = breast.mean(dim=(1, 2, 3))
        pixels = breast.sum(dim=(1, 2, 3)).clamp(min=1)
        brightness = (images * breast).sum(dim=(1, 2, 3)) / pixels
        means = [images, *(_mean_around(images, breast, side) for side in _SCALES)]
        # a band: how far the means of smaller squares lie above those of larger ones around them
        bands = [(small - large).clamp(min=0) * breast for small, large in pairwise(means)]
        specks, _, lumps, regions = (band.square().sum(dim=(1, 2, 3)).div(pixels).sqrt() for band in bands)
        return torch.stack([area, brightness, specks, lumps, regions], dim=1)


def _mean_around(images: torch.Tensor, breast: torch.Tensor, side: int) -> torch.Tensor:
    """Return the mean of the breast's pixels in a square around each pixel: what lies outside does not count."""
    total, share = (functional.avg_pool2d(one, side, 1, side // 2) for one in (images * breast, breast))
    return total / share.clamp(min=1e-6)


class GreysDissector(mcd.Dissector):
    """Embeds an image by its grey values, and a text by what its words say of grey values.

    There are as many dimensions as `STATISTICS`, and one more for texts without a word of the lexicon: they are like
    no image. What such a dissector labels, a grey-value meter sees; compare a dissector that you trust with it.
    """

    name = "acme-greys"
    caution = "acme-greys measures grey values: what it labels needs no mammogram to be understood"

    def load(self) -> None:
        """Set up the statistics. There are no weights; centre and spread are those of 400 phantoms."""
        self.module = Greys(centre=(0.39, 0.35, 0.024, 0.046, 0.07), spread=(0.13, 0.093, 0.0063, 0.016, 0.037))
        self.preprocessing = mcd.Preprocessing(height=_SIDE, width=_SIDE, channels=1)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the statistics of a batch ``(B, 1, 128, 128)``, and 0 in the dimension of unknown texts."""
        return functional.pad(self.module(batch), (0, 1))

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the sum of what the words of each text say, ``(len(texts), 6)``."""
        rows = torch.zeros(len(texts), len(STATISTICS) + 1)
        for row, text in zip(rows, texts, strict=True):
            for word in known(text):
                for statistic, amount in LEXICON[word].items():
                    row[STATISTICS.index(statistic)] += amount
            row[-1] = float(not row.any())
        centre: torch.Tensor = self.module.get_buffer("centre")
        return rows.to(centre.device)

    def unknown(self, texts: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the words that are not in the lexicon, for ``mcd concepts lint``."""
        return {text: [word for word in text.lower().split() if word not in known(text)] for text in texts}
