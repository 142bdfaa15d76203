"""A layer's output edited in a forward pass, and gradients at it: networks changed by hand and bare autograd agree."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from mcd.errors import PluginError, UnknownNameError, UsageError
from mcd.networks.differentiating import Differentiating, pooled_gradient, scalar_of
from mcd.networks.editing import Edit, edited, edits_of
from mcd.networks.layers import Layer, inspect_layers
from mcd.networks.outputs import main_output, with_tensor
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder
from mcd.networks.running import autocast

IMAGES = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A convolution, a ReLU that runs twice and changes its input, and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(1, 6, 3)
        self.act = nn.ReLU(inplace=True)
        self.mix = nn.Conv2d(6, 5, 1)
        self.head = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.act(self.mix(self.act(self.conv(x)))).mean((2, 3)))
        return out


def run(module: nn.Module, *edits: Edit, images: torch.Tensor = IMAGES) -> torch.Tensor:
    layers = inspect_layers(module.eval(), images)
    with torch.no_grad(), edited(module, edits_of(edits, layers, "net")):
        out: torch.Tensor = module(images.clone())
    return out


def zeroed(channels: Sequence[int]) -> Net:
    net = Net()
    with torch.no_grad():
        net.conv.weight[list(channels)] = 0
        assert net.conv.bias is not None
        net.conv.bias[list(channels)] = 0
    return net


def test_values_that_units_are_set_to_stay_as_they_were_given() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.SiLU(inplace=True)).eval()
    image, values = torch.ones(1, 4), torch.tensor([1.0, 2.0, 3.0])
    expected = nn.functional.silu(values)[None]
    with torch.no_grad(), edited(net, edits_of([Edit("0", to=values)], inspect_layers(net, image), "net")):
        assert all(torch.equal(net(image), expected) for _ in range(2))
    assert values.tolist() == [1, 2, 3]


def test_units_at_zero_are_a_network_without_their_weights() -> None:
    assert torch.equal(run(Net(), Edit("conv", units=[0, 4])), run(zeroed([0, 4])))
    assert not torch.equal(run(Net(), Edit("conv", units=[0, 4])), run(Net()))
    assert torch.equal(run(Net(), Edit("conv")), run(zeroed(range(6))))


def test_units_take_values_of_their_own() -> None:
    values = torch.arange(6.0)
    net = zeroed([1])
    with torch.no_grad():
        assert net.conv.bias is not None
        net.conv.bias[1] = 1.0
    torch.testing.assert_close(run(Net(), Edit("conv", units=[1], to=values)), run(net))


def test_a_function_that_changes_nothing_leaves_every_bit() -> None:
    for images in (IMAGES, IMAGES.contiguous(memory_format=torch.channels_last)):
        for kind in ("fp32", "bf16"):
            with autocast(torch.device("cpu"), kind):
                plain = run(Net(), images=images)
                assert torch.equal(run(Net(), Edit("conv", to=lambda one: one), images=images), plain)
                assert torch.equal(run(Net(), Edit("{conv,mix}", [2], lambda one: one), images=images), plain)


def test_what_takes_the_place_of_an_output_lies_in_memory_as_it_did() -> None:
    net, images = Net().eval(), IMAGES.contiguous(memory_format=torch.channels_last)
    net.to(memory_format=torch.channels_last)
    seen: list[torch.Tensor] = []
    edit = Edit("conv", to=lambda one: one.contiguous(memory_format=torch.contiguous_format) * 2)
    with torch.no_grad(), edited(net, edits_of([edit], inspect_layers(net, images), "net")):
        net.conv.register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
        net(images)
    plain = net.conv(images)
    assert seen[0].stride() == plain.stride()
    torch.testing.assert_close(seen[0], 2 * plain.detach())


def test_a_function_may_change_what_it_is_given_and_keep_what_it_returns() -> None:
    kept = torch.ones(4, 6, 10, 10)

    def spoil(output: torch.Tensor) -> torch.Tensor:
        output.fill_(float("nan"))
        return kept

    net = Net()
    assert torch.equal(run(net, Edit("conv", to=spoil)), run(net, Edit("conv", to=torch.ones(6))))
    assert torch.equal(kept, torch.ones(4, 6, 10, 10))  # the ReLU after it changes its input in place
    only = run(net, Edit("conv", units=[3], to=spoil))
    assert torch.equal(only, run(net, Edit("conv", units=[3], to=torch.ones(6))))


def test_a_decoder_of_full_rank_reproduces_the_output() -> None:
    basis = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)))[0]

    def through(output: torch.Tensor, keep: int) -> torch.Tensor:
        latents = torch.einsum("bchw,cl->bhwl", output, basis)
        latents[..., keep:] = 0
        return torch.einsum("bhwl,cl->bchw", latents, basis)

    net = Net()
    torch.testing.assert_close(run(net, Edit("conv", to=lambda one: through(one, 6))), run(net))
    torch.testing.assert_close(run(net, Edit("conv", to=lambda one: through(one, 0))), run(net, Edit("conv")))


def test_one_call_of_a_layer_that_runs_twice_is_edited() -> None:
    net = Net()
    second = run(net, Edit("act@2"))
    assert torch.equal(second, net.head.bias.expand(4, 3))
    torch.testing.assert_close(run(net, Edit("act@1")), run(net, Edit("conv")))
    with pytest.raises(UsageError, match="cannot be dissected"):
        run(net, Edit("act"))


def test_calls_are_counted_anew_in_every_pass() -> None:
    net = Net().eval()
    with torch.no_grad(), edited(net, edits_of([Edit("act@2")], inspect_layers(net, IMAGES), "net")):
        first = net(IMAGES)
        with pytest.raises(RuntimeError):
            net(IMAGES[:, :, :2])  # too small: it fails on the way
        assert torch.equal(net(IMAGES), first)
    assert torch.equal(first, net.head.bias.expand(4, 3))


def test_edits_follow_each_other_and_later_layers_are_recorded_after_them() -> None:
    net = Net()
    layers = inspect_layers(net, IMAGES)
    seen = [one for one in layers if one.name in ("conv", "mix")]
    doubled = Edit("conv", units=[0], to=lambda one: 2 * one + 1)
    edits = edits_of([Edit("conv", units=[0]), doubled], layers, "net")
    with torch.no_grad(), edited(net, edits), Recorder(net, seen, Pooling("avg")) as recorder:
        net(IMAGES)
        edited_values = recorder.take()
    with torch.no_grad(), Recorder(net, seen, Pooling("avg")) as recorder:
        net(IMAGES)
        plain = recorder.take()
    assert torch.equal(edited_values["conv"][:, 0], torch.ones(4))
    assert torch.equal(edited_values["conv"][:, 1:], plain["conv"][:, 1:])
    assert not torch.equal(edited_values["mix"], plain["mix"])


Pair = namedtuple("Pair", ["first", "second"])


@dataclass(frozen=True)
class Record:
    features: torch.Tensor
    name: str = "x"


MADE: dict[str, Callable[[torch.Tensor], object]] = {
    "tuple": lambda one: (one, one * 0 + 7),
    "list": lambda one: [one, [one * 0]],
    "named tuple": lambda one: Pair(one, 1),
    "mapping": lambda one: OrderedDict(features=one, count=3),
    "record": lambda one: Record(one),
    "torch's own": lambda one: torch.max(one, dim=1, keepdim=True),
}


class Structured(nn.Module):
    """A part that returns several things, and a head that reads the first."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.part, self.head = Part(kind), nn.Flatten()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = self.part(x)
        first = output.features if isinstance(output, Record) else None
        first = output["features"] if isinstance(output, dict) else first
        out: torch.Tensor = self.head(output[0] if first is None else first)
        return out


