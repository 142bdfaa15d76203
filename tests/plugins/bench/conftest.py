"""A small layer of which everything is known, for tests of methods."""

from __future__ import annotations

import numpy as np
import pytest

import mcd
from mcd_plugins.bench.contract import Case, Located


@pytest.fixture
def case() -> Case:
    """60 images of 15 patients, 8 units, 6 concepts: unit u follows concept u; unit 6 is noise, 7 is dead."""
    rng = np.random.default_rng(3)
    images, concepts, width = 60, 6, 16
    texts = np.linalg.qr(rng.standard_normal((width, concepts)))[0].T
    shown = rng.random((images, concepts)) < 0.3
    seen = shown @ texts + 0.2 * rng.standard_normal((images, width))
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    empty = texts.mean(axis=0) / np.linalg.norm(texts.mean(axis=0))
    activations = np.zeros((images, 8))
    activations[:, :6] = 2 * shown + 0.3 * rng.standard_normal((images, concepts))
    activations[:, 6] = rng.standard_normal(images)
    boxes = [
        tuple(Located(int(at), at / concepts, 0.25, (at + 1) / concepts, 0.75) for at in np.flatnonzero(row))
        for row in shown
    ]
    maps = np.repeat(np.repeat(activations[:, :, None, None], 4, axis=2), concepts, axis=3)
    for image, row in enumerate(boxes):
        for box in row:
            maps[image, box.concept, 1:3, box.concept] += 3.0
            maps[image, box.concept] -= 3.0 * 2 / (4 * concepts)
    annotations = shown.astype(np.float32)
    annotations[0, 0] = np.nan  # one thing is not known
    return Case(
        activations=activations.astype(np.float32),
        similarity=(seen @ texts.T).astype(np.float32),
        images=seen.astype(np.float32),
        texts=texts.astype(np.float32),
        empty=empty.astype(np.float32),
        annotations=annotations,
        patients=tuple(f"p{at // 4}" for at in range(images)),
        concepts=mcd.ConceptSet.from_words([f"concept {at}" for at in range(concepts)]).concepts,
        facts={"view": ("CC", "CC", "MLO", "MLO") * 15, "laterality": ("L", "R") * 30, "vendor": ("a",) * images},
        maps=maps.astype(np.float32),
        boxes=tuple(boxes),
        seed=3,
    )
