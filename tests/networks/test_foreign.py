"""What is no network that can be dissected: one sentence that says what it is and what to do, never a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.command_line import Outcome
from torch import nn

import mcd
from mcd.errors import DataError, MCDError, PluginError, UsageError
from mcd.networks.checkpoints import load_weights
from mcd.networks.running import at_work
from mcd.networks.trial import trial_pass
from mcd.study.objects import as_model, as_patterns

RECIPE = mcd.Preprocessing(height=32, width=32, channels=3)
PREPROCESSING = "give its preprocessing"


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


class Failing(nn.Module):
    """Raises in a part of its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.stem, self.block, self.error = nn.Conv2d(3, 6, 5), Raising(error), error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.block(self.stem(x))
        return out


class Raising(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, _x: torch.Tensor) -> torch.Tensor:
        raise self.error


class TextFirst(nn.Module):
    """As CLIPModel: images come second."""

    def __init__(self) -> None:
        super().__init__()
        self.vision_model = ByPixels()

    def forward(self, input_ids: object = None, pixel_values: object = None) -> None:
        del input_ids, pixel_values


class ByPixels(nn.Module):
    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return pixel_values


class TwoInputs(nn.Module):
    def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return image + text


class Untrainable(nn.Module):
    def train(self, mode: bool = True) -> Untrainable:
        raise NotImplementedError("calling eval() is not supported")


def meta() -> nn.Module:
    with torch.device("meta"):
        return net()


def buffer_on_meta() -> nn.Module:
    made = net()
    made.register_buffer("grid", torch.empty(3, device="meta"))
    return made


def compiled() -> nn.Module:
    made = net()
    made[0].compile()
    return made


def exported() -> torch.export.ExportedProgram:
    return torch.export.export(net(), (torch.rand(2, 3, 32, 32),))


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda: nn.Sequential(nn.LazyConv2d(6, 5)), r"lazy parts.*0\.weight", "run it once"),
        (lambda: nn.Sequential(nn.Conv2d(3, 6, 5), nn.LazyBatchNorm2d()), "lazy parts", "run it once"),
        (meta, "without values", "to_empty"),
        (buffer_on_meta, r"without values.*grid", "to_empty"),
        (lambda: torch.jit.script(net()), "TorchScript", "Python module"),
        (lambda: torch.jit.freeze(torch.jit.script(net())), "TorchScript", "Python module"),
        (lambda: torch.jit.trace(net(), torch.rand(2, 3, 32, 32)), "TorchScript", "Python module"),
        (lambda: exported().module(), r"torch\.export", "unflatten"),
        (lambda: torch.export.unflatten(exported()), "not one alone", "dynamic batch"),
        (compiled, r"torch\.compile", "_orig_mod"),
        (TextFirst, "'pixel_values', after 'input_ids'", r"\.vision_model"),
        (TwoInputs, "image, text, not images alone", "wrap it"),
        (Untrainable, "cannot be put in eval mode", "must be those of nn.Module"),
        (lambda: nn.Sequential(nn.Module()), "forward", "must take a batch"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_a_network_that_cannot_be_run_is_refused_in_one_sentence(
    make: Callable[[], nn.Module], message: str, hint: str
) -> None:
    with pytest.raises(MCDError, match=message) as caught:
        trial_pass(mcd.Target("net", make(), RECIPE))
    assert "\n" not in caught.value.message
    assert PREPROCESSING not in caught.value.hint
    assert re.search(hint, caught.value.hint)


@pytest.mark.parametrize(
    "error",
    [
        IndexError("list index out of range"),
        AttributeError("'NoneType' object has no attribute 'shape'"),
        KeyError("x"),
        ZeroDivisionError(),
        AssertionError(),
        StopIteration(),
        SystemExit(3),
        NotImplementedError(),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    ],
)
def test_whatever_forward_raises_is_one_sentence_that_names_the_part(error: BaseException) -> None:
    network = Failing(error)
    with pytest.raises(PluginError, match=r"net cannot take an input of 3×32×32.*block \(Raising\)") as caught:
        trial_pass(mcd.Target("net", network, RECIPE))
    assert PREPROCESSING not in caught.value.hint
    assert caught.value.__cause__ is not None
    assert not any(part._forward_hooks for part in network.modules())


class Casting(nn.Module):
    """Casts its input, as wrappers of networks in half precision do."""

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.net, self.kind = net().to(kind), kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.net(x.to(self.kind))
        return found


@pytest.mark.parametrize(
    ("network", "recipe", "hint"),
    [
        (net(), mcd.Preprocessing(height=32, width=32, channels=1), PREPROCESSING),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), RECIPE, PREPROCESSING),
        (Casting(torch.float64), RECIPE, "take .half(), .double() and .to(dtype) out of its forward()"),
        (Casting(torch.float16), RECIPE, "take .half(), .double() and .to(dtype) out of its forward()"),
    ],
)
def test_preprocessing_is_asked_for_only_where_the_input_does_not_fit(
    network: nn.Module, recipe: mcd.Preprocessing, hint: str
) -> None:
    with pytest.raises(DataError) as caught:
        trial_pass(mcd.Target("net", network, recipe))
    assert hint in caught.value.hint


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda one: torch.jit.trace(one, torch.rand(1, 3, 32, 32))])
def test_a_script_can_be_put_to_work_where_no_layer_is_hooked(make: Callable[[nn.Module], nn.Module]) -> None:
    """As the module of a dissector."""
    script, batch = make(net()), torch.rand(2, 3, 32, 32)
    with at_work(script, torch.device("cpu")), torch.inference_mode():
        assert script(batch).shape == (2, 4)
    with pytest.raises(UsageError, match="without values"), at_work(meta(), torch.device("cpu")):
        pass


