"""Real architectures: every layer's neurons and pooled activations are those that one takes by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import open_clip
import pytest
import timm
import torch
import transformers as hf
from torch import nn

from mcd.networks.layers import inspect_layers
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
MAPS = r"$^"  # no layer gives rows × columns × channels


@dataclass(frozen=True)
class Case:
    """A network, the side of its input, and which layers give maps with the channels last."""

    make: Callable[[], nn.Module]
    side: int = 64
    channels_last: str = MAPS


def of_timm(name: str, **settings: object) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=7, **settings)


def of_hf(config: hf.PreTrainedConfig) -> Callable[[], nn.Module]:
    return lambda: hf.AutoModel.from_config(config)


def of_open_clip(name: str) -> Callable[[], nn.Module]:
    return lambda: open_clip.create_model(name, load_weights=False).visual


SWIN = (
    r"(layers|layers\.\d+(\.blocks(\.\d+(\.(?!attn).*)?)?|\.downsample.*)?"
    r"|norm|head\.global_pool|patch_embed(\.norm)?)"
)
CONVNEXT_INNER = r".*\.mlp(\..*)?|.*\.blocks\.\d+\.norm"
CASES = {
    "resnet18": Case(of_timm("resnet18")),
    "densenet121": Case(of_timm("densenet121")),
    "efficientnet_b0": Case(of_timm("efficientnet_b0")),
    "tf_efficientnet_b2": Case(of_timm("tf_efficientnet_b2")),
    "tf_efficientnet_b5": Case(of_timm("tf_efficientnet_b5")),
    "efficientnetv2_rw_t": Case(of_timm("efficientnetv2_rw_t")),
    "tf_efficientnet_lite0": Case(of_timm("tf_efficientnet_lite0")),
    "convnext_atto": Case(of_timm("convnext_atto", conv_mlp=False), 96, CONVNEXT_INNER),
    "mobilenetv3_small_100": Case(of_timm("mobilenetv3_small_100")),
    "regnety_002": Case(of_timm("regnety_002")),
    "vit_tiny": Case(of_timm("vit_tiny_patch16_224", img_size=64)),
    "deit_tiny": Case(of_timm("deit_tiny_distilled_patch16_224", img_size=64)),
    "swin_tiny": Case(of_timm("swin_tiny_patch4_window7_224", img_size=112), 112, SWIN),
    "dinov2_registers": Case(of_timm("vit_small_patch14_reg4_dinov2", img_size=56, depth=2), 56),
    "beit": Case(of_timm("beit_base_patch16_224", img_size=64, depth=2)),
    "eva02": Case(of_timm("eva02_tiny_patch14_224", img_size=56), 56),
    "siglip": Case(of_timm("vit_base_patch16_siglip_224", img_size=64, depth=2)),
    "open_clip RN50": Case(of_open_clip("RN50"), 224),
    "open_clip ViT-B-32": Case(of_open_clip("ViT-B-32"), 224),
    "hf resnet": Case(of_hf(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24], depths=[1, 1, 1]))),
    "hf vit": Case(of_hf(hf.ViTConfig(**SMALL, image_size=64, patch_size=16))),
    "hf swin": Case(
        of_hf(hf.SwinConfig(image_size=64, patch_size=4, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=4))
    ),
    "hf dinov2": Case(of_hf(hf.Dinov2WithRegistersConfig(**SMALL, image_size=56, patch_size=14)), 56),
}


def by_hand(output: object) -> torch.Tensor | None:
    if isinstance(output, tuple | list):
        output = output[0] if output else None
    elif isinstance(output, Mapping):
        output = output.get("last_hidden_state", next(iter(output.values())))
    return output if isinstance(output, torch.Tensor) else None


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_read_as_by_hand_or_refused_with_a_reason(name: str) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    network = case.make().eval()
    batch = torch.rand(2, 3, case.side, case.side)
    layers = inspect_layers(network, batch)
    readable = [layer for layer in layers if not layer.reason]
    assert len(readable) > 5
    caught: dict[str, list[torch.Tensor]] = {layer.name: [] for layer in readable}
    modules = dict(network.named_modules())

    def keep(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            tensor = by_hand(output)
            assert tensor is not None, name
            caught[name].append(tensor.clone())  # at once: activations that work in place change it right after

        return hook

    for one in caught:
        modules[one].register_forward_hook(keep(one))
    with torch.inference_mode(), Recorder(network, readable, Pooling("avg")) as recorder:
        network(batch)
        found = recorder.take()
    for layer in readable:
        (tensor,) = caught[layer.name]
        if tensor.ndim == 4:
            last = re.fullmatch(case.channels_last, layer.name) is not None
            expected = tensor.mean(dim=(1, 2) if last else (2, 3))
        elif tensor.ndim == 3:
            expected = tensor.mean(dim=2 if isinstance(modules[layer.name], nn.AdaptiveAvgPool1d) else 1)
        else:
            expected = tensor
        assert layer.neurons == expected.shape[1], f"{layer.name}: {layer.layout} {tuple(tensor.shape)}"
        torch.testing.assert_close(found[layer.name], expected, atol=1e-5, rtol=1e-5, msg=layer.name)
    assert all(layer.reason for layer in layers if layer not in readable)
