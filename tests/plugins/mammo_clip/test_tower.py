"""The image tower is the released network, number for number, and goes by the names people know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mcd.networks.layers import inspect_layers
from mcd.networks.selecting import select_layers
from mcd_plugins.mammo_clip.tower import Network, aliases, empty_tower, fill_tower, released_names, timm_names

NEURONS = {"b2": (23, 2824), "b5": (39, 6992)}


@pytest.mark.parametrize(
    ("network", "size"),
    [
        *((network, size) for network in ("b2", "b5") for size in ("304x184", "237x141")),
        pytest.param("b2", "1520x912", marks=pytest.mark.slow),
        pytest.param("b5", "1520x912", marks=pytest.mark.nightly),
    ],
)
def test_every_block_and_the_pooled_vector_are_those_of_the_released_network(
    network: Network, size: str, golden: Path, fill: ModuleType, filled: Callable[..., dict[str, torch.Tensor]]
) -> None:
    tower = empty_tower(network)
    fill_tower(tower, filled(network), Path("golden"))
    blocks = [tower.get_submodule(place) for name, place in aliases(tower).items() if name.startswith("_blocks.")]
    found: list[np.ndarray] = []
    for block in blocks:
        block.register_forward_hook(lambda _m, _i, output: found.append(output.mean(dim=(2, 3))[0].numpy()))
    with torch.inference_mode():
        pooled = tower(torch.from_numpy(fill.make_image(*map(int, size.split("x")))))[0].numpy()
    with np.load(golden / "expected_image_encoder.npz") as expected:
        means, vector = expected[f"{network}/{size}/block_means"], expected[f"{network}/{size}/pooled"]
    assert (len(found), sum(map(len, found))) == (NEURONS[network][0], len(means)) == NEURONS[network]
    starts = np.cumsum([0, *map(len, found)])
    for number, block in enumerate(found):
        wanted = means[starts[number] : starts[number + 1]]
        assert np.abs(block - wanted).max() <= 1e-4 * np.abs(wanted).max(), f"block {number}"
    np.testing.assert_allclose(pooled, vector, atol=1e-5)


@pytest.mark.parametrize("network", ["b2", "b5"])
def test_each_tensor_has_one_released_name_which_leads_back_to_it(
    network: Network, filled: Callable[..., dict[str, torch.Tensor]]
) -> None:
    tower = empty_tower(network)
    released = released_names(tower)
    assert set(released) == set(tower.state_dict())
    back = timm_names(tower, [name.removeprefix("image_encoder.") for name in released.values()])
    assert list(back.values()) == list(released)
    assert set(released.values()) <= set(filled(network))


def test_layers_go_by_the_published_names_and_by_timms() -> None:
    tower = empty_tower("b2", classes=4)
    layers = inspect_layers(tower, torch.rand(2, 3, 64, 48))

    def picked(*patterns: str) -> list[str]:
        return [layer.name for layer in select_layers(patterns, layers, "it", aliases(tower))]

    script = "image_encoder._blocks[0], image_encoder._blocks[1],  image_encoder._blocks[22]"
    assert picked(script) == ["blocks.0.0", "blocks.0.1", "blocks.6.1"]
    assert picked("_blocks[-1]", "classifier.classification_head") == ["blocks.6.1", "classifier"]
    everything = select_layers(["image_encoder._blocks.*"], layers, "it", aliases(tower))
    assert [layer.name for layer in everything] == picked("blocks.*.*") == picked("_blocks[{0..22}]")
    assert sum(layer.neurons for layer in everything) == 2824
    assert layers[-1].neurons == 4
