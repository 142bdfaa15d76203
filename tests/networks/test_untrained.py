"""Networks that have not been trained: what is drawn anew, what cannot be, and what stays as it was."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import mcd
from mcd.errors import PluginError, UsageError
from mcd.networks.untrained import collecting, reinitialised, tracking
from mcd.study.objects import as_model, host_for
from mcd.study.preparer import Preparer


def trained(module: nn.Module) -> nn.Module:
    """Return a network each parameter of which has moved away from where training began."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module.eval()


class Scaled(nn.Module):
    """A block with a parameter that only the network around it draws."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.temperature = nn.Parameter(torch.ones(4)), nn.Parameter(torch.tensor(3.0))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch * self.gamma[:, None, None] / self.temperature


class Around(nn.Sequential):
    def init_weights(self) -> None:
        for part in self.modules():
            if isinstance(part, Scaled):
                nn.init.normal_(part.gamma, 1, 0.1)


def loaded(name: str) -> mcd.Target:
    target, _ = Preparer(host_for((), progress=False)).target(as_model(name))
    return target


def conv(**settings: object) -> nn.Conv2d:
    return nn.Conv2d(3, 4, 3, **settings)


class Frozen(nn.Module):
    """A normalisation whose statistics are nothing but buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.randn(4))


VIT = hf.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Sequential(conv(bias=False), nn.BatchNorm2d(4), nn.PReLU(4)),
    "from outside": lambda: Around(conv(), Scaled()),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "weight norm": lambda: nn.Sequential(weight_norm(conv())),
    "weight norm, new form": lambda: nn.Sequential(parametrizations.weight_norm(conv())),
    "spectral norm": lambda: nn.Sequential(spectral_norm(conv())),
    "spectral norm, new form": lambda: nn.Sequential(parametrizations.spectral_norm(conv())),
    "timm vit": lambda: timm.create_model("vit_tiny_patch16_224", num_classes=2, depth=1),
    "timm efficientnet": lambda: timm.create_model("tf_efficientnet_lite0", num_classes=2),
    "transformers vit": lambda: hf.ViTModel(VIT),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_every_pattern_is_drawn_anew_and_the_given_network_stays(name: str) -> None:
    module = trained(NETWORKS[name]())
    if isinstance(module, nn.Sequential):
        module(torch.rand(2, 3, 8, 8))  # a weight that a hook normalises follows its parameters now
    state = {name: one.clone() for name, one in module.state_dict().items()}
    made = reinitialised(mcd.Target("net", module), 1).module
    weights = {name: one for name, one in made.named_parameters() if one.numel() > 1}
    assert weights
    for name, one in weights.items():
        assert torch.isfinite(one).all()
        assert name not in state or not torch.equal(one, state[name]), name
    assert all(torch.equal(one, state[name]) for name, one in module.state_dict().items())
    again, other = (reinitialised(mcd.Target("net", module), seed).module for seed in (1, 2))
    assert all(torch.equal(one, made.state_dict()[name]) for name, one in again.state_dict().items())
    assert any(not torch.equal(one, made.state_dict()[name]) for name, one in other.state_dict().items())


def test_a_spectral_norm_goes_by_the_weight_that_was_drawn() -> None:
    for norm in (spectral_norm, parametrizations.spectral_norm):
        made = reinitialised(mcd.Target("net", trained(norm(nn.Linear(4, 400)))), 0).module
        assert float(torch.linalg.matrix_norm(made.weight.detach(), 2)) == pytest.approx(1, abs=0.1)


def test_a_temperature_is_kept_for_there_is_no_pattern_in_one_number() -> None:
    module = trained(Around(Scaled()))
    made = reinitialised(mcd.Target("net", module), 0).module
    assert torch.equal(made[0].temperature, module[0].temperature)


CANNOT: dict[str, Callable[[], nn.Module]] = {
    "'gamma' of 1 (Scaled)": lambda: nn.Sequential(conv(), Scaled()),
    "'running_mean' of 1 (Frozen)": lambda: nn.Sequential(conv(), Frozen()),
    "0.parametrizations.weight": lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(4, 4))),
    "'weight_orig' of 0 (Conv2d)": lambda: nn.Sequential(prune.random_unstructured(conv(), "weight", 0.5)),
    "(ConvNeXtBlock)": lambda: timm.create_model("convnext_atto", num_classes=2),
}


