"""A map to the dissector's space gives directions of words, and says where it is worth nothing."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mcd.errors import DataError
from mcd_plugins.cav.exchange import Exchange
from mcd_plugins.cav.text import PENALTIES, text_map, text_vectors


def drawn(noise: float, images: int = 240, width: int = 20) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(images, 6, generator=generator)
    features = 5 + factors @ torch.eye(6, width) + 0.1 * torch.randn(images, width, generator=generator)
    embeddings = factors @ torch.eye(6, 16) + noise * torch.randn(images, 16, generator=generator)
    shifted = functional.normalize(embeddings + 4 * torch.eye(16)[15], dim=1)  # all images have that in common
    return features, shifted, [f"p{row // 4}" for row in range(images)]


def test_directions_of_words_are_found_without_examples() -> None:
    features, embeddings, patients = drawn(0.2)
    found = text_map(features, embeddings, patients, seed=0)
    assert found.held_out_r2 > 0.7
    for word, null in enumerate(text_vectors(features, embeddings[:, :6], Exchange(patients), found.penalty, 0, 19)):
        assert null.vectors.shape == (20, 20)
        assert functional.normalize(null.vectors[0], dim=0)[word] > 0.95


@pytest.mark.parametrize("width", [5, 400])
def test_the_map_is_ridge_regression(width: int) -> None:
    features, embeddings, patients = drawn(0.5, 80, max(6, width))
    found = text_map(features, embeddings, patients, seed=0)
    assert found.penalty in PENALTIES
    x, y = (one.double() - one.double().mean(dim=0) for one in (features, embeddings))
    penalty = found.penalty * x.square().sum() / x.shape[1]
    expected = torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1]), x.T @ y).T
    texts = torch.randn(16, 3)
    nulls = text_vectors(features, embeddings @ texts, Exchange(patients), found.penalty, 0, 19)
    for text, null in zip(texts.T.double(), nulls, strict=True):
        torch.testing.assert_close(null.vectors[0], text @ expected, atol=1e-5, rtol=1e-4)


def test_a_map_that_explains_nothing_in_other_patients_is_rarely_believed() -> None:
    """R² of noise is above 0 half the time: that alone would let it pass."""
    generator = torch.Generator().manual_seed(1)
    patients = [f"p{row // 3}" for row in range(90)]
    found = []
    for seed in range(60):
        features, embeddings = (torch.randn(30, width, generator=generator) for width in (8, 6))
        found.append(text_map(*(one.repeat_interleave(3, dim=0) for one in (features, embeddings)), patients, seed))
    assert sum(one.held_out_r2 > 0 for one in found) > 15
    assert sum(one.held_out_low > 0 for one in found) <= 7


def test_patients_are_whole() -> None:
    """Images of a patient that are copies would be known by heart, were they on both sides."""
    generator = torch.Generator().manual_seed(0)
    features, embeddings = (torch.randn(20, width, generator=generator) for width in (300, 8))
    rows = torch.arange(20).repeat_interleave(6)
    patients = [f"p{row}" for row in rows.tolist()]
    assert text_map(features[rows], embeddings[rows], patients, seed=0).held_out_r2 < 0.2
    assert text_map(features[rows], embeddings[rows], [""] * 120, seed=0).held_out_r2 > 0.8


def test_bad_input_is_refused() -> None:
    features, embeddings, patients = drawn(0.2, 40)
    with pytest.raises(DataError, match=r"^9 patients"):
        text_map(features[:36], embeddings[:36], patients[:36], seed=0)
    with pytest.raises(DataError, match="embeddings are not finite"):
        text_map(features, embeddings * torch.nan, patients, seed=0)
    with pytest.raises(DataError, match="features are the same"):
        text_map(torch.ones(40, 3), embeddings, patients, seed=0)
