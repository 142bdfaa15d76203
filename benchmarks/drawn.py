"""What benchmarks of significance draw: noise, plants, confounders, networks that have learned nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from mcd.api.concepts import Concept

Values = NDArray[np.float64]

CONCEPTS = [Concept(f"c{at}", f"category {at}", "broad") for at in range(200)]
RANK = 32
SIZES = {1: 30, 2: 5, 4: 30, 5: 3, 6: 6, 8: 3, 12: 4}
"""Patients by how many images they have, in the cell of unequal patients."""


@dataclass(frozen=True)
class Drawn:
    """One drawn probe set: embeddings of images and texts, activations, patients, facts, and settings of scorers."""

    images: torch.Tensor
    texts: torch.Tensor
    activations: torch.Tensor
    patients: Sequence[str]
    facts: Mapping[str, Sequence[str]]
    top_k: int | None = None


def shared_within(rng: np.random.Generator, patient: NDArray[np.int64], columns: int, share: float) -> Values:
    """Draw columns of which a share of the variance is that of patients."""
    own = rng.standard_normal((len(patient), columns))
    hers = rng.standard_normal((int(patient.max()) + 1, columns))[patient]
    found: Values = np.sqrt(1 - share) * own + np.sqrt(share) * hers
    return found


def embedded(images: Values, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings whose cosines lie around .2 and vary by about .05, as those of a dissector do."""
    middle = np.zeros((1, RANK + 1))
    middle[0, -1] = 1.0
    spread = np.concatenate([0.5 * images / np.sqrt(RANK), np.ones((len(images), 1))], axis=1)
    words = rng.standard_normal((len(CONCEPTS), RANK))
    texts = np.concatenate(
        [words / np.linalg.norm(words, axis=1, keepdims=True), np.full((len(words), 1), 0.2)], axis=1
    )
    return torch.from_numpy(spread).float(), torch.from_numpy(texts).float()


def standardised(images: torch.Tensor, texts: torch.Tensor) -> Values:
    """Return the cosines of embeddings, ``(images, concepts)``, each concept with mean 0 and variance 1."""
    cosine = functional.normalize(images, dim=1) @ functional.normalize(texts, dim=1).T
    found: Values = ((cosine - cosine.mean(dim=0)) / cosine.std(dim=0)).double().numpy()
    return found


def facts_of(rng: np.random.Generator, images: int) -> dict[str, list[str]]:
    return {
        "view": rng.choice(["CC", "MLO"], images).tolist(),
        "laterality": rng.choice(["left", "right"], images).tolist(),
    }


def unequal(rng: np.random.Generator, units: int) -> Drawn:
    """Draw noise of patients with unequal numbers of images, half of the variance theirs."""
    sizes = rng.permutation(np.repeat(list(SIZES), list(SIZES.values())))
    patient = np.repeat(np.arange(len(sizes)), sizes)
    images, texts = embedded(shared_within(rng, patient, RANK, 0.5), rng)
    noise = torch.from_numpy(shared_within(rng, patient, units, 0.5)).float()
    return Drawn(images, texts, noise, [f"p{one}" for one in patient], facts_of(rng, len(patient)))


def in_folders(rng: np.random.Generator, units: int, images: int = 400, active: float = 0.05) -> Drawn:
    """Draw neurons that respond to few images at random; rows lie in folders that the dissector distinguishes."""
    folder = np.arange(images) // (images // 8)
    seen = shared_within(rng, folder, RANK, 0.5)
    noise = np.zeros((images, units))
    for unit in range(units):
        rows = rng.choice(images, round(active * images), replace=False)
        noise[rows, unit] = rng.exponential(size=len(rows)) + 0.1
    return Drawn(*embedded(seen, rng), torch.from_numpy(noise).float(), [""] * images, facts_of(rng, images))


def few(rng: np.random.Generator, units: int, images: int = 60) -> Drawn:
    """Draw noise on few images, of which scorers take few."""
    noise = torch.from_numpy(rng.standard_normal((images, units))).float()
    seen = embedded(rng.standard_normal((images, RANK)), rng)
    return Drawn(*seen, noise, [""] * images, facts_of(rng, images), top_k=12)


CELLS: Mapping[str, Callable[[np.random.Generator, int], Drawn]] = {
    "unequal patients": unequal,
    "5 % active": in_folders,
    "60 images": few,
}


