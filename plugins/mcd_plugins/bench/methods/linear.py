"""Linear Explanations: a unit as a weighted sum of few concepts.

Source: Oikarinen & Weng, Linear Explanations for Individual Neurons, ICML 2024 (arXiv 2405.06855), section 3, with the
settings of the released code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd_plugins.bench.contract import OR, SINGLE, SUPERPOSED, TIED, TWO, Case, Decision, Method, Numbers, Values
from mcd_plugins.bench.methods.choice import activations as a_of
from mcd_plugins.bench.methods.choice import similarity as p_of
from mcd_plugins.scorers.elastic_net import ElasticNet, solve

__all__ = ["METHODS", "Sum", "explain", "probabilities", "sparse_weights"]

_LASSO, _RIDGE = 0.05 * 0.99, 0.05 * 0.01
_LONGEST, _WIDTH, _TOLERANCE = 10, 10, 0.02
_TRAINING = 0.7
_SHOWN, _VARIES = 0.5, 1e-5
_STEPS = 100


@dataclass(frozen=True)
class Sum:
    """What was found for one unit.

    Parameters
    ----------
    concepts
        Numbers of the concepts, largest weight first.
    weights
        Theirs, of concept probabilities as they are.
    correlation
        Of the sum and the activations, on the images that chose the concepts.
    """

    concepts: tuple[int, ...]
    weights: tuple[float, ...]
    correlation: float


def explain(activations: Values, probability: Values, seed: int) -> list[Sum | None]:
    """Return the linear explanation of each unit; None where no concept correlates with it.

    Concepts whose five largest probabilities are below .5 on average are left out. An elastic net (λ = .05, α = .99) of
    the standardised others puts them in order. Of the first ten, that which raises the correlation most is added, while
    it does so by .02; what raises it by less is never tried again.

    Differs from the released code: the elastic net is solved exactly and not by GLM-SAGA, the sums by least squares and
    not by 100 steps of Adam; equal weights come in random order; of its .7, .1 and .2 of the images for training,
    validation and test, the last two are one, since the bench tests against what was planted.

    Parameters
    ----------
    activations
        A, ``(images, units)``.
    probability
        Of each concept on each image, ``(images, concepts)``.
    """
    rng = np.random.default_rng(seed)
    images = rng.permutation(len(activations))
    cut = int(_TRAINING * len(images))
    training, others = np.sort(images[:cut]), np.sort(images[cut:])
    usable = _active(probability, training)
    if not len(usable):
        return [None] * activations.shape[1]
    fit = _Moments(probability[training][:, usable], activations[training])
    check = _Moments(probability[others][:, usable], activations[others])
    weights = sparse_weights(probability[training][:, usable], activations[training], activations.std(axis=0, ddof=1))
    order = np.lexsort((rng.random(weights.shape), -weights), axis=1)
    return [
        _greedy(fit, check, unit, order[unit], usable) if fit.spread[unit] > 0 and check.spread[unit] > 0 else None
        for unit in range(activations.shape[1])
    ]


def _active(probability: Values, training: Numbers) -> Numbers:
    """Return the concepts whose five largest probabilities are .5 on average, and that vary; all that vary, if none.

    The second half is for cosines, which are no probabilities.
    """
    shown = np.sort(probability, axis=0)[-5:].mean(axis=0) >= _SHOWN
    varies = (probability.std(axis=0, ddof=1) >= _VARIES) & (np.ptp(probability[training], axis=0) > 0)
    return np.flatnonzero(varies & shown if (varies & shown).any() else varies)


class _Moments:
    """Covariances of concepts, and of concepts and units, on some images."""

    def __init__(self, probability: Values, activations: Values) -> None:
        own, theirs = probability - probability.mean(axis=0), activations - activations.mean(axis=0)
        self.own = own.T @ own / len(own)
        self.both = theirs.T @ own / len(own)
        self.spread = np.sqrt((theirs**2).mean(axis=0))


def sparse_weights(probability: Values, activations: Values, scale: Values) -> Values:
    """Return the elastic net of standardised concepts for activations divided by ``scale``, ``(units, concepts)``.

    ``argmin 1/2N |y - X w|² + λ (α |w|₁ + (1 - α)/2 |w|²)``, λ = .05, α = .99; no concept may be constant.
    """
    fit = _Moments(probability, activations)
    size = np.sqrt(np.diag(fit.own))
    gram = torch.from_numpy(fit.own / np.outer(size, size)).float()
    gram.fill_diagonal_(1)
    target = torch.from_numpy(fit.both / size / np.where(scale > 0, scale, 1)[:, None])
    each = target.new_ones(len(target))
    found: Values = solve(gram, target, ElasticNet(each * _LASSO, each * _RIDGE, signed=True)).numpy()
    return np.where(np.abs(found) > 1e-9, found, 0)


def _greedy(fit: _Moments, check: _Moments, unit: int, order: Numbers, names: Numbers) -> Sum | None:
    """Add concepts while they raise the correlation; ``order`` holds places, ``names`` the concepts' numbers."""
    chosen: list[int] = []
    left = order.tolist()
    best, weights = 0.0, np.zeros(0)
    while len(chosen) < _LONGEST and left:
        tried = left[:_WIDTH]
        made = [_fitted(fit, check, unit, [*chosen, one]) for one in tried]
        gains = [correlation - best for _, correlation in made]
        good = [gain >= _TOLERANCE if chosen else gain > 0 for gain in gains]
        if not any(good):
            break
        at = int(np.argmax(np.where(good, gains, -np.inf)))
        weights, best = made[at]
        chosen.append(tried[at])
        dropped = {one for one, kept in zip(tried, good, strict=True) if not kept} if len(chosen) > 1 else set()
        left = [one for one in left if one not in dropped and one != tried[at]]
    if not chosen:
        return None
    by_weight = np.argsort(-weights, kind="stable")
    return Sum(tuple(int(names[chosen[at]]) for at in by_weight), tuple(weights[by_weight].tolist()), best)


