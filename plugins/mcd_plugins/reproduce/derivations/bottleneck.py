"""A concept bottleneck (Yan et al., arXiv 2310.03182) of words, and one of random directions, on phantoms.

One view each of 400 phantom patients: half of them fit a sparse logistic head on the standardised scores of 65
concepts, the other half test it. How many concepts the head may use is its NEC (VLG-CBM).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

import mcd

__all__ = ["of_random_directions", "of_words"]

Scores = NDArray[np.float64]

_PATIENTS, _SEED = 400, 11
_DRAWS = 5
_STRENGTHS = tuple(np.geomspace(1e-3, 10, 40))
"""Of the penalty, its inverse: from no concept to all."""


def of_words(finding: str, concepts: int) -> float:
    """Return the AUROC for a finding with the words of ``birads-core``, at most that many of them."""
    images, texts, present = _embedded(finding)
    return _auroc(images @ texts.T, present, concepts)


def of_random_directions(finding: str, concepts: int) -> float:
    """Return the mean AUROC of five bottlenecks whose texts are random directions."""
    images, texts, present = _embedded(finding)
    random = np.random.default_rng(_SEED)
    return float(
        np.mean([_auroc(images @ random.normal(size=texts.shape).T, present, concepts) for _ in range(_DRAWS)])
    )


@cache
def _embedded(finding: str) -> tuple[Scores, Scores, NDArray[np.bool_]]:
    images, texts, findings = _material()
    return images, texts, np.array([one[finding] for one in findings])


@cache
def _material() -> tuple[Scores, Scores, list[dict[str, bool]]]:
    """Return embeddings of images and texts, and what each image shows, patients in order."""
    from mcd_plugins.phantom.dataset import PhantomDataset

    dataset = PhantomDataset(PhantomDataset.Options(patients=_PATIENTS, seed=_SEED))
    samples = [one for one in dataset.scan() if isinstance(one, mcd.Sample)]
    found = mcd.embed(
        "phantom-clip",
        dataset=dataset,
        where='view == "MLO" and laterality == "L"',
        concepts="birads-core",
        keep_identifiers=True,
        progress=False,
    )
    assert found.images is not None
    assert found.texts is not None
    shown = {one.id: dict(one.findings) for one in samples}
    return found.images.double().numpy(), found.texts.double().numpy(), [shown[one] for one in found.image_ids]


def _auroc(scores: Scores, present: NDArray[np.bool_], concepts: int) -> float:
    """Return the best AUROC on the second half of a head fitted on the first, with at most that many concepts."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    half = len(scores) // 2
    scores = (scores - scores[:half].mean(axis=0)) / scores[:half].std(axis=0)
    best = 0.5
    for strength in _STRENGTHS:
        head = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", random_state=_SEED)
        head.fit(scores[:half], present[:half])
        if np.count_nonzero(head.coef_) <= concepts:
            best = max(best, float(roc_auc_score(present[half:], head.decision_function(scores[half:]))))
    return best