def with_plants(
    rng: np.random.Generator, units: int, images: int, share: float, snr: float, concepts: int = 1
) -> tuple[Drawn, NDArray[np.int64]]:
    """Draw a layer whose first units follow concepts, and which: ``(planted, concepts)``."""
    seen = embedded(rng.standard_normal((images, RANK)), rng)
    standard = standardised(*seen)
    noise, count = rng.standard_normal((images, units)), max(1, round(share * units))
    own = np.stack([rng.choice(len(CONCEPTS), concepts, replace=False) for _ in range(count)])
    signal = standard[:, own].sum(axis=2)
    noise[:, :count] += snr * signal / signal.std(axis=0)
    return Drawn(*seen, torch.from_numpy(noise).float(), [""] * images, facts_of(rng, images)), own


CONFOUNDERS = ("brightness", "view × side", "view × side × vendor", "a corner of the image")
"""What units follow that have learned no finding; two of them are interactions."""


@dataclass(frozen=True)
class Confounded:
    """Units that follow confounders, concepts, or nothing, and what is known of the images.

    Parameters
    ----------
    drawn
        Images, texts, activations.
    statistics
        ``(images, n)`` float32: mean and spread of each image, and an 8 × 8 thumbnail.
    follows
        Of each unit: a confounder, "concept", or "nothing".
    """

    drawn: Drawn
    statistics: NDArray[np.float32]
    follows: Sequence[str]


def confounded(rng: np.random.Generator, patients: int = 200, units: int = 32, snr: float = 1.0) -> Confounded:
    """Draw patients with four views each, of which the dissector sees confounders as well as findings."""
    images = 4 * patients
    view, side = np.tile(["CC", "CC", "MLO", "MLO"], patients), np.tile(["left", "right"], 2 * patients)
    vendor = np.repeat(rng.choice(["a", "b"], patients), 4)
    signs = [np.where(one == two, 1.0, -1.0) for one, two in ((view, "CC"), (side, "left"), (vendor, "a"))]
    bright, thumbnail = rng.standard_normal(images), rng.standard_normal((images, 64))
    thumbnail[:, :8] += 3 * rng.standard_normal((images, 1))
    corner = thumbnail[:, :8].mean(axis=1)
    causes = [bright, signs[0] * signs[1], signs[0] * signs[1] * signs[2], (corner - corner.mean()) / corner.std()]
    seen = rng.standard_normal((images, RANK))
    seen[:, : len(causes)] = np.stack(causes, axis=1)
    embeddings = embedded(seen, rng)
    standard = standardised(*embeddings)
    followed = [np.repeat(one[:, None], units, axis=1) for one in causes]
    signal = [*followed, standard[:, rng.choice(len(CONCEPTS), units)], np.zeros((images, units))]
    noise = rng.standard_normal((images, units * len(signal)))
    activations = torch.from_numpy(noise + snr * np.concatenate(signal, axis=1)).float()
    facts = {"view": view.tolist(), "laterality": side.tolist(), "vendor": vendor.tolist()}
    known = np.concatenate([bright[:, None], rng.standard_normal((images, 1)), thumbnail], axis=1).astype(np.float32)
    drawn = Drawn(*embeddings, activations, [f"p{at // 4}" for at in range(images)], facts)
    return Confounded(drawn, known, np.repeat([*CONFOUNDERS, "concept", "nothing"], units).tolist())


def networks(
    rng: np.random.Generator, count: int, units: int = 128, images: int = 1000, trained: int = 16
) -> tuple[Drawn, Sequence[torch.Tensor]]:
    """Draw a layer whose first units follow a concept and whose others are random, and that of so many random networks.

    Random units are not noise: they depend on the image, as those of a network that has not been trained do.
    """
    drawn, _ = with_plants(rng, units, images, trained / units, 2.0)
    looks = functional.normalize(drawn.images, dim=1)
    looks = (looks - looks.mean(dim=0)) / looks.std(dim=0).clamp_min(1e-9)

    def layer() -> torch.Tensor:
        weights = torch.from_numpy(rng.standard_normal((looks.shape[1], units)) / looks.shape[1] ** 0.5).float()
        noise = torch.from_numpy(rng.standard_normal((images, units))).float()
        return torch.relu(looks @ weights) + noise

    own = layer()
    own[:, :trained] = drawn.activations[:, :trained]
    return replace(drawn, activations=own), [layer() for _ in range(count)]