def _fitted(fit: _Moments, check: _Moments, unit: int, places: list[int]) -> tuple[NDArray[np.float64], float]:
    """Return the least-squares weights of concepts, and the correlation of their sum elsewhere; 0 where it has none."""
    rows = np.ix_(places, places)
    weights = np.linalg.lstsq(fit.own[rows], fit.both[unit, places], rcond=1e-10)[0]
    spread = np.sqrt(max(weights @ check.own[rows] @ weights, 0)) * check.spread[unit]
    return weights, float(weights @ check.both[unit, places] / spread) if spread > 0 else 0.0


def probabilities(similarity: Values, annotations: Values) -> Values:
    """Return ``sigmoid(a · cosine + b)``, ``(images, concepts)``: how probable each concept is on each image.

    a and b are those of a logistic regression of all known annotations on their cosines: the paper fits them to the
    labels of ImageNet. Where nothing is annotated as present, or nothing as absent, the cosines themselves.

    Parameters
    ----------
    similarity
        P, ``(images, concepts)``.
    annotations
        ``(images, concepts)``: 1 present, 0 absent, NaN not known.
    """
    known = ~np.isnan(annotations)
    truth, cosine = annotations[known], similarity[known]
    if not len(truth) or truth.min() == truth.max() or cosine.std() == 0:
        return similarity
    middle, scale = cosine.mean(), cosine.std()
    columns = np.stack([(cosine - middle) / scale, np.ones_like(cosine)], axis=1)
    weights = np.zeros(2)
    for _ in range(_STEPS):  # Newton's method; a slight ridge keeps separable labels finite
        chance = 1 / (1 + np.exp(-(columns @ weights)))
        slope = columns.T @ (truth - chance) - 1e-6 * weights
        curve = (columns * (chance * (1 - chance))[:, None]).T @ columns + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-12:
            break
    found: Values = 1 / (1 + np.exp(-(weights[0] * (similarity - middle) / scale + weights[1])))
    return found


def _decided(case: Case) -> Decision:
    chance = probabilities(p_of(case), case.annotations.astype(np.float64))
    found = explain(a_of(case), chance, case.seed)
    return Decision(
        first=np.array([one.concepts[0] if one else -1 for one in found]),
        score=np.array([one.correlation if one else np.nan for one in found]),
        claimed=np.array([one is not None for one in found]),
        more=tuple(one.concepts[1:] if one else () for one in found),
    )


METHODS = (
    Method(
        name="Linear Explanations",
        source="Oikarinen & Weng, Linear Explanations, ICML 2024 (arXiv 2405.06855), section 3",
        needs=("similarity",),
        made_for=(SINGLE, OR, TWO, SUPERPOSED, TIED),
        decide=_decided,
        rule="a concept correlates with it on the images for validation",
    ),
)
