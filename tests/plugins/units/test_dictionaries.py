"""Dictionaries: what each activation makes of neurons, what a file must say, and random latents beside its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from tests.plugins.units.unit_files import dictionary_file, dictionary_tensors
from torch import nn

import mcd
from mcd.errors import DataError
from mcd.testing import check_unit_source
from mcd_plugins.units.dictionary import Dictionary

ACTIVATIONS = ("none", "relu", "topk", "jumprelu", "nonnegative", "nearest")
VALUES = torch.randn(30, 4, 5, generator=torch.Generator().manual_seed(9))


def loaded(file: Path) -> mcd.Units:
    return Dictionary(Dictionary.Options(file=file)).load()


def expected(activation: str) -> torch.Tensor:
    """Return latents of the values, written as a paper does."""
    held = dictionary_tensors(activation)
    centred = VALUES - held["decoder_bias"]
    if activation == "nearest":
        distances = (centred[..., None, :] - held["decoder"]).square().sum(-1)
        return nn.functional.one_hot(distances.argmin(-1), 7).float()
    products = centred @ held["encoder"].T + held["encoder_bias"]
    if activation == "none":
        return products
    if activation == "topk":
        return products.relu() * (products.argsort(dim=-1, descending=True).argsort(dim=-1) < 3)
    return products.relu() * (products > held.get("threshold", torch.zeros(7)))


@pytest.mark.parametrize("activation", [one for one in ACTIVATIONS if one != "nonnegative"])
def test_latents_are_what_the_activation_makes_of_neurons(activation: str, tmp_path: Path) -> None:
    found = loaded(dictionary_file(tmp_path, activation)).module(VALUES)
    torch.testing.assert_close(found, expected(activation))


def test_codes_of_a_factorisation_rebuild_a_position_best(tmp_path: Path) -> None:
    drawn = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    for rows in (drawn, drawn.abs()):
        file = dictionary_file(tmp_path, "nonnegative", decoder=rows, decoder_bias=None)
        values = VALUES.flatten(0, 1)
        best = [nnls(rows.T.double().numpy(), one)[0] for one in values.double().numpy()]
        torch.testing.assert_close(
            loaded(file).module(values), torch.from_numpy(np.stack(best)).float(), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("activation", ["jumprelu", "nonnegative", "nearest"])
def test_every_activation_takes_each_position_by_itself(activation: str, tmp_path: Path) -> None:
    check_unit_source(Dictionary(Dictionary.Options(file=dictionary_file(tmp_path, activation))))


def test_of_centroids_as_near_the_first_is_chosen(tmp_path: Path) -> None:
    centroids = torch.tensor([[5.0, 0], [0, 0], [1, 0], [1, 0], [-1, 0]])
    file = dictionary_file(tmp_path, "nearest", decoder=centroids, decoder_bias=None)
    values = torch.tensor([[1.0, 3], [0.5, 0], [-0.5, 0]])
    assert loaded(file).module(values).nonzero()[:, 1].tolist() == [2, 1, 1]


def test_a_latent_of_length_zero_keeps_its_number_and_never_responds(tmp_path: Path) -> None:
    for activation in ("relu", "topk", "jumprelu", "nonnegative"):
        changed = {name: one.clone() for name, one in dictionary_tensors(activation).items() if name != "decoder_bias"}
        for one in changed.values():
            one[2] = 0
        units = loaded(dictionary_file(tmp_path, activation, **changed))
        assert units.units == 7
        assert units.random is not None
        for module in (units.module, units.random(0)):
            responding = module(VALUES).flatten(0, 1).amax(dim=0) > 0
            assert not responding[2]
            assert responding.sum() > 1


ZERO = torch.eye(7, 5)
"""Its last two rows have length zero."""


@pytest.mark.parametrize(
    ("activation", "changed", "said"),
    [
        ("relu", {"activation": None}, "does not say the activation"),
        ("relu", {"activation": "tanh"}, "says activation 'tanh'"),
        ("topk", {"k": None}, "activation topk with k None of 7 latents"),
        ("topk", {"k": "8"}, "activation topk with k 8 of 7 latents"),
        ("topk", {"k": "0"}, "its metadata 'k' cannot be read"),
        ("relu", {"k": "3"}, "activation relu with k 3"),
        ("relu", {"encoder": None}, "has no tensor 'encoder'"),
        ("nearest", {"decoder": None}, "has no tensor 'decoder'"),
        ("jumprelu", {"threshold": None}, "has no tensor 'threshold'"),
        ("jumprelu", {"threshold": torch.ones(6)}, "'threshold' is of 6 units, another tensor of 7"),
        ("topk", {"threshold": torch.ones(7)}, "activation topk with a threshold"),
        ("relu", {"encoder": ZERO}, "row 5 of 'encoder' has length zero"),
        ("relu", {"decoder": ZERO}, "row 5 of 'decoder' has length zero"),
        ("relu", {"encoder": ZERO, "decoder": ZERO, "encoder_bias": torch.ones(7)}, "row 5 of 'encoder' has length"),
        ("nonnegative", {"decoder": torch.zeros(7, 5)}, "all rows of 'decoder' have length zero"),
        ("nearest", {"decoder": torch.full((7, 5), torch.nan)}, "'decoder' holds NaN"),
    ],
)
def test_a_dictionary_that_cannot_be_is_refused(
    activation: str, changed: dict[str, torch.Tensor | str | None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        loaded(dictionary_file(tmp_path, activation, **changed))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_random_latents_are_of_the_same_kind_and_as_sparse(activation: str, tmp_path: Path) -> None:
    units = loaded(dictionary_file(tmp_path, activation))
    assert units.random is not None
    own = units.module(VALUES)
    first, again, other = (units.random(seed)(VALUES) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, own)
    if activation == "none":
        return
    counts, random = ((one > 0).sum(-1) for one in (own, first))
    assert (random <= counts).all()
    assert float((random == counts).float().mean()) > 0.5


def test_random_latents_are_those_of_the_same_dictionary_that_subtracts_nothing(tmp_path: Path) -> None:
    held = dictionary_tensors("topk")
    far = held["decoder_bias"] + 20 * torch.arange(5)
    folded = held["encoder_bias"] - held["encoder"] @ far
    units = loaded(dictionary_file(tmp_path, "topk", decoder_bias=None, encoder_bias=folded))
    assert units.random is not None
    values = VALUES + far
    for seed in range(5):
        own, random = (module(values).flatten(0, 1) > 0 for module in (units.module, units.random(seed)))
        assert int(own.any(dim=0).sum()) == 7
        assert int(random.any(dim=0).sum()) >= 6


def test_random_rows_are_no_more_negative_than_those_of_a_factorisation(tmp_path: Path) -> None:
    rows = torch.rand(7, 5, generator=torch.Generator().manual_seed(0))
    units = loaded(dictionary_file(tmp_path, "nonnegative", decoder=rows, decoder_bias=None))
    assert units.random is not None
    drawn = units.random(3).get_buffer("drawn.decoder")
    assert (drawn >= 0).all()
    torch.testing.assert_close(drawn.norm(dim=1), rows.norm(dim=1))


def test_random_centroids_part_the_same_place(tmp_path: Path) -> None:
    centroids = 50 + torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    units = loaded(dictionary_file(tmp_path, "nearest", decoder=centroids, decoder_bias=None))
    assert units.random is not None
    assert (units.random(0)(VALUES + 50).flatten(0, 1).sum(dim=0) > 0).sum() >= 4
