"""Pooling: every layout against the value taken by hand, and hooks that always go away."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mcd.api.units import Units
from mcd.errors import DataError, UsageError
from mcd.networks.layers import Layer, Layout, unit_axis
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder, check_pooling, pool
from mcd.networks.units import seen_through, through_units

MAP = torch.rand(2, 5, 4, 3)
TOKENS = torch.rand(2, 7, 5)


def layer(layout: Layout) -> Layer:
    return Layer("x", "X", (), layout, 5)


@pytest.mark.parametrize(
    ("layout", "output", "pooling", "expected"),
    [
        ("NCHW", MAP, "avg", MAP.mean((2, 3))),
        ("NCHW", MAP, "max", MAP.amax((2, 3))),
        ("NHWC", MAP.permute(0, 2, 3, 1), "avg", MAP.mean((2, 3))),
        ("NHWC", MAP.permute(0, 2, 3, 1), "max", MAP.amax((2, 3))),
        ("tokens", TOKENS, "avg", TOKENS.mean(1)),
        ("tokens", TOKENS, "max", TOKENS.amax(1)),
        ("tokens", TOKENS, "cls", TOKENS[:, 0]),
        ("flat", TOKENS[:, 0], "avg", TOKENS[:, 0]),
        ("flat", TOKENS[:, 0], "max", TOKENS[:, 0]),
    ],
)
def test_pooling_equals_the_value_taken_by_hand(
    layout: Layout, output: torch.Tensor, pooling: str, expected: torch.Tensor
) -> None:
    torch.testing.assert_close(pool(output, layer(layout), Pooling.parse(pooling)), expected)


def test_patch_tokens_leave_out_class_and_registers() -> None:
    torch.testing.assert_close(pool(TOKENS, layer("tokens"), Pooling("tokens"), 3), TOKENS[:, 3:].mean(1))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "tokens", "NCL"])
@pytest.mark.parametrize("pooling", ["avg", "gem"])
def test_a_part_of_a_larger_tensor_is_pooled_as_units_of_it(layout: Layout, pooling: str) -> None:
    whole = torch.rand(3, 40, *((36, 30) if layout in ("NCHW", "NHWC") else (90,)))
    part = whole[..., 1:-2, ::2] if whole.ndim > 3 else whole[..., ::2]
    one = Layer("x", "X", tuple(part.shape[1:]), layout, part.shape[unit_axis(Layer("x", "X", layout=layout))])
    (seen,) = seen_through([one], [Units("same", nn.Identity(), one.neurons, one.neurons)], neurons=False)
    found = pool(through_units(seen, part), seen, Pooling.parse(pooling))
    assert torch.equal(found, pool(part, one, Pooling.parse(pooling)))


def test_half_precision_is_pooled_in_single() -> None:
    assert (
        pool(torch.full((1, 1, 300, 300), 1.1, dtype=torch.float16), layer("NCHW"), Pooling("avg")).dtype
        == torch.float32
    )


@pytest.mark.parametrize(
    ("pooling", "layout"), [("cls", "NCHW"), ("tokens", "NHWC"), ("tokens", "tokens"), ("masked-avg", "tokens")]
)
def test_a_pooling_that_does_not_fit_is_refused(pooling: str, layout: Layout) -> None:
    with pytest.raises(UsageError, match="pooling"):
        check_pooling(layer(layout), Pooling.parse(pooling), None)


@pytest.mark.parametrize(("layout", "output"), [("NCHW", MAP), ("NHWC", MAP.permute(0, 2, 3, 1))])
def test_generalised_mean_and_top_fraction(layout: Layout, output: torch.Tensor) -> None:
    places = MAP.flatten(2)
    torch.testing.assert_close(
        pool(output, layer(layout), Pooling.parse("gem:4")), (places**4).mean(2) ** 0.25, atol=1e-6, rtol=1e-5
    )
    torch.testing.assert_close(pool(output, layer(layout), Pooling.parse("gem:1")), places.mean(2))
    torch.testing.assert_close(pool(output - 2, layer(layout), Pooling.parse("gem")), torch.full((2, 5), 1e-6))
    best = places.sort(descending=True, dim=2).values
    torch.testing.assert_close(pool(output, layer(layout), Pooling.parse("top-fraction:0.25")), best[:, :, :3].mean(2))
    torch.testing.assert_close(pool(output, layer(layout), Pooling.parse("top-fraction:0.01")), best[:, :, 0])
    torch.testing.assert_close(pool(output, layer(layout), Pooling.parse("top-fraction:1")), places.mean(2))


@pytest.mark.parametrize(("layout", "output"), [("NCHW", MAP), ("NHWC", MAP.permute(0, 2, 3, 1))])
def test_masked_poolings_look_inside_the_breast_only(layout: Layout, output: torch.Tensor) -> None:
    mask = torch.zeros(2, 1, 16, 12)  # each position of the 4×3 map is 4×4 pixels
    mask[0, :, :8, :4] = 1  # the two upper positions of the left column
    mask[1, :, 8:10, 4:6] = 1  # a quarter of one position
    inside = MAP[0, :, :2, 0]
    average = pool(output, layer(layout), Pooling("masked-avg"), None, mask)
    torch.testing.assert_close(average, torch.stack([inside.mean(1), MAP[1, :, 2, 1]]))
    highest = pool(output, layer(layout), Pooling("masked-max"), None, mask)
    torch.testing.assert_close(highest, torch.stack([inside.amax(1), MAP[1, :, 2, 1]]))
    whole = torch.ones(2, 1, 16, 12)
    torch.testing.assert_close(pool(output, layer(layout), Pooling("masked-avg"), None, whole), MAP.mean((2, 3)))
    torch.testing.assert_close(pool(output, layer(layout), Pooling("masked-max"), None, whole), MAP.amax((2, 3)))


def test_masks_lie_over_patch_tokens_row_by_row() -> None:
    tokens = torch.rand(1, 2 + 12, 5)
    mask = torch.zeros(1, 1, 16, 12)
    mask[:, :, 4:8, 8:] = 1  # row 1, column 2 of a grid of 4×3
    found = pool(tokens, layer("tokens"), Pooling("masked-avg"), 2, mask)
    torch.testing.assert_close(found, tokens[:, 2 + 1 * 3 + 2])
    with pytest.raises(DataError, match="no grid"):
        pool(torch.rand(1, 13, 5), layer("tokens"), Pooling("masked-max"), 0, mask)


@pytest.mark.parametrize("text", ["mean", "avg:2", "gem:0", "gem:", "gem:x", "top-fraction:2", "top-fraction:-1", ""])
def test_a_pooling_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pooling"):
        Pooling.parse(text)


def test_the_recorder_catches_pooled_outputs_and_leaves_no_hooks() -> None:
    net = nn.Sequential(nn.Conv2d(1, 5, 1), nn.ReLU())
    with Recorder(net, [Layer("1", "ReLU", (), "NCHW", 5)], Pooling("avg")) as recorder:
        output = net(torch.rand(2, 1, 4, 4))
        torch.testing.assert_close(recorder.take()["1"], output.mean((2, 3)))
        with pytest.raises(DataError, match="did not run"):
            recorder.take()
    assert all(not module._forward_hooks for module in net.modules())
    with pytest.raises(RuntimeError), Recorder(net, [Layer("1", "ReLU", (), "NCHW", 5)], Pooling("avg")):
        net(torch.rand(2, 9, 4, 4))
    assert all(not module._forward_hooks for module in net.modules())
