"""Material without networks: images that show drawn concepts, and a layer that responds to nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import mcd
from mcd_plugins.bench.contract import Located
from mcd_plugins.bench.material import Material

__all__ = ["as_similarity", "material"]

CONCEPTS = 10


def material(patients: int = 40, units: int = 60, seed: int = 0) -> Material:
    """Return 4 images a patient, 10 concepts of 5 categories of which the second resembles the first, and maps."""
    rng = np.random.default_rng(seed)
    images = 4 * patients
    shown = rng.random((images, CONCEPTS)) < 0.3
    shown[:, 1] = np.where(rng.random(images) < 0.1, shown[:, 1], shown[:, 0])
    texts = np.linalg.qr(rng.standard_normal((32, CONCEPTS)))[0].T
    seen = shown @ texts + 0.3 * rng.standard_normal((images, 32)) / 5
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    patient = np.repeat(rng.standard_normal((patients, units)), 4, axis=0)
    activations = np.exp(0.5 * patient + rng.standard_normal((images, units)))
    texture = rng.random((images, units, 4, 5))
    maps = activations[:, :, None, None] * texture / texture.mean(axis=(2, 3), keepdims=True)
    words = {f"category {at}": [f"concept {2 * at}", f"concept {2 * at + 1}"] for at in range(CONCEPTS // 2)}
    return Material(
        name="drawn",
        activations=activations.astype(np.float32),
        similarity=(seen @ texts.T).astype(np.float32),
        images=seen.astype(np.float32),
        texts=texts.astype(np.float32),
        empty=(texts.mean(axis=0) / np.linalg.norm(texts.mean(axis=0))).astype(np.float32),
        truth=shown.astype(np.float64),
        truth_is="annotations",
        annotations=shown.astype(np.float32),
        patients=tuple(f"p{at // 4}" for at in range(images)),
        concepts=mcd.ConceptSet.from_categories(words).concepts,
        confounders={"side (left)": np.tile([1.0, 0.0], images // 2)},
        facts={"view": ("CC", "CC", "MLO", "MLO") * patients, "laterality": ("L", "R") * (images // 2)},
        maps=maps.astype(np.float32),
        boxes=tuple(tuple(Located(int(at), 0.0, 0.0, 0.2, 0.25) for at in np.flatnonzero(row)) for row in shown),
    )


def as_similarity(of: Material) -> Material:
    """Return material of which nothing is annotated."""
    nothing = np.full_like(of.annotations, np.nan)
    return replace(of, truth=of.similarity.astype(np.float64), truth_is="similarity", annotations=nothing, maps=None)
