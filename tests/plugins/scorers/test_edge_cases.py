"""What a scorer does where it has nothing to go by: row by row the table of what the published code does there.

The engine keeps most of these from a scorer; one called directly must still not make up a label.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plugins.scorers.conftest import made

from mcd.api.scorer import Scorer, TopKScorer
from mcd.errors import DataError
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.rank_reorder import RankReorder
from mcd_plugins.scorers.soft_wpmi import SoftWPMI
from mcd_plugins.scorers.wpmi import WPMI

SCORERS: list[Scorer] = [
    made(SoftWPMI, top_k=6),
    made(WPMI, top_k=6),
    made(RankReorder, top_fraction=0.25),
    made(Cosine),
    made(CosineCubed),
]
every_scorer = pytest.mark.parametrize("scorer", SCORERS, ids=[scorer.name for scorer in SCORERS])
top_k_scorer = pytest.mark.parametrize("scorer", SCORERS[:2], ids=[scorer.name for scorer in SCORERS[:2]])


def layer(images: int = 40, neurons: int = 4, concepts: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(images * neurons + concepts)
    similarity = torch.rand(images, concepts, generator=generator) * 0.4 + 0.1
    return torch.randn(images, neurons, generator=generator), similarity


# Row: fewer images than the scorer looks at. Published: a RuntimeError, or rows of NaN.


@pytest.mark.parametrize(
    ("cls", "images", "enough"),
    [(SoftWPMI, 99, 100), (WPMI, 27, 28), (RankReorder, 19, 60), (RankReorder, 50, 60), (RankReorder, 59, 60)],
)
def test_too_few_images_are_an_error_with_a_hint_and_no_score(cls: type[Scorer], images: int, enough: int) -> None:
    with pytest.raises(DataError, match=str(images)) as caught:
        made(cls).check(images)
    assert "--scorer-arg" in caught.value.hint
    with pytest.raises(DataError):
        made(cls).score(*layer(images))
    made(cls).check(enough)
    assert made(cls).score(*layer(enough)).isfinite().all()


@pytest.mark.parametrize("cls", [Cosine, CosineCubed])
def test_a_cosine_takes_two_images(cls: type[Scorer]) -> None:
    made(cls).check(2)
    assert made(cls).score(*layer(2)).isfinite().all()


def test_the_fraction_in_the_hint_always_helps() -> None:
    for images in range(3, 3000):
        try:
            made(RankReorder, top_fraction=1e-4).check(images)
        except DataError as error:
            made(RankReorder, top_fraction=float(error.hint.rpartition("=")[2])).check(images)
    for images in (0, 1, 2):
        with pytest.raises(DataError) as caught:
            made(RankReorder).check(images)
        assert caught.value.hint == "use more images"


# Rows: constant, dead, NaN. Published: an arbitrary concept, 0, or NaN as the largest activation.


@every_scorer
@pytest.mark.parametrize("value", [0.0, 0.1, -2.7, math.nan], ids=["dead", "constant", "negative", "nan"])
def test_a_neuron_without_a_response_gets_no_label_and_changes_no_other(scorer: Scorer, value: float) -> None:
    activations, similarity = layer()
    expected = scorer.score(activations, similarity)
    activations = torch.cat([activations, torch.full((40, 1), value)], dim=1)
    scores = scorer.score(activations, similarity)
    # a constant vector has a cosine, if a meaningless one; the engine leaves such neurons out
    has_direction = isinstance(scorer, Cosine) and value in (0.1, -2.7)
    assert scores[4].isfinite().all() if has_direction else scores[4].isnan().all()
    torch.testing.assert_close(scores[:4], expected)


@every_scorer
def test_one_nan_activation_takes_the_neuron_out(scorer: Scorer) -> None:
    activations, similarity = layer()
    activations[7, 1] = math.nan
    scores = scorer.score(activations, similarity)
    assert scores.isnan().all(dim=1).tolist() == [False, True, False, False]
    assert scores[[0, 2, 3]].isfinite().all()


@every_scorer
def test_a_nan_concept_is_never_a_label(scorer: Scorer) -> None:
    activations, similarity = layer()
    similarity[:, 3] = math.nan
    scores = scorer.score(activations, similarity)
    assert scores[:, 3].isnan().all()
    others = scores[:, [0, 1, 2, 4]]
    # a softmax over concepts carries the NaN to all of them
    assert others.isnan().all() if isinstance(scorer, TopKScorer) else others.isfinite().all()


@every_scorer
def test_a_nan_image_never_makes_a_finite_score_that_it_took_part_in(scorer: Scorer) -> None:
    activations, similarity = layer()
    top = int(activations[:, 2].argmax())
    similarity[top] = math.nan
    assert scorer.score(activations, similarity)[2].isnan().all()


# Row: a negative mean cosine. Published: NaN, which topk ranks first.


@every_scorer
def test_a_concept_that_is_negative_on_average(scorer: Scorer) -> None:
    activations, similarity = layer()
    similarity[:, 2] -= 0.9
    scores = scorer.score(activations, similarity)
    assert scores[:, [0, 1, 3, 4]].isfinite().all()
    assert bool(scores[:, 2].isnan().all()) == isinstance(scorer, RankReorder)


def test_without_the_mean_a_negative_concept_has_a_rank_reorder_score() -> None:
    activations, similarity = layer()
    scorer = made(RankReorder, top_fraction=0.25, scale_p=0)
    torch.testing.assert_close(scorer.score(activations, similarity - 1), scorer.score(activations, similarity))
    similarity[:, 1] = math.nan
    assert scorer.score(activations, similarity).isnan().all(dim=0).tolist() == [False, True, False, False, False]


# Row: a layer of one neuron. Published: soft-WPMI scores 0 for every concept.


@pytest.mark.parametrize(("lam", "labelled"), [(0.0, True), (0.6, True), (1.0, False), (1.5, False)])
@pytest.mark.parametrize("cls", [SoftWPMI, WPMI])
def test_one_neuron_is_its_own_prior(cls: type[Scorer], lam: float, labelled: bool) -> None:
    scorer = made(cls, top_k=6, lam=lam, prior="layer")
    scores = scorer.score(*layer(neurons=1))
    assert made(cls, top_k=6, lam=lam, prior="null").score(*layer(neurons=1)).isfinite().all()
    assert scores.isfinite().all() if labelled else scores.isnan().all()
    assert ("lam=0.5" in scorer.layer_problem(1)) is not labelled
    assert scorer.layer_problem(2) == ""


@pytest.mark.parametrize("scorer", SCORERS[2:], ids=[scorer.name for scorer in SCORERS[2:]])
def test_one_neuron_is_fine_where_there_is_no_prior(scorer: Scorer) -> None:
    assert scorer.layer_problem(1) == ""
    assert scorer.score(*layer(neurons=1)).isfinite().all()


# Ties. Published: in an order that torch.topk leaves open.


@every_scorer
def test_ties_are_deterministic_and_go_to_the_smaller_row(scorer: Scorer) -> None:
    activations, similarity = layer()
    activations = (activations > 1).float()  # nearly everything is tied
    activations[5] = 2.0
    activations[6] = 1.5
    scores = scorer.score(activations, similarity)
    assert torch.equal(scores, scorer.score(activations.clone(), similarity.clone()))
    nudged = activations - torch.arange(40)[:, None] * 1e-6  # breaks each tie the same way
    torch.testing.assert_close(scores, scorer.score(nudged, similarity), atol=2e-4, rtol=1e-3, equal_nan=True)


def test_tied_similarities_keep_the_order_of_the_neuron() -> None:
    activations = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
    flat = torch.full((4, 1), 0.25)
    rising = torch.tensor([[0.1], [0.2], [0.3], [0.4]])  # worst image first, best last
    scorer = made(RankReorder, top_fraction=1)
    # a stable ascending order leaves the ranking as it is: the best image gets the least activation
    assert torch.equal(scorer.score(activations, flat), scorer.score(activations, rising))
    nothing = torch.tensor([[0.0], [-0.0], [0.0], [-0.0]])
    unscaled = made(RankReorder, top_fraction=1, scale_p=0)
    assert torch.equal(unscaled.score(activations, nothing), unscaled.score(activations, rising))
    assert unscaled.score(activations, -rising).item() == 0  # below 0, too, the largest goes with the best image


def test_top_images_that_are_all_alike_have_no_order_to_be_compared_with() -> None:
    activations, similarity = layer()
    activations[:, 1] = (torch.arange(40) < 12).float()  # the top 10 are equal, the neuron responds all the same
    scores = made(RankReorder, top_fraction=0.25).score(activations, similarity)
    assert scores.isnan().all(dim=1).tolist() == [False, True, False, False]


# Beyond the table: numbers that float32 cannot square or cube, and pairs of matrices that do not belong together.


@every_scorer
@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e4, 1e12, 1e30])
def test_the_size_of_activations_never_breaks_a_score(scorer: Scorer, factor: float) -> None:
    if isinstance(scorer, CosineCubed):
        scorer = made(CosineCubed, min_norm=0)  # the floor is not free of scale: next test
    activations, similarity = layer()
    torch.testing.assert_close(
        scorer.score(activations * factor, similarity), scorer.score(activations, similarity), atol=2e-4, rtol=1e-4
    )


def test_the_floor_scales_small_columns_down_as_published() -> None:
    activations, similarity = layer()
    floored, free = made(CosineCubed), made(CosineCubed, min_norm=0)
    small = activations * 0.01
    norm = (small - small.mean(dim=0)).double().pow(3).norm(dim=0)
    assert (norm < 1e-3).all()
    concept = (similarity - similarity.mean(dim=0)).double().pow(3).norm(dim=0)
    expected = free.score(small, similarity) * (norm / 1e-3)[:, None] * (concept / concept.clamp_min(1e-3))
    torch.testing.assert_close(floored.score(small, similarity), expected.float(), atol=1e-6, rtol=1e-4)
    assert floored.score(activations * 1e-30, similarity).abs().max() == 0


@pytest.mark.parametrize(("cls", "value"), [(Cosine, 0.0), (CosineCubed, 0.0), (CosineCubed, 0.3)])
def test_a_concept_that_is_the_same_everywhere_has_no_cosine(cls: type[Scorer], value: float) -> None:
    activations, similarity = layer()
    similarity[:, 1] = value
    assert made(cls).score(activations, similarity).isnan().all(dim=0).tolist() == [False, True, False, False, False]


@every_scorer
def test_different_numbers_of_images_are_refused(scorer: Scorer) -> None:
    activations, similarity = layer()
    for a, p in ((activations[:-1], similarity), (activations, similarity[:-1])):
        with pytest.raises(DataError, match="not the same set"):
            scorer.score(a, p)


@top_k_scorer
def test_a_ranking_of_the_wrong_length_is_refused(scorer: TopKScorer) -> None:
    with pytest.raises(ValueError, match="1 ranks given, top_k is 6"):
        scorer.score_ranked(torch.zeros(1, 3, dtype=torch.long), layer()[1])


@top_k_scorer
def test_score_is_score_ranked_of_the_ordered_top_k(scorer: TopKScorer) -> None:
    activations, similarity = layer()
    ranked = activations.sort(dim=0, descending=True).indices[:6]
    assert torch.equal(scorer.score(activations, similarity), scorer.score_ranked(ranked, similarity))


@every_scorer
def test_a_score_is_the_same_whatever_torch_keeps_of_gradients(scorer: Scorer) -> None:
    activations, similarity = layer(neurons=2000)  # rank-reorder needs several chunks for threads
    expected = scorer.score(activations, similarity)
    with torch.inference_mode():
        assert torch.equal(scorer.score(activations.clone(), similarity.clone()), expected)
    with torch.no_grad():
        assert torch.equal(scorer.score(activations, similarity.clone().requires_grad_()), expected)


@every_scorer
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_scores_are_float32_inside_the_range_they_declare_and_leave_their_arguments_alone(
    scorer: Scorer, data: st.DataObject
) -> None:
    floats = st.floats(-1, 1, width=32)

    def matrix(columns: int) -> torch.Tensor:
        count = 12 * columns
        return torch.tensor(data.draw(st.lists(floats, min_size=count, max_size=count))).view(12, columns)

    activations, similarity = matrix(3), matrix(4)
    before = activations.clone(), similarity.clone()
    scores = scorer.score(activations, similarity)
    assert torch.equal(activations, before[0])
    assert torch.equal(similarity, before[1])
    assert scores.dtype == torch.float32
    assert scores.shape == (3, 4)
    defined = scores[~scores.isnan()]
    low, high = scorer.score_range
    assert ((defined >= low) & (defined <= high)).all()
    assert defined.isfinite().all()


@pytest.mark.parametrize("cls", [Cosine, CosineCubed])
def test_rounding_never_lifts_a_cosine_above_one(cls: type[Scorer]) -> None:
    columns = layer(images=101, neurons=200)[0]
    scores = made(cls).score(columns, columns)
    assert scores.max() == 1
    torch.testing.assert_close(scores.diagonal(), torch.ones(200))


@pytest.mark.parametrize("cls", [Cosine, CosineCubed, Pearson])
def test_two_million_images_do_not_wear_a_score_off(cls: type[Scorer]) -> None:
    generator = torch.Generator().manual_seed(0)
    neuron, concept = torch.rand(2_000_000, 2, generator=generator).T
    a, p = neuron[:, None].pow(3), (neuron + concept)[:, None]
    found = made(cls).score(a, p)
    a, p = a.double(), p.double()
    if cls is not Cosine:
        a, p = a - a.mean(), p - p.mean()
    if cls is CosineCubed:
        a, p = a.pow(3), p.pow(3)
    assert float(found) == pytest.approx(float((a * p).sum() / a.norm() / p.norm()), abs=2e-6)
