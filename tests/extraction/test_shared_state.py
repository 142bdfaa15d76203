"""What a layer put out is what is recorded, whatever networks do to their inputs and outputs afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from tests.extraction.drawn_networks import RECIPE, Words, dissect, images, in_place_head
from torch import nn

import mcd
from mcd.errors import PluginError, UsageError
from mcd.extraction.decoding import batches
from mcd.extraction.reading import Reader
from mcd.networks.layers import Layer, Layout, inspect_layers
from mcd.networks.pooling import Pooling
from mcd.networks.process import random_states
from mcd.networks.recording import Recorder, pool
from mcd.networks.selecting import select_layers
from mcd.networks.trial import trial_pass


def test_a_linear_before_an_in_place_relu_is_recorded_as_it_was() -> None:
    network = in_place_head()
    with torch.inference_mode():
        true = network[:5](images())
    assert float(true.min()) < 0
    found = dissect(network, ["4"]).activations("4")
    torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", [lambda t: t.zero_(), lambda t: t.mul_(-3), lambda t: functional.relu_(t)])
@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ("flat", (2, 5)),
        ("tokens", (2, 7, 5)),
        ("NCHW", (2, 5, 4, 3)),
        ("NHWC", (2, 4, 3, 5)),
        ("NCHW", (2, 5, 1, 1)),
        ("tokens", (2, 1, 5)),
    ],
)
def test_no_pooling_keeps_the_memory_of_the_layer(
    layout: Layout, shape: tuple[int, ...], change: Callable[[torch.Tensor], object]
) -> None:
    tokens = ["cls", "tokens"] if layout in ("tokens", "flat") else []
    for pooling in ["avg", "max", "gem", "top-fraction:1", *tokens]:
        output = torch.randn(*shape)
        layer = Layer("x", "X", shape[1:], layout, 5)
        kept = pool(output, layer, Pooling.parse(pooling), 0)
        before = kept.clone()
        change(output)
        torch.testing.assert_close(kept, before, rtol=0, atol=0)


class Greedy(nn.Module):
    """Normalises its input in place, as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 5, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.sub_(0.5).div_(0.25)
        return self.body(x)


def test_a_target_that_changes_its_input_changes_nobody_elses(tmp_path) -> None:
    torch.manual_seed(1)
    greedy, plain = Greedy().eval(), in_place_head()
    alone = dissect(plain, ["0"]).activations("0")
    from mcd.host import PluginHost
    from mcd.runs.plan import plan_of
    from mcd.runs.prepared import Prepared, PreparedDissector, PreparedTarget
    from mcd.runs.run import run
    from mcd.study.equipment import equip
    from mcd.study.preparer import Preparer
    from mcd.study.study import Study

    study = Study.model_validate(
        {
            "models": [{"plugin": "object", "name": name} for name in ("a", "b", "c")],
            "dissectors": "object",
            "dataset": {"plugin": "phantom", "options": {"patients": 5}},
            "concepts": "phantom",
            "device": "cpu",
            "scorer": "cosine",
            "calibration": {"draws": 0},
            "batch_size": 8,
            "workers": 0,
        }
    )
    preparer = Preparer(PluginHost.discover([], {"MCD_DISABLE_PLUGINS": "progress"}))
    targets = [mcd.Target("a", greedy, RECIPE), mcd.Target("b", plain, RECIPE), mcd.Target("c", greedy, RECIPE)]
    prepared = Prepared(
        preparer.host,
        study,
        plan_of(study, tmp_path, ["a", "b", "c"], ["words"]),
        [PreparedTarget(one, ["0" if one.name == "b" else "body"], Pooling("avg")) for one in targets],
        [PreparedDissector(Words(), equip(preparer, [Words], study.scorer, preparer.concepts(study.concepts))[0])],
        preparer.dataset(study.dataset)[0],
    )
    first, second, third = run(prepared)
    torch.testing.assert_close(second.activations("0"), alone, rtol=1e-5, atol=1e-6)
    assert torch.equal(first.activations("body"), third.activations("body"))
    seen = functional.adaptive_avg_pool2d(images(), 4).flatten(1)
    torch.testing.assert_close(first.image_embeddings(), seen, rtol=1e-5, atol=1e-6)