def test_an_interrupt_stays_an_interrupt() -> None:
    network = Failing(KeyboardInterrupt()).train()
    with pytest.raises(KeyboardInterrupt):
        trial_pass(mcd.Target("net", network, RECIPE))
    assert all(part.training and not part._forward_hooks for part in network.modules())


@pytest.mark.parametrize(
    ("model", "message", "hint"),
    [
        (lambda x: x, "the function <lambda>", "nn.Module that it returns"),
        (Raising, "the class Raising", "Raising(…)"),
        (net().state_dict(), "a state dict", "load_state_dict"),
        (exported(), "a program of torch.export", "unflatten"),
        (None, "a NoneType", "timm:resnet50"),
        ([net()], "a list", "timm:resnet50"),
        (Path("net.pth"), "a PosixPath", "timm:resnet50"),
    ],
)
def test_what_is_no_network_is_called_what_it_is(model: object, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match="not a network") as caught:
        as_model(model)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_modules_of_the_network_can_be_given_as_layers() -> None:
    network = net()
    target = mcd.Target("net", network, RECIPE)
    assert as_patterns(network[0], target) == ("0",)
    assert as_patterns([network[4], "1"], target) == ("4", "1")
    assert as_patterns(iter(network.children()), target) == ("0", "1", "2", "3", "4")
    for wrong, said in ((nn.ReLU(), "no module of net"), (network, "the network itself"), (3, "no layer")):
        with pytest.raises(UsageError, match=said):
            as_patterns([wrong], target)


def test_the_command_line_says_it_in_one_sentence_too(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "def lazy(): return nn.Sequential(nn.LazyConv2d(6, 5))\n"
        "def frozen(): return torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Conv2d(3, 6, 5)).eval()))\n"
        "class Bad(nn.Module):\n    def forward(self, x): return [][1]\n"
        "def function(): return lambda x: x\n"
    )
    sizes = [f"--model-arg={one}" for one in ("height=32", "width=32", "channels=3")]
    for name, said in (
        ("lazy", "lazy parts"),
        ("frozen", "TorchScript"),
        ("Bad", "IndexError"),
        ("function", "not an nn.Module"),
    ):
        outcome = mcd_command("layers", "--model-plugin", f"module:{file}:{name}", *sizes)
        assert outcome.code == (3 if name == "Bad" else 2)
        assert said in outcome.err
        assert "Traceback" not in outcome.err
        assert outcome.err.count("error:") == 1


class WithExtraState(nn.Module):
    """Keeps more than tensors, as quantisers and normalisers do."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale = nn.Conv2d(3, 6, 5), 1.0

    def get_extra_state(self) -> dict[str, float]:
        return {"scale": self.scale}

    def set_extra_state(self, state: dict[str, float]) -> None:
        self.scale = state["scale"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.body(x)


def test_a_module_with_extra_state_is_run_and_its_weights_are_loaded_with_a_remark(tmp_path: Path) -> None:
    saved, network = nn.Sequential(WithExtraState()), nn.Sequential(WithExtraState())
    torch.save(saved.state_dict(), tmp_path / "net.pth")
    remark = load_weights(network, tmp_path / "net.pth")
    assert remark == "the extra state of 0 (get_extra_state) is as it was built, not loaded"
    assert torch.equal(network[0].body.weight, saved[0].body.weight)
    assert all(layer.layout for layer in trial_pass(mcd.Target("net", network, RECIPE)).layers)
