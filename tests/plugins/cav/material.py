"""Images with planted factors, and networks whose heads are known combinations of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

import mcd
from mcd.plugins import TargetImages, target_images
from mcd_plugins.cav.null import ConceptSets, NullVectors
from mcd_plugins.cav.vectors import Fitter, Method

__all__ = ["PLANTED", "Head", "Planted", "null_of", "ready"]

PLANTED = ("up", "down", "idle")
"""Factors: the output grows with the first, falls with the second, and does not depend on the third."""
_SIDE = 6


def axes() -> np.ndarray:
    """Return a direction of pixels for each factor, and one for what a view looks like: ``(4, 36)``, orthonormal."""
    drawn = np.random.default_rng(3).normal(size=(_SIDE**2, 4))
    return np.linalg.qr(drawn)[0].T


class Planted(mcd.Dataset):
    """Images of patients, two each, with three factors that come and go independently, seen in one of two views.

    ``chance`` says yes or no at random, patient by patient; ``view is`` says whether the view is MLO; ``age`` grows
    from patient to patient.
    """

    class Options(mcd.Options):
        """Settings."""

        patients: int = 60
        known: bool = True

    options: Options
    ids_are_public = True

    def __len__(self) -> int:
        return 2 * self.options.patients

    def scan(self) -> Iterator[mcd.Sample]:
        for at in range(len(self)):
            there = self.factors(at)
            random = np.random.default_rng([9, at // 2]).random() < 0.5
            yield mcd.Sample(
                id=f"i{at}",
                digest=f"{at:064x}",
                patient=f"p{at // 2}" if self.options.known else "",
                view="MLO" if there[3] else "CC",
                findings={name: bool(there[number]) for number, name in enumerate(PLANTED)}
                | {"view is": bool(there[3])},
                labels={"chance": "yes" if random else "no", "age": str(40 + at // 2)},
            )

    def factors(self, at: int) -> np.ndarray:
        return np.random.default_rng([7, at]).random(4) < (0.5, 0.5, 0.5, 0.5)

    def read(self, sample: mcd.Sample) -> mcd.Image:
        at = int(sample.id[1:])
        noise = np.random.default_rng([8, at]).normal(size=_SIDE**2) * 0.15
        pixels = 0.5 + (0.4 * (self.factors(at) - 0.5)) @ axes() + 0.1 * noise
        return mcd.Image(pixels.reshape(_SIDE, _SIDE).astype(np.float32), 1.0)


class Head(nn.Module):
    """Pixels as features, and outputs: up − down, straight (``linear``) or through tanh, which bends."""

    def __init__(self, *, bent: bool = True, rows: int = 1) -> None:
        super().__init__()
        self.features = nn.Flatten()
        self.inner = nn.Linear(_SIDE**2, 2, bias=False)
        self.inner.weight.data = torch.from_numpy(axes()[:2]).float() * 8
        self.bent, self.rows = bent, rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 1)``, or of the network of bags ``(B, rows, 1)``."""
        found = self.inner(self.features(x) - 0.5)
        found = torch.tanh(found) if self.bent else found
        score = found[:, :1] - found[:, 1:]
        return score if self.rows == 1 else score[:, None].expand(-1, self.rows, -1)


def null_of(features: torch.Tensor, sets: ConceptSets, method: Method) -> NullVectors:
    """Return the vectors of a concept and of random ones, fitted to the features of the images that are known."""
    return NullVectors.of(Fitter(features[torch.from_numpy(sets.known)], method), sets)


def ready(target: mcd.Target, images: mcd.Dataset) -> TargetImages:
    """Return a target with images on the CPU, without progress bars."""
    return target_images(target, images, device="cpu", workers=0, progress=False)