@pytest.mark.parametrize("named", CANNOT)
def test_what_cannot_be_drawn_anew_is_named(named: str) -> None:
    module = CANNOT[named]()
    with pytest.raises(UsageError) as caught:
        reinitialised(mcd.Target("net", trained(module)), 0)
    assert named in caught.value.message
    assert caught.value.hint == "leave out --untrained"


@pytest.mark.parametrize("name", ["timm:convnext_atto", "torchvision:vit_b_32"])
def test_what_only_a_constructor_draws_is_built_anew_by_its_loader(name: str) -> None:
    target = loaded(name)
    trained(target.module)
    state = {name: one.clone() for name, one in target.module.named_parameters()}
    made = reinitialised(target, 2**40 + 1).module
    again = reinitialised(target, 2**40 + 1).module
    for parameter, one in made.named_parameters():
        assert not torch.equal(one, state[parameter]), parameter
        assert torch.equal(one, again.get_parameter(parameter))
    assert not made.training


def test_a_loader_that_builds_another_network_is_said() -> None:
    module = trained(nn.Sequential(conv(), Scaled()))
    target = mcd.Target("net", module, untrained=lambda seed: nn.Sequential(conv()))
    with pytest.raises(UsageError, match=r"cannot build it untrained: parameter '1.gamma' is another"):
        reinitialised(target, 0)


def test_a_network_without_parameters_has_none_to_draw() -> None:
    with pytest.raises(UsageError, match="no parameters that could be drawn"):
        reinitialised(mcd.Target("net", nn.AdaptiveAvgPool2d(1)), 0)


def test_a_program_of_torch_export_cannot_be() -> None:
    program = torch.export.export(nn.Sequential(conv(), nn.ReLU()).eval(), (torch.rand(2, 3, 8, 8),))
    with pytest.raises(UsageError, match=r"the network itself \(UnflattenedModule\) is a program"):
        reinitialised(mcd.Target("net", torch.export.unflatten(program)), 0)


def test_code_of_the_network_that_fails_is_one_sentence() -> None:
    class Broken(nn.Linear):
        made = False

        def reset_parameters(self) -> None:
            if self.made:
                raise SystemExit("no")
            super().reset_parameters()

    module = nn.Sequential(Broken(2, 2))
    module[0].made = True
    with pytest.raises(PluginError, match=r"cannot be re-initialised: 0 \(Broken\), it called sys.exit"):
        reinitialised(mcd.Target("net", module), 0)


def test_random_states_are_left_as_they_were() -> None:
    module = trained(nn.Sequential(conv(), nn.BatchNorm2d(4)))
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    reinitialised(mcd.Target("net", module), 0)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_statistics_are_the_mean_over_batches() -> None:
    norms = nn.Sequential(
        nn.BatchNorm2d(3), nn.InstanceNorm2d(3, track_running_stats=True), nn.InstanceNorm2d(3), nn.Dropout(0.9)
    ).eval()
    batches = [3 * torch.randn(size, 3, 6, 6) + 2 for size in (4, 4, 2)]
    assert len(tracking(norms)) == 2
    with torch.no_grad(), collecting(tracking(norms)):
        assert not norms[3].training
        for batch in batches:
            norms[0](batch)
            norms[1](batch)
    assert not norms[0].training
    for norm, over in ((norms[0], (0, 2, 3)), (norms[1], (2, 3))):
        means = [batch.mean(dim=over) for batch in batches]
        spread = [batch.var(dim=over) for batch in batches]
        if norm is norms[1]:
            means, spread = [one.mean(dim=0) for one in means], [one.mean(dim=0) for one in spread]
        assert torch.allclose(norm.running_mean, torch.stack(means).mean(dim=0), atol=1e-5)
        assert torch.allclose(norm.running_var, torch.stack(spread).mean(dim=0), atol=1e-4)
