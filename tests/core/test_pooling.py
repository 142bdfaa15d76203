"""Pooling: every layout against the value taken by hand, and hooks that always go away."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mcd.errors import DataError, UsageError
from mcd.extraction.layers import Layer, Layout
from mcd.extraction.pooling import Pooling, Recorder, pool, pooler

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
    layout: Layout, output: torch.Tensor, pooling: Pooling, expected: torch.Tensor
) -> None:
    torch.testing.assert_close(pool(output, layer(layout), pooling), expected)


def test_patch_tokens_leave_out_class_and_registers() -> None:
    module = nn.Identity()
    module.num_prefix_tokens = 3  # as timm's transformers say it
    torch.testing.assert_close(pooler(module, layer("tokens"), "tokens")(TOKENS), TOKENS[:, 3:].mean(1))


def test_half_precision_is_pooled_in_single() -> None:
    assert pool(torch.full((1, 1, 300, 300), 1.1, dtype=torch.float16), layer("NCHW"), "avg").dtype == torch.float32


@pytest.mark.parametrize(("pooling", "layout"), [("cls", "NCHW"), ("tokens", "NHWC"), ("tokens", "tokens")])
def test_a_pooling_that_does_not_fit_is_refused(pooling: Pooling, layout: Layout) -> None:
    with pytest.raises(UsageError, match="pooling"):
        pooler(nn.Identity(), layer(layout), pooling)


def test_the_recorder_catches_pooled_outputs_and_leaves_no_hooks() -> None:
    net = nn.Sequential(nn.Conv2d(1, 5, 1), nn.ReLU())
    with Recorder(net, [Layer("1", "ReLU", (), "NCHW", 5)], "avg") as recorder:
        output = net(torch.rand(2, 1, 4, 4))
        torch.testing.assert_close(recorder.take()["1"], output.mean((2, 3)))
        with pytest.raises(DataError, match="did not run"):
            recorder.take()
    assert all(not module._forward_hooks for module in net.modules())
    with pytest.raises(RuntimeError), Recorder(net, [Layer("1", "ReLU", (), "NCHW", 5)], "avg"):
        net(torch.rand(2, 9, 4, 4))
    assert all(not module._forward_hooks for module in net.modules())
