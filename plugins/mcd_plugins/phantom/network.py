"""The small networks: the image–text model, and the classifier to be dissected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mcd_plugins.phantom.factors import CALCIFICATION_DISTRIBUTIONS, CALCIFICATION_MORPHOLOGIES
from mcd_plugins.phantom.tokenizer import BUCKETS, tokenize

__all__ = [
    "CALCIFICATIONS",
    "EVERYDAY",
    "FINDINGS",
    "MEAN",
    "STD",
    "ImageTower",
    "PhantomClipNetwork",
    "PhantomMammoNetwork",
    "TextTower",
]

MEAN, STD = 0.21, 0.23
"""Of the pixels of 1,000 phantoms in 0…1, rounded."""

FINDINGS = (
    "mass",
    "spiculated mass",
    "calcifications",
    "suspicious calcifications",
    "architectural distortion",
    "asymmetry",
    "skin thickening",
    "lymph node",
    "implant",
    "biopsy clip",
    "dense breast",
)
"""Outputs of phantom-mammo, in order."""

CALCIFICATIONS = (
    "calcifications",
    "benign calcifications",
    "suspicious calcifications",
    *(f"{morphology} morphology" for morphology in CALCIFICATION_MORPHOLOGIES),
    *(f"{distribution} distribution" for distribution in CALCIFICATION_DISTRIBUTIONS),
)
"""Outputs of phantom-calc, in order."""

EVERYDAY = (
    "stripes",
    "checkerboard",
    "discs",
    "triangles",
    "stars",
    "letters",
    "wood",
    "clouds",
    "bricks",
    "maze",
    "horizon",
    "tree",
)
"""Outputs of phantom-general, in order."""


class Stage(nn.Module):
    """Halve the map, widen it, and add one residual convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the new map."""
        x = torch.relu(self.norm1(self.down(x)))
        return torch.relu(x + self.norm2(self.conv(x)))


class _Trunk(nn.Module):
    """Stem and stages; gives mean and maximum of the last ``pooled`` stages, so that small lesions stay visible."""

    def __init__(self, stem: int, widths: Sequence[int], pooled: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, stem, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
        self.stages = nn.ModuleList(
            Stage(inputs, outputs) for inputs, outputs in zip([stem, *widths], widths, strict=False)
        )
        self.pooled = pooled
        self.features = 2 * sum(widths[-pooled:])

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features ``(B, features)``."""
        x = self.stem(x)
        found = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number >= len(self.stages) - self.pooled:
                found += [x.mean(dim=(2, 3)), x.amax(dim=(2, 3))]
        return torch.cat(found, dim=1)


class ImageTower(_Trunk):
    """``(B, 1, 320, 192)`` → ``(B, 128)``, not normalised."""

    def __init__(self, embedding: int = 128) -> None:
        super().__init__(16, (24, 64, 128, 192), pooled=3)
        self.head = nn.Linear(self.features, embedding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the image embeddings."""
        projected: torch.Tensor = self.head(self.pool(x))
        return projected


class TextTower(nn.Module):
    """Texts → ``(B, 128)``, not normalised: the mean of their pieces through two layers."""

    def __init__(self, width: int = 64, embedding: int = 128) -> None:
        super().__init__()
        self.pieces = nn.EmbeddingBag(BUCKETS, width, mode="mean")
        nn.init.normal_(self.pieces.weight, std=0.3)
        self.layers = nn.Sequential(nn.Linear(width, 256), nn.GELU(), nn.Linear(256, embedding))

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the text embeddings."""
        ids, starts = tokenize(texts)
        device = self.pieces.weight.device
        projected: torch.Tensor = self.layers(self.pieces(ids.to(device), starts.to(device)))
        return projected


class PhantomClipNetwork(nn.Module):
    """Both towers, and the scale and bias of the sigmoid loss (used in training only)."""

    def __init__(self) -> None:
        super().__init__()
        self.image_tower = ImageTower()
        self.text_tower = TextTower()
        self.scale = nn.Parameter(torch.tensor(2.3))
        self.bias = nn.Parameter(torch.tensor(0.0))


class PhantomMammoNetwork(_Trunk):
    """``(B, 1, 320, 192)`` → logits ``(B, outputs)``; of `FINDINGS` where nothing else is asked.

    The architecture of phantom-mammo, phantom-general and phantom-calc.
    """

    def __init__(self, outputs: int = len(FINDINGS)) -> None:
        super().__init__(16, (24, 48, 96, 128), pooled=2)
        self.head = nn.Linear(self.features, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.head(self.pool(x))
        return logits
