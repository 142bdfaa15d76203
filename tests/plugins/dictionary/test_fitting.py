"""Dictionaries find directions that were planted; what each kind keeps; and what a fit does not depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from benchmarks.superposition import share_found, superposed

from mcd.errors import DataError, UsageError
from mcd_plugins.dictionary.fitting import fit
from mcd_plugins.dictionary.kinds import Fitted, Recipe
from mcd_plugins.dictionary.measuring import codes, measured

CONCEPTS, CHANNELS = 40, 20
TOPK = Recipe("topk", latents=120, k=4, steps=600, batch=256, learning_rate=0.005)
SHORT = replace(TOPK, steps=20)


@pytest.fixture(scope="module")
def planted() -> tuple[torch.Tensor, torch.Tensor]:
    return superposed(6000, CONCEPTS, CHANNELS, active=3)


@pytest.fixture(scope="module")
def found(planted: tuple[torch.Tensor, torch.Tensor]) -> Fitted:
    return fit(planted[0][:5000], TOPK, 0)


def test_more_directions_than_channels_are_found(planted: tuple[torch.Tensor, torch.Tensor], found: Fitted) -> None:
    samples, directions = planted
    assert share_found(directions, found.decoder) >= 0.95
    assert share_found(directions, torch.eye(CHANNELS)) == 0
    held_out = measured(found, samples[5000:])
    assert 0.85 < held_out.r2 < 0.95
    assert 3 < held_out.l0 <= 4
    assert 0 < held_out.dead < 0.5


def test_a_high_r2_is_no_sign_that_directions_are_found(planted: tuple[torch.Tensor, torch.Tensor]) -> None:
    samples, directions = planted
    weak, strong = (fit(samples, replace(TOPK, kind="relu", sparsity=weight), 0) for weight in (0.005, 0.3))
    assert measured(weak, samples).r2 > 0.97 > 0.9 > measured(strong, samples).r2
    assert share_found(directions, weak.decoder) == 0
    assert share_found(directions, strong.decoder) > 0.5


def test_topk_keeps_at_most_k_at_a_position(planted: tuple[torch.Tensor, torch.Tensor], found: Fitted) -> None:
    assert int((codes(found, planted[0]) > 0).sum(dim=1).max()) == 4


def test_batchtopk_keeps_k_on_average_over_other_samples(planted: tuple[torch.Tensor, torch.Tensor]) -> None:
    samples, _ = planted
    fitted = fit(samples[:4000], replace(TOPK, kind="batchtopk", steps=300), 0)
    responding = (codes(fitted, samples[4000:]) > 0).sum(dim=1).float()
    assert float(responding.mean()) == pytest.approx(4, rel=0.05)
    assert responding.min() < 4 < responding.max()


def test_the_threshold_of_batchtopk_does_not_rest_on_the_order_of_samples_or_the_last_batch(
    planted: tuple[torch.Tensor, torch.Tensor],
) -> None:
    dark = planted[0].mean(dim=0) + 1e-3 * torch.randn(
        9, planted[0].shape[1], generator=torch.Generator().manual_seed(3)
    )
    samples = torch.cat([planted[0][:1024], dark])
    fitted = fit(samples, replace(TOPK, kind="batchtopk", steps=150, batch=256), 0)
    assert float((codes(fitted, samples) > 0).sum(dim=1).float().mean()) == pytest.approx(4, rel=0.05)


def test_rows_of_the_decoder_have_length_one(found: Fitted) -> None:
    torch.testing.assert_close(found.decoder.norm(dim=1), torch.ones(120))


def test_the_same_seed_gives_the_same_bytes(planted: tuple[torch.Tensor, torch.Tensor]) -> None:
    one, same, other = (fit(planted[0], SHORT, seed) for seed in (3, 3, 4))
    assert all(torch.equal(tensor, same.tensors()[name]) for name, tensor in one.tensors().items())
    assert not torch.equal(one.decoder, other.decoder)


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "relu"])
@pytest.mark.parametrize("factor", [2.0**20, 2.0**-20])
def test_scale_and_offset_of_a_layer_change_nothing(
    kind: str, factor: float, planted: tuple[torch.Tensor, torch.Tensor]
) -> None:
    samples, recipe = planted[0][:500], replace(SHORT, kind=kind)  # type: ignore[arg-type]  # one of them
    offset = torch.full((CHANNELS,), 4 * factor)
    plain, moved = fit(samples, recipe, 0), fit(samples * factor + offset, recipe, 0)
    torch.testing.assert_close(moved.decoder, plain.decoder, atol=1e-3, rtol=0)
    torch.testing.assert_close(
        codes(moved, samples * factor + offset) / factor, codes(plain, samples), atol=1e-2, rtol=0
    )


def test_channels_that_never_change_have_no_part(planted: tuple[torch.Tensor, torch.Tensor]) -> None:
    samples = torch.cat([planted[0][:, :19], torch.full((6000, 1), 7.0)], dim=1)
    fitted = fit(samples, replace(TOPK, steps=200), 0)
    rebuilt = codes(fitted, samples) @ fitted.decoder + fitted.decoder_bias
    torch.testing.assert_close(rebuilt[:, 19], samples[:, 19], atol=0.2, rtol=0)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (torch.zeros(200, 5), "the same at every position"),
        (torch.full((200, 5), 3.3), "the same at every position"),
        (torch.full((200, 5), torch.nan), "holds NaN or infinity"),
        (torch.randn(100, 5), "100 positions for 120 latents"),
        (torch.randn(100), r"samples of shape \(100,\)"),
    ],
)
def test_samples_that_teach_nothing_are_refused(samples: torch.Tensor, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fit(samples, SHORT, 0)


def test_a_fit_that_diverges_is_refused(planted: tuple[torch.Tensor, torch.Tensor]) -> None:
    with pytest.raises(DataError, match="the fit diverged"):
        fit(planted[0], replace(SHORT, learning_rate=1e20), 0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"k": 121}, "k 121 of 120 latents"),
        ({"latents": 0}, "a dictionary of 0 latents"),
        ({"steps": 0}, "steps 0"),
        ({"sparsity": float("nan")}, "a sparsity of nan"),
        ({"learning_rate": 0.0}, "a learning rate of 0"),
        ({"kind": "vae"}, "there is no kind of dictionary 'vae'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changed: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(TOPK, **changed)  # type: ignore[arg-type]  # wrong on purpose