class Blackening(mcd.Preprocessing):
    """A recipe that works in place."""

    def picture(self, image: mcd.Image) -> mcd.Image:
        image.pixels[: len(image.pixels) // 2] = 0
        return image

    def prepare(self, image: mcd.Image) -> torch.Tensor:
        image.pixels[...] = 0
        return super().prepare(image)


class Kept(mcd.Dataset):
    """Hands out the same array each time."""

    def __init__(self) -> None:
        super().__init__()
        self.image = mcd.Image(np.arange(12 * 12, dtype=np.uint8).reshape(12, 12), 255.0)

    def __len__(self) -> int:
        return 1

    def scan(self) -> Iterator[mcd.Sample]:
        yield mcd.Sample("a", "")

    def read(self, sample: mcd.Sample) -> mcd.Image:
        return self.image


def test_a_recipe_that_works_in_place_changes_nobody_elses_image() -> None:
    plain, recipe, data = mcd.Preprocessing(), Blackening(), Kept()
    before = data.image.pixels.copy()
    for reader in (Reader(data), Reader(data, recipe)):
        recipes = {one.fingerprint(): one for one in (recipe, plain)}
        (batch,) = batches(reader, list(data.scan()), recipes, [[0]], workers=0, pin=False)
        assert not batch.input(recipe, torch.device("cpu")).any()
        half = before.copy()
        half[: 6 if reader.recipe else 0] = 0
        torch.testing.assert_close(batch.input(plain, torch.device("cpu"))[0, 0], torch.from_numpy(half) / 255)
        assert (data.image.pixels == before).all()


class LeNet(nn.Module):
    """Views its map, which channels-last does not allow."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.head = nn.Linear(16 * 5 * 5, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.first(x)), 2)
        x = functional.max_pool2d(functional.relu(self.second(x)), 2)
        return self.head(x.view(-1, 16 * 5 * 5))


def test_a_network_that_views_its_maps_is_dissected_and_comes_back_as_it_was() -> None:
    torch.manual_seed(0)
    network = LeNet().train()
    network.first.eval()
    before = {name: (one.data_ptr(), one.stride(), one.clone()) for name, one in network.state_dict().items()}
    state = torch.get_rng_state()
    with torch.inference_mode():
        true = network(images())
    found = dissect(network, ["head"]).activations("head")
    torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    assert (network.training, network.first.training, network.second.training) == (True, False, True)
    assert not network.head._forward_hooks
    for name, one in network.state_dict().items():
        pointer, stride, value = before[name]
        assert (one.data_ptr(), one.stride()) == (pointer, stride)
        assert torch.equal(one, value)
    network(images())  # and its owner can still call it


class Patches(nn.Module):
    """Cuts maps into patches by their strides, as if they were contiguous."""

    def __init__(self, cut: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.cut = nn.Conv2d(3, 4, 1), nn.Linear(8, 3), cut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.cut(self.body(x)))
        return out


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: x.as_strided((len(x), 8), (x[0].numel(), 1)),
        lambda x: torch.as_strided(x, (len(x), 8), (x[0].numel(), 32)),
    ],
)
def test_a_network_that_reads_maps_as_they_lie_in_memory_gets_contiguous_ones(
    cut: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    network = Patches(cut).eval()
    with torch.inference_mode():
        true = network(images(8))
    found = dissect(network, ["head"]).activations("head")[:8]
    torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-5)


class Caching(nn.Module):
    """Keeps tensors of its first pass and a buffer, registers a hook, and fails in a later pass."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__()
        self.body, self.norm, self.error, self.passes = nn.Conv2d(3, 6, 5), nn.BatchNorm2d(6), error, 0
        self.mask: torch.Tensor | None = None
        self.sizes: dict[int, torch.Tensor] = {}
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        self.seen.append(x)
        if self.mask is None:
            self.mask = torch.ones(1)
        self.mask = self.mask * self.sizes.setdefault(x.shape[-1], torch.ones(1))
        if self.error is not None and self.passes > 3:
            raise self.error
        if not hasattr(self, "grid"):
            self.grid = torch.ones(1)
            self.register_buffer("kept", torch.ones(1), persistent=False)
            self.norm.register_forward_hook(lambda *_: None)
        return self.norm(self.body(x)) * self.grid * self.mask


@pytest.mark.parametrize("error", [None, IndexError("late"), KeyboardInterrupt(), SystemExit(1)])
def test_a_network_comes_back_as_it_was_given_however_the_run_ends(error: BaseException | None) -> None:
    network = Caching(error)
    network.body.weight.data = network.body.weight.data.permute(0, 1, 3, 2)  # strides of its owner's choice
    network(images(4)[:, :, :8, :8]).sum().backward()
    network = network.train()
    network.norm.eval()
    network.body.bias.requires_grad_(False)
    del network.grid, network.kept
    network.norm._forward_hooks.clear()
    network.passes, network.mask = 0, None
    network.sizes.clear()
    network.seen.clear()

    def state() -> list[object]:
        held = [(name, one.data_ptr(), one.stride(), one.dtype) for name, one in network.state_dict().items()]
        grads = [(one.grad.data_ptr(), one.grad.stride(), one.requires_grad) for one in network.parameters()]
        modes = [(part.training, len(part._forward_hooks), sorted(part._buffers)) for part in network.modules()]
        kept = [hasattr(network, "grid"), network.mask, dict(network.sizes), list(network.seen)]
        return [held, grads, modes, kept, random_states(), torch.get_default_dtype()]

    before = state()
    torch.set_default_dtype(torch.float64)
    try:
        if error is None:
            found = dissect(network, ["body"]).activations("body")
            assert found.dtype == torch.float32
        else:
            kind = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else PluginError
            with pytest.raises(kind) as caught:
                dissect(network, ["body"])
            assert isinstance(error, KeyboardInterrupt) or "net failed on the 8 images from" in str(caught.value)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert state() == before


def test_what_a_caller_has_set_in_torch_decides_nothing() -> None:
    network = in_place_head()
    plain = dissect(network, ["4"]).activations("4")
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu"), torch.device("meta"):
            found = dissect(network, ["4"])
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(found.activations("4"), plain)


class Changing(nn.Module):
    """Changes what its parts put out, right after they did, through views of it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.map, self.pair, self.rows = nn.Conv2d(3, 6, 5), Halves(), nn.Linear(6, 6)
        self.act, self.head = nn.Hardswish(inplace=True), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.map(x)
        first, second = self.pair(x)
        first.mul_(-2)
        second[:, 0].zero_()
        x.chunk(2, dim=1)[0].add_(1)
        tokens = self.rows(x.flatten(2).transpose(1, 2))
        self.act(tokens[:, 1:])
        tokens.transpose(1, 2).unbind(1)[0].fill_(3)
        out = self.head(tokens.mean(1))
        out.view(-1).clamp_(min=0)
        return out


class Halves(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.chunk(x, 2, dim=1)


@pytest.mark.parametrize("pooling", ["avg", "max", "gem", "top-fraction:0.5"])
def test_what_a_layer_put_out_is_recorded_though_views_of_it_change(pooling: str) -> None:
    network, batch = Changing().eval(), images(4)
    names = ["map", "pair:0", "pair:1", "rows", "head"]
    layers = select_layers(names, inspect_layers(network, batch), "net")
    true: dict[str, torch.Tensor] = {}

    def keep(name: str, part: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            each = {f"{name}:{number}": one for number, one in enumerate(output)} if isinstance(output, tuple) else {}
            true.update({key: one.clone() for key, one in (each or {name: output}).items()})

        part.register_forward_hook(hook)

    for name in ("map", "pair", "rows", "head"):
        keep(name, network.get_submodule(name))
    with torch.inference_mode(), Recorder(network, layers, Pooling.parse(pooling)) as recorder:
        network(batch.clone())
        found = recorder.take()
    for layer in layers:
        expected = pool(true[layer.name], layer, Pooling.parse(pooling))
        torch.testing.assert_close(found[layer.name], expected, rtol=0, atol=0)


class Viewing(Words):
    """A dissector of convolutions whose maps are viewed, which channels-last does not allow."""

    def __init__(self, dropping: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.module, self.dropping = nn.Conv2d(3, 6, 5, stride=4), dropping

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        maps = self.module(batch)
        flat = maps.view(len(batch), -1)[:, :48]
        return functional.dropout(flat, 0.5) if self.dropping else flat


def dissect_by(dissector: mcd.Dissector) -> mcd.Dissection:
    return mcd.dissect(
        mcd.Target("net", in_place_head(), RECIPE),
        layers=["0"],
        dataset={"plugin": "phantom", "options": {"patients": 5}},
        dissector=dissector,
        concepts=["mass", "calcification"],
        scorer="cosine",
        device="cpu",
        calibration={"draws": 0},
        progress=False,
        workers=0,
    )


def test_a_dissector_that_views_its_maps_is_run_on_contiguous_ones() -> None:
    dissector = Viewing()
    with torch.inference_mode():
        true = dissector.encode_images(images())
    found = dissect_by(dissector).image_embeddings()
    torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-5)
    assert dissector.module.weight.is_contiguous()


def test_a_dissector_that_depends_on_chance_is_refused() -> None:
    with pytest.raises(UsageError, match="dissector words gives one image different embeddings in two passes"):
        dissect_by(Viewing(dropping=True))


def test_well_behaved_networks_pass_the_trial() -> None:
    for network in (in_place_head(), LeNet(), nn.Sequential(nn.Conv2d(3, 6, 5), nn.BatchNorm2d(6), nn.Dropout(0.5))):
        assert all(not layer.reason for layer in trial_pass(mcd.Target("net", network, RECIPE)).layers)
