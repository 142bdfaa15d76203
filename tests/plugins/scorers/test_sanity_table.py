"""The theoretical sanity table of NeuronEval (Oikarinen et al., ICML 2025): what missing or extra labels do to a score.

A neuron and a concept are 1 on the same share γ of the images. Missing: each label is dropped with probability 1/2.
Extra: images are labelled besides until the concept has twice as many. A good score falls in both, however rare the
concept; the numbers are changes of the score as a share of its range. The labels are given here, so the inner functions
are tested: a scorer's own labels are cut at a quantile, and every concept then has as many.

Ties count half and share their rank here. In the published table they are broken by position, which shows in its rows
for AUC with extra labels and for Spearman; what stands here for these two are the closed forms. The published Spearman
is that of continuous values: the last test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch

from mcd_plugins.scorers.auprc import average_precision
from mcd_plugins.scorers.auroc import area_under_roc
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.normalised_wpmi import mean_information
from mcd_plugins.scorers.overlap import dice, jaccard
from mcd_plugins.scorers.partial_correlation import basis, residual
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.spearman import Spearman

IMAGES, SEEDS = 100_000, 8
SHARES = (0.499, 0.1, 0.01, 0.001)
FLOOR = math.log(1e-8)
WPMI_RANGE = -math.log(1e-4) - (FLOOR * (1 - 0.01494 / 0.499) - math.log(0.02))
"""Highest less lowest score of all pairs in the published set-up: a neuron of share 0.0001 with its own concept, and
one of 0.499 with the concept of 0.01 that has extra labels, 0.01494 of them inside it."""

Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Columns = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@cache
def drawn(share: float) -> Columns:
    """Return the neuron ``(images, 1)``, and the concept with labels missing, and with extra ones, by seed."""
    generator = torch.Generator().manual_seed(0)
    neuron = torch.zeros(IMAGES, 1)
    neuron[: round(share * IMAGES)] = 1
    chance = torch.rand(IMAGES, SEEDS, generator=generator)
    return neuron, neuron * (chance < 0.5), neuron.maximum((chance < share / (1 - share)).float())


def wpmi(neuron: torch.Tensor, concept: torch.Tensor) -> torch.Tensor:
    return mean_information(neuron, concept, 1.0, 1e-8)


def swapped(score: Score) -> Score:
    """Return a score in which the neuron is the label and the concept what is ranked."""
    return lambda neuron, concept: score(concept, neuron).T


def partial(neuron: torch.Tensor, concept: torch.Tensor) -> torch.Tensor:
    """Return the partial correlation given a view that has nothing to do with the labels."""
    view, _ = basis([["CC", "MLO"] * (len(neuron) // 2)])
    return Pearson().score(residual(neuron, view), residual(concept, view))


PEARSON = (
    [(math.sqrt((1 - g) / (2 - g)) - 1) / 2 for g in SHARES],
    [(math.sqrt((1 - 2 * g) / (2 * (1 - g))) - 1) / 2 for g in SHARES],
)
COSINE = [(1 / math.sqrt(2) - 1) / 2] * 4
TABLE: dict[str, tuple[Score, float, list[float], list[float]]] = {
    # score, its range, changes by missing labels, by extra labels; at the four shares
    "f1": (dice, 1, [-1 / 3] * 4, [-1 / 3] * 4),
    "iou": (jaccard, 1, [-1 / 2] * 4, [-1 / 2] * 4),
    "cosine": (Cosine().score, 2, COSINE, COSINE),
    "pearson": (Pearson().score, 2, *PEARSON),
    "partial correlation": (partial, 2, *PEARSON),
    # the ranks of two values are two values: with mid-ranks, the correlation of ranks is that of the labels
    "spearman": (Spearman().score, 2, *PEARSON),
    "auroc": (area_under_roc, 1, [-0.1662, -0.0263, -0.0025, -0.0002], [-0.25] * 4),  # published as inverse AUC
    "auroc, neuron as label": (
        swapped(area_under_roc),
        1,
        [-0.25] * 4,
        [-g / (1 - g) / 2 for g in SHARES],
    ),
    "auprc": (average_precision, 1, [-0.5] * 4, [-0.0010, -0.4000, -0.4898, -0.4985]),  # published as inverse AUPRC
    "auprc, neuron as label": (
        swapped(average_precision),
        1,
        [-0.2505, -0.4500, -0.4953, -0.4999],
        [-0.5] * 4,
    ),
    "normalised wpmi": (wpmi, WPMI_RANGE, [-0.3676, -0.3675, -0.3678, -0.3673], [-0.0299] * 4),
}


@pytest.mark.parametrize("place", range(4), ids=map(str, SHARES))
@pytest.mark.parametrize("name", TABLE)
def test_the_change_by_missing_and_by_extra_labels(name: str, place: int) -> None:
    score, span, missing, extra = TABLE[name]
    neuron, fewer, more = drawn(SHARES[place])
    perfect = score(neuron, neuron)
    for labels, expected in ((fewer, missing[place]), (more, extra[place])):
        change = (score(neuron, labels) - perfect).double().mean() / span
        # some three standard errors of the share of labels that are dropped or added, and the rounding of the table
        tolerance = 4 * abs(expected) / math.sqrt(SHARES[place] * IMAGES * SEEDS) + 3e-4
        assert float(change) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(("place", "missing", "extra"), [(0, -0.2111, -0.4776), (1, -0.1559, -0.1667)])
def test_the_closed_forms_of_pearson_are_the_published_numbers(place: int, missing: float, extra: float) -> None:
    assert PEARSON[0][place] == pytest.approx(missing, abs=1e-4)
    assert PEARSON[1][place] == pytest.approx(extra, abs=5e-4)


@pytest.mark.parametrize(("place", "published"), [(1, -0.0676), (2, -0.0079), (3, -0.0011)])
def test_among_continuous_values_spearman_hardly_sees_that_half_the_labels_of_a_rare_concept_are_gone(
    place: int, published: float
) -> None:
    neuron, fewer, _ = drawn(SHARES[place])
    generator = torch.Generator().manual_seed(1)

    def blurred(column: torch.Tensor) -> torch.Tensor:
        return column + torch.rand(column.shape, generator=generator) / 2

    response = blurred(neuron)
    concept = blurred(neuron.expand(-1, SEEDS))
    change = (Spearman().score(response, blurred(fewer)) - Spearman().score(response, concept)).mean() / 2
    assert float(change) == pytest.approx(published, abs=0.003)
