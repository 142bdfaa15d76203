"""Networks whose outputs depend on chance, or on their neighbours in a batch, are noticed before a run."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from tests.extraction.drawn_networks import RECIPE, Words, dissect, images
from torch import nn

import mcd
from mcd.errors import PluginError, UsageError
from mcd.networks.given import generator_states
from mcd.networks.process import random_states
from mcd.networks.trial import trial_pass


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(self.body(x), 0.5)


class Wrapped(nn.Module):
    """Names the dropped values as a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Dropping()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stage(x)


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (Wrapped(), "stage"),
        (nn.Sequential(nn.Conv2d(3, 6, 5), nn.BatchNorm2d(6, track_running_stats=False)), "1"),
    ],
)
def test_outputs_that_depend_on_chance_or_on_the_batch_are_refused(network: nn.Module, layer: str) -> None:
    state = torch.get_rng_state()
    with pytest.raises(UsageError, match=f"layer {layer} of net gives one image different values"):
        trial_pass(mcd.Target("net", network, RECIPE))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_that_needs_several_images_at_once_is_refused_for_that_reason() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 6), nn.BatchNorm1d(6, track_running_stats=False))
    with pytest.raises(PluginError, match="takes two images at once, but not one alone"):
        trial_pass(mcd.Target("net", network, RECIPE))


class By(nn.Module):
    """A convolution, then whatever is to be tried, named as a layer."""

    def __init__(self, function: Callable[..., torch.Tensor], source: object = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.out, self.function, self.source = nn.Conv2d(3, 6, 5), nn.Identity(), function, source

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.out(self.function(x) if self.source is None else self.function(x, self.source))


def rarely(x: torch.Tensor) -> torch.Tensor:
    """Stochastic depth that nobody turned off: one pass in five goes without."""
    return x if torch.rand(()) < 0.8 else torch.zeros_like(x)


@pytest.mark.parametrize(
    ("function", "source"),
    [
        (lambda x: functional.rrelu(x, training=True), None),
        (lambda x: functional.dropout(x, 0.0005), None),
        (lambda x: functional.gumbel_softmax(x, dim=1), None),
        (lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1), None),
        (lambda x: x + 1e-5 * torch.randn_like(x), None),
        (rarely, None),
        (lambda x: x * np.random.random(), None),
        (lambda x: x * random.random(), None),
        (lambda x: x * np.random.default_rng().random(), None),
        (lambda x, own: x + torch.randn(x.shape, generator=own), torch.Generator()),
        (lambda x, own: x + 1e-5 * torch.randn(x.shape, generator=own), torch.Generator()),
        (lambda x, own: x * own.random(), np.random.default_rng(0)),
        (lambda x, own: x * own.rand(), np.random.RandomState(0)),
        (lambda x, own: x * own.random(), random.Random(0)),
        (lambda x: x - x.mean(0), None),
        (lambda x: x / x.std(), None),
        (lambda x: x / x.max(), None),
        (lambda x: x - x.min(), None),
        (lambda x: x + x.roll(1, 0), None),
    ],
)
@pytest.mark.parametrize("recipe", [RECIPE, mcd.Preprocessing()], ids=["noise", "image"])
def test_chance_and_neighbours_in_a_batch_are_noticed_wherever_they_come_from(
    function: Callable[..., torch.Tensor], source: object, recipe: mcd.Preprocessing
) -> None:
    """And the generators are given back as they were."""
    network = By(function, source)
    picture = mcd.Image(np.arange(48 * 40, dtype=np.uint8).reshape(48, 40, 1).repeat(3, 2), 255.0)
    before = (*random_states(), *map(str, generator_states(network)))
    with pytest.raises(UsageError, match="layer out of net gives one image different values"):
        trial_pass(mcd.Target("net", network, recipe), None if recipe is RECIPE else picture)
    assert (*random_states(), *map(str, generator_states(network))) == before


def test_random_numbers_that_change_nothing_are_a_remark() -> None:
    assert not trial_pass(mcd.Target("net", By(lambda x: x + 1), RECIPE)).remarks
    drawing = By(lambda x: x + 0 * torch.rand(()))
    assert trial_pass(mcd.Target("net", drawing, RECIPE)).remarks == ("net draws random numbers in eval mode",)


class Counting(nn.Module):
    """Adds to a buffer of its state at every call, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 5)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.body(x)


def test_a_network_that_changes_its_own_state_is_refused_and_given_back() -> None:
    network = Counting()
    with pytest.raises(UsageError, match="changes 'calls' while it runs"):
        trial_pass(mcd.Target("net", network, RECIPE))


class Sometimes(nn.Module):
    """Draws random numbers for dark images only, which the picture of the trial pass is not; with or without effect.

    ``passes`` counts the images of each pass.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.out, self.weight, self.passes = nn.Conv2d(3, 6, 5), nn.Identity(), weight, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(x))
        dark = x.mean((1, 2, 3)) < images().mean((1, 2, 3)).quantile(0.3)
        x = self.body(x)
        return self.out(x + self.weight * torch.rand_like(x) if dark.any() else x)


def test_chance_that_depends_on_the_image_is_noticed_in_the_sweep() -> None:
    network = Sometimes(0.1)
    with pytest.raises(UsageError, match=r"net gives the 8 images from .* different values in two passes \(layer out"):
        dissect(network, ["out"])
    assert trial_pass(mcd.Target("net", Sometimes(0.1), RECIPE)).layers


def test_numbers_drawn_without_effect_cost_a_second_pass_of_some_batches_only() -> None:
    drawing, quiet = Sometimes(0.0), By(lambda x: x)
    found = dissect(drawing, ["out"])
    assert [one.name for one in found.manifest.layers] == ["out"]
    assert drawing.passes.count(8) in (3, 4)  # two batches of 8, at least one with a dark image
    assert dissect(quiet, ["out"]).manifest.layers


class Noisy(Words):
    """A dissector that draws for the second batch only."""

    calls = 0

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        found = super().encode_images(batch).clone()
        return found + torch.rand_like(found) if len(batch) == 4 else found


def test_chance_in_a_dissector_is_noticed_in_the_sweep() -> None:
    with pytest.raises(UsageError, match=r"dissector words gives the 4 images from .* different values in two passes"):
        dissect(By(lambda x: x), ["out"], by=Noisy())