class Part(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.conv = kind, nn.Conv2d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> object:
        return MADE[self.kind](self.conv(x))


@pytest.mark.parametrize("kind", MADE)
def test_an_output_of_several_things_keeps_its_kind(kind: str) -> None:
    net = Structured(kind)
    assert torch.equal(run(net, Edit("part:NCHW" if kind == "torch's own" else "part")), torch.zeros_like(run(net)))
    given, other = MADE[kind](torch.ones(2, 2)), torch.zeros(2, 2)
    first = main_output(given)
    assert first is not None
    made = with_tensor(given, first, other)
    assert type(made) is type(given)
    assert main_output(made) is other
    assert main_output(given) is first
    assert with_tensor(given, torch.ones(1), other) is given


def test_errors_name_the_function_and_hooks_are_gone_after_them() -> None:
    net = Net()

    def narrow(output: torch.Tensor) -> torch.Tensor:
        return output[:, :2]

    def failing(output: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such latent")

    for function, said in (
        (narrow, r"narrow that edits layer conv returned a tensor of shape \(4, 2, 10, 10\)"),
        (failing, "failing that edits layer conv failed: ValueError: no such latent"),
        (lambda _one: None, "returned no tensor but NoneType"),
        (lambda one: one > 0, "returned a tensor of torch.bool"),
    ):
        with pytest.raises(PluginError, match=said):
            run(net, Edit("conv", to=function))  # type: ignore[arg-type]  # what a user may pass
    assert all(not (one._forward_hooks or one._forward_pre_hooks) for one in net.modules())
    assert torch.equal(run(net, Edit("act@2")), net.head.bias.expand(4, 3))  # calls are counted anew


def test_what_does_not_exist_is_said_with_what_does() -> None:
    for edit, said in (
        (Edit("conv", units=[6]), "units 0 to 5, not 6"),
        (Edit("conv", units=[-1]), "units 0 to 5, not -1"),
        (Edit("conv", to=torch.zeros(5)), "5 values are no value for each of the 6 units"),
        (Edit("conv", to="nought"), "cannot be set to 'nought'"),  # type: ignore[arg-type]  # what a user may pass
    ):
        with pytest.raises(UsageError, match=said):
            run(Net(), edit)
    with pytest.raises(UnknownNameError) as caught:
        run(Net(), Edit("cnov"))
    assert "did you mean 'conv'" in caught.value.hint


class Tokens(nn.Module):
    """Patches as tokens, a sequence of channels, and maps with channels last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.patch, self.block, self.rows, self.last = (
            nn.Conv2d(1, 5, 4, 4),
            nn.Linear(5, 7),
            nn.Conv1d(7, 3, 1),
            nn.Linear(1, 2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.block(self.patch(x).flatten(2).transpose(1, 2))
        rows = self.rows(tokens.transpose(1, 2))
        last = self.last(x.permute(0, 2, 3, 1))
        out: torch.Tensor = rows.mean(2)[:, :2] + last.mean((1, 2))
        return out


@pytest.mark.parametrize(("layer", "layout", "axis"), [("block", "tokens", 2), ("rows", "NCL", 1), ("last", "NHWC", 3)])
def test_units_lie_along_the_axis_of_the_layout(layer: str, layout: str, axis: int) -> None:
    net = Tokens().eval()
    (found,) = [one for one in inspect_layers(net, IMAGES) if one.name == layer]
    assert found.layout == layout
    caught: list[torch.Tensor] = []
    with torch.no_grad(), edited(net, edits_of([Edit(layer, [1])], [found], "net")):
        net.get_submodule(layer).register_forward_hook(lambda _m, _i, output: caught.append(output))
        net(IMAGES)
    empty = [bool((caught[0].select(axis, unit) == 0).all()) for unit in range(found.neurons)]
    assert empty == [unit == 1 for unit in range(found.neurons)]


def by_autograd(net: Net, layer: str, of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Return the gradient at a layer of the bare network, image by image."""
    found: list[torch.Tensor] = []
    for image in IMAGES:
        kept: list[torch.Tensor] = []

        def keep(_module: nn.Module, _inputs: object, output: torch.Tensor, kept: list[torch.Tensor] = kept) -> object:
            kept.append(output)
            return output.clone()  # the ReLU changes its input in place

        handle = net.get_submodule(layer).register_forward_hook(keep)
        found += torch.autograd.grad(of(net(image[None]))[0], kept)
        handle.remove()
    return torch.cat(found)


@pytest.fixture
def layers() -> dict[str, Layer]:
    found = inspect_layers(Net().eval(), IMAGES)
    return {one.name: one for layer in found for one in (layer, *layer.choices)}


@pytest.mark.parametrize("of", [lambda one: one[:, 1], lambda one: one.square().sum(1)])
def test_gradients_are_those_of_autograd_for_each_image(
    of: Callable[[torch.Tensor], torch.Tensor], layers: dict[str, Layer]
) -> None:
    net = Net().eval()
    chosen = [layers[name] for name in ("conv", "mix", "head")]
    with Differentiating(net, chosen) as kept, torch.enable_grad():
        outputs = net(IMAGES)
        raw, gradients = kept.gradients(scalar_of(of, outputs))
    assert torch.equal(outputs, net(IMAGES))
    assert all(one.grad is None and one.requires_grad for one in net.parameters())
    for name in ("conv", "mix", "head"):
        torch.testing.assert_close(gradients[name], by_autograd(net, name, of))
        assert raw[name].shape == gradients[name].shape
    with torch.no_grad():
        torch.testing.assert_close(raw["conv"], net.conv(IMAGES))  # before the ReLU changes it in place
    shift = torch.zeros(6, 1, 1)
    shift[2] = 1e-3
    with torch.no_grad():
        moved = net.head(net.act(net.mix(net.act(net.conv(IMAGES) + shift))).mean((2, 3)))
        numbers = (of(moved) - of(net(IMAGES))) / 1e-3
    torch.testing.assert_close(pooled_gradient(gradients["conv"], layers["conv"])[:, 2], numbers, atol=2e-2, rtol=0.2)


def test_what_has_no_gradient_is_said(layers: dict[str, Layer]) -> None:
    class Cut(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.act(self.mix(self.act(self.conv(x)))).mean((2, 3)).detach())
            return out

    net = Cut().eval()
    with Differentiating(net, [layers["conv"]]) as kept, torch.enable_grad():
        outputs = net(IMAGES)
        with pytest.raises(UsageError, match="does not depend on layer conv"):
            kept.gradients(outputs[:, 0])
    with pytest.raises(UsageError, match="outputs 0 to 2, not 3"):
        scalar_of(3, torch.zeros(4, 3))
    with pytest.raises(PluginError, match=r"returned \(\) for outputs of shape \(4, 3\)"):
        scalar_of(lambda one: one.sum(), torch.zeros(4, 3))
