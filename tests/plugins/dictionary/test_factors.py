"""Non-negative matrix factorisation and k-means: what is found, and what codes are."""

from __future__ import annotations

import sys

import pytest
import torch
import torch.nn.functional as functional
from benchmarks.superposition import share_found, superposed

from mcd.errors import DataError, MissingDependencyError
from mcd_plugins.dictionary.fitting import fit
from mcd_plugins.dictionary.kinds import Kind, Recipe
from mcd_plugins.dictionary.measuring import codes, measured

PARTS, CHANNELS = 8, 24


def of_parts(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return samples that are sums of few parts, each of few channels, and the parts; nothing is negative."""
    generator = torch.Generator().manual_seed(12345)
    there = torch.rand(PARTS, CHANNELS, generator=generator) < 0.25
    parts = functional.normalize(torch.rand(PARTS, CHANNELS, generator=generator) * there, dim=1)
    amounts = torch.rand(count, PARTS, generator=generator)
    return amounts * (torch.rand(count, PARTS, generator=generator) < 0.3) @ parts, parts


def clustered(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return samples about centroids that lie far from the origin, and the centroids."""
    generator = torch.Generator().manual_seed(12345)
    centroids = 100 + torch.randn(6, CHANNELS, generator=generator)
    noise = 0.1 * torch.randn(count, CHANNELS, generator=generator)
    return centroids[torch.randint(6, (count,), generator=generator)] + noise, centroids


def test_nmf_finds_parts_and_nothing_of_it_is_negative() -> None:
    samples, parts = of_parts(2000)
    fitted = fit(samples[:1500], Recipe("nmf", latents=PARTS), 0)
    assert fitted.method == "NMF"
    assert share_found(parts, fitted.decoder) == 1
    assert float(fitted.decoder.min()) >= 0
    assert float(codes(fitted, samples).min()) >= 0
    assert measured(fitted, samples[1500:]).r2 > 0.95


def test_values_below_zero_make_it_semi_nmf() -> None:
    samples, _ = superposed(2000, 8, CHANNELS, active=1)
    fitted = fit(samples[:1500], Recipe("nmf", latents=8), 0)
    assert fitted.method == "semi-NMF"
    assert float(fitted.decoder.min()) < 0 <= float(codes(fitted, samples).min())
    assert measured(fitted, samples[1500:]).r2 > 0.99  # its rows are not those planted: a wider cone does as well


def test_k_means_finds_centroids_and_one_unit_responds_at_each_position() -> None:
    samples, centroids = clustered(2000)
    fitted = fit(samples[:1500], Recipe("kmeans", latents=6), 0)
    assert fitted.decoder_bias is not None
    assert share_found(centroids - samples.mean(dim=0), fitted.decoder) == 1
    found = codes(fitted, samples)
    assert torch.equal(found.sum(dim=1), torch.ones(2000))
    assert torch.equal(found.unique(), torch.tensor([0.0, 1.0]))
    distance = torch.cdist(samples.double(), (fitted.decoder + fitted.decoder_bias).double())
    assert torch.equal(found.argmax(dim=1), distance.argmin(dim=1))
    on_others = measured(fitted, samples[1500:])
    assert (on_others.l0, on_others.dead) == (1, 0)
    assert on_others.r2 > 0.95


@pytest.mark.parametrize("kind", ["nmf", "kmeans"])
@pytest.mark.parametrize("signed", [False, True])
def test_the_same_seed_gives_the_same_bytes_at_any_scale(kind: Kind, signed: bool) -> None:
    samples = (superposed(300, 8, CHANNELS, active=2) if signed else of_parts(300))[0]
    recipe = Recipe(kind, latents=5)
    one, same, large, other = (
        fit(samples, recipe, 3),
        fit(samples, recipe, 3),
        fit(samples * 2.0**20, recipe, 3),
        fit(samples, recipe, 4),
    )
    assert all(torch.equal(tensor, same.tensors()[name]) for name, tensor in one.tensors().items())
    factor = 2.0**20 if kind == "kmeans" else 1
    torch.testing.assert_close(large.decoder, one.decoder * factor, atol=1e-3 * factor, rtol=0)
    assert not torch.equal(one.decoder, other.decoder)


def test_fewer_different_positions_than_centroids_are_refused() -> None:
    with pytest.raises(DataError, match="fewer than 6 different positions"):
        fit(torch.eye(5).repeat(10, 1), Recipe("kmeans", latents=6), 0)


@pytest.mark.parametrize("kind", ["nmf", "kmeans"])
def test_what_is_not_installed_is_said_with_what_to_type(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match="need scikit-learn, which is not installed") as raised:
        fit(torch.rand(50, 4), Recipe(kind, latents=3), 0)
    assert raised.value.hint == "python -m pip install 'mammo-clip-dissect[dictionary]'"
