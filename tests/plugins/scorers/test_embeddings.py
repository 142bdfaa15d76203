"""Scorers that read the dissector's embeddings, and the reference prompt of the adaptive cosine."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as functional

from mcd.api.scorer import Scorer
from mcd.errors import ConfigError, DataError, UsageError
from mcd.options import validate_options
from mcd_plugins.scorers import contrastive
from mcd_plugins.scorers.adaptive_cosine import AdaptiveCosine
from mcd_plugins.scorers.contrastive import Contrastive
from mcd_plugins.scorers.embedding import Embedding


def made(cls: type[Scorer], **options: object) -> Scorer:
    return cls(validate_options(cls.Options, options, cls.__name__))


def drawn(seed: int, images: int = 40, neurons: int = 6, *, ties: bool = False) -> tuple[torch.Tensor, ...]:
    """Return activations, embeddings of images and of five texts."""
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(images, neurons, generator=generator)
    embeddings, texts = (torch.randn(rows, 4, generator=generator) for rows in (images, 5))
    if ties:
        activations = activations.clamp_min(0).mul(2).round()
        activations[0] = 9
        embeddings = embeddings[torch.arange(images) % 10]  # every picture four times
    return activations, functional.normalize(embeddings, dim=1), functional.normalize(texts, dim=1)


def slow_top(column: list[float], count: int) -> list[int]:
    return sorted(range(len(column)), key=lambda row: (-column[row], row))[:count]


def slow_cosine(a: list[float], b: list[float]) -> float:
    length = math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / length


# Embedding.


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("reference", ["", "a mammogram"])
def test_the_embedding_score_is_the_cosine_of_mean_image_and_text(probe_of, reference: str, centre: bool) -> None:
    activations, images, texts = drawn(1)
    prompt = [2.0, 0.0, -1.0, 0.5]
    scorer = made(Embedding, top_k=7, reference=reference, centre=centre)
    scores = scorer.for_probe(probe_of(images, texts, encoded={"a mammogram": prompt})).score(activations, images)
    unit = functional.normalize(torch.tensor(prompt), dim=0).tolist() if reference else [0.0] * 4
    middle = images.mean(dim=0).tolist() if centre else [0.0] * 4
    for neuron in range(6):
        top = slow_top(activations[:, neuron].tolist(), 7)
        mean = [sum(float(images[row, d]) for row in top) / 7 - middle[d] for d in range(4)]
        for concept, text in enumerate(texts.tolist()):
            expected = slow_cosine(mean, [x - y for x, y in zip(text, unit, strict=True)])
            expected *= math.hypot(*mean) if centre else 1  # how far from the middle counts, as well as where to
            assert float(scores[neuron, concept]) == pytest.approx(expected, abs=1e-5)


def test_from_the_middle_the_embedding_score_is_the_gain_in_cosine_over_all_images(probe_of) -> None:
    activations, images, texts = drawn(7)
    scores = made(Embedding, top_k=5).for_probe(probe_of(images, texts)).score(activations, images)
    top, cosines = activations.topk(5, dim=0).indices, images @ texts.T
    torch.testing.assert_close(scores, cosines[top].mean(dim=0) - cosines.mean(dim=0), atol=1e-5, rtol=0)


def test_the_embedding_score_looks_at_nothing_but_the_top_images_and_reads_embeddings() -> None:
    assert Embedding.needs == "embeddings"
    assert made(Embedding).null == "top-k"
    with pytest.raises(DataError, match="top 30"):
        made(Embedding).check(29)


def test_a_concept_that_is_the_reference_has_no_score(probe_of) -> None:
    activations, images, texts = drawn(2)
    probe = probe_of(images, texts, encoded={"this": texts[3].tolist()})
    scores = made(Embedding, top_k=5, reference="this").for_probe(probe).score(activations, images)
    assert scores.isnan().all(dim=0).tolist() == [False, False, False, True, False]


# Contrastive.


def slow_contrastive(
    activations: torch.Tensor, images: torch.Tensor, cosines: torch.Tensor, top_k: int, quantile: float
) -> torch.Tensor:
    rows = []
    near = (images @ images.T).round(decimals=6).tolist()
    for neuron in activations.T.tolist():
        top = slow_top(neuron, top_k)
        edge = sorted(neuron)[max(1, math.floor(quantile * len(neuron) + 0.5)) - 1]
        cold = [row for row, value in enumerate(neuron) if value <= edge and row not in top]
        alike = [max(cold, key=lambda row, image=image: (near[image][row], -row)) for image in top]
        rows.append(cosines[top].mean(dim=0) - cosines[alike].mean(dim=0))
    return torch.stack(rows)


@pytest.mark.parametrize("near", [1, 3, 32])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("top_k", "quantile"), [(6, 0.5), (30, 0.05), (3, 1.0)])
def test_top_images_are_compared_with_the_nearest_that_leave_the_neuron_cold(
    probe_of, monkeypatch: pytest.MonkeyPatch, near: int, ties: bool, top_k: int, quantile: float
) -> None:
    monkeypatch.setattr(contrastive, "_NEAR", near)  # what is kept of neighbours decides how fast it is, and no more
    activations, images, texts = drawn(3, ties=ties)
    cosines = images @ texts.T + torch.arange(40)[:, None] / 100
    scorer = made(Contrastive, top_k=top_k, quantile=quantile).for_probe(probe_of(images, texts))
    expected = slow_contrastive(activations, images, cosines, top_k, quantile)
    torch.testing.assert_close(scorer.score(activations, cosines), expected, atol=1e-5, rtol=0)
    monkeypatch.setattr(contrastive, "_CHUNK", 1)
    anew = made(Contrastive, top_k=top_k, quantile=quantile).for_probe(probe_of(images, texts))
    torch.testing.assert_close(anew.score(activations, cosines), expected, atol=1e-5, rtol=0)


def test_what_top_images_share_with_their_look_alikes_cancels_out(probe_of) -> None:
    generator = torch.Generator().manual_seed(0)
    implant, mass = (torch.rand(200, 2, generator=generator) < 0.3).float().T
    neuron = (implant * mass)[:, None] + 0.01 * torch.rand(200, 1, generator=generator)
    cosines = torch.stack([mass, implant], dim=1)
    images = functional.normalize(torch.stack([implant, 1 - implant, 0.1 * mass], dim=1), dim=1)
    scorer = made(Contrastive, top_k=int((implant * mass).sum())).for_probe(probe_of(images, torch.eye(2, 3)))
    score = scorer.score(neuron, cosines)[0]
    torch.testing.assert_close(score, torch.tensor([1.0, 0.0]), atol=0.01, rtol=0)


def test_a_contrastive_score_says_nothing_of_a_constant_neuron_and_needs_images_to_compare_with(probe_of) -> None:
    activations, images, texts = drawn(4)
    activations[:, 2] = 1
    scorer = made(Contrastive, top_k=5).for_probe(probe_of(images, texts))
    assert scorer.score(activations, images @ texts.T).isnan().all(dim=1).tolist() == [False, False, True] + 3 * [False]
    with pytest.raises(DataError, match="top 50") as caught:
        made(Contrastive).check(50)
    assert "top_k=10" in caught.value.hint
    made(Contrastive).check(51)


# The reference of the adaptive cosine.


def test_a_reference_prompt_takes_the_place_of_the_mean_over_concepts(probe_of) -> None:
    activations, images, texts = drawn(5)
    cosines = images @ texts.T
    prompt = torch.tensor([1.0, 1.0, 0.0, 0.0])
    probe = probe_of(images, texts, encoded={"a mammogram": prompt.tolist()})
    plain = made(AdaptiveCosine, min_images=5, reach=0.9)
    scores = (
        made(AdaptiveCosine, min_images=5, reach=0.9, reference="a mammogram")
        .for_probe(probe)
        .score(activations, cosines)
    )
    alone = images @ functional.normalize(prompt, dim=0)
    # Beside a concept that is the prompt, the difference of any two scores is that of the plain ones.
    both = plain.score(activations, torch.cat([cosines, alone[:, None]], dim=1))
    torch.testing.assert_close(scores, both[:, :5] - both[:, 5:])
    assert torch.equal(plain.for_probe(probe).score(activations, cosines), plain.score(activations, cosines))
    broken = cosines.clone()
    broken[:, 1] = math.nan
    again = (
        made(AdaptiveCosine, min_images=5, reach=0.9, reference="a mammogram")
        .for_probe(probe)
        .score(activations, broken)
    )
    assert again.isnan().all(dim=0).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    "scorer",
    [made(Embedding, top_k=5), made(Contrastive, top_k=5), made(AdaptiveCosine, reference="a mammogram")],
    ids=lambda scorer: scorer.name,
)
def test_without_a_probe_set_the_scorer_says_what_it_lacks(scorer: Scorer) -> None:
    activations, images, _ = drawn(6)
    with pytest.raises(UsageError, match="needs") as caught:
        scorer.score(activations, images)
    assert "for_probe(probe)" in caught.value.hint


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (Embedding, {"top_k": 0}),
        (Contrastive, {"top_k": 0}),
        (Contrastive, {"quantile": 0}),
        (Contrastive, {"quantile": 1.5}),
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_name(cls: type[Scorer], options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        made(cls, **options)
