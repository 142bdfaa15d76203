"""Methods that name a unit by the middle of its strongest images in the dissector's space.

Sources: Dreyer et al., SemanticLens, Nat. Mach. Intell. 2025 (arXiv 2501.05398); Bouanani et al., Contrastive Semantic
Projection, 2026 (arXiv 2604.22477), with the settings of the released code.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcd_plugins.bench.contract import SINGLE, TIED, Case, Decision, Flags, Method, Numbers, Values
from mcd_plugins.bench.methods.choice import activations as a_of
from mcd_plugins.bench.methods.choice import few, named, top_images

__all__ = ["METHODS", "TOP", "csp", "has_examples", "semantic_lens"]

TOP = 30
"""Strongest images that stand for a unit."""

_SILENT = 1e-6
"""Activations up to this are none, in the filters of CSP."""

_FEWEST = 100
_OVERLY_ACTIVE = 0.8


def semantic_lens(embeddings: Values, texts: Values, empty: Values, ranked: Numbers) -> Values:
    """Return ``cos(mean of the top images, text - empty template)``, ``(units, concepts)``.

    Parameters
    ----------
    embeddings, texts
        Of images ``(images, D)`` and concepts in their template ``(concepts, D)``, normalised.
    empty
        Of the template without a word, ``(D,)``, normalised; zeros where there is none.
    ranked
        The top images, ``(n, units)``.
    """
    return _unit(embeddings[ranked].mean(axis=0)) @ _unit(texts - empty).T


def csp(activations: Values, embeddings: Values, texts: Values, ranked: Numbers, gamma: float = 1.0) -> Values:
    """Return the scores of contrastive semantic projection, ``(units, concepts)``.

    For each top image e⁺ the most similar image e⁻ that activates the unit less than its mean; with activations a as
    weights::

        r = e⁺ - γ ⟨e⁺, e⁻⟩ e⁻,   v = normalised Σ a r / Σ a,   score = ⟨v, text⟩

    NaN for a unit without such images. Among equally similar images, the first: cosines are rounded to 12 digits.

    Parameters
    ----------
    activations
        A, ``(images, units)``.
    embeddings, texts, ranked
        As of `semantic_lens`; no template is taken away from texts.
    gamma
        How much of the projection is taken away: 1 and 0.5 in the released notebook.
    """
    near = np.round(embeddings @ embeddings.T, 12)
    live = activations.max(axis=0) > activations.min(axis=0)  # the mean of equal values may be off by rounding
    cold = (activations < activations.mean(axis=0)) & live
    middles = np.full((activations.shape[1], embeddings.shape[1]), np.nan)
    for unit, top in enumerate(ranked.T):
        if not cold[:, unit].any():
            continue
        others = np.where(cold[:, unit], near[top], -np.inf)
        nearest = others.argmax(axis=1)
        projected = near[top, nearest, None] * embeddings[nearest]
        weight = activations[top, unit]
        middles[unit] = (weight / (weight.sum() + 1e-8)) @ (embeddings[top] - gamma * projected)
    return _unit(middles) @ texts.T


def has_examples(activations: Values, fewest: int = _FEWEST) -> Flags:
    """Return which units CSP describes at all, ``(units,)``.

    Those that at least ``fewest`` images activate, but fewer than 80 %: the defaults of the released code. Its example
    of a layer averaged over positions, which is hardly ever 0, turns the second condition off; so it is here where most
    units would be left out by it.
    """
    active = (activations > _SILENT).sum(axis=0)
    overly = active >= _OVERLY_ACTIVE * len(activations)
    described: Flags = (active >= fewest) & (~overly | (2 * overly.sum() > len(overly)))
    return described


def _unit(rows: Values) -> Values:
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Values = rows / length
    return found


def _semantic_lens(case: Case) -> Decision:
    ranked = top_images(case, few(case, TOP))
    images, texts, empty = (one.astype(np.float64) for one in (case.images, case.texts, case.empty))
    return named(case, semantic_lens(images, texts, empty, ranked))


def _csp(case: Case) -> Decision:
    a, images, texts = a_of(case), case.images.astype(np.float64), case.texts.astype(np.float64)
    scores = csp(a, images, texts, top_images(case, few(case, TOP)))
    found = named(case, scores)
    return replace(found, claimed=found.claimed & has_examples(a, few(case, _FEWEST)))


METHODS = (
    Method(
        name="SemanticLens",
        source="Dreyer et al., SemanticLens, Nat. Mach. Intell. 2025 (arXiv 2501.05398), labels by cosine",
        needs=("embeddings",),
        made_for=(SINGLE, TIED),
        decide=_semantic_lens,
    ),
    Method(
        name="CSP",
        source="Bouanani et al., Contrastive Semantic Projection, 2026 (arXiv 2604.22477), γ = 1",
        needs=("embeddings",),
        made_for=(SINGLE, TIED),
        decide=_csp,
        rule="at least 100 images activate it (of few, a fifth), and fewer than 80 % where most of the layer do",
    ),
)
