"""The image tower: timm's EfficientNet with the padding that the released networks have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import timm
import torch
import torch.nn.functional as functional
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from mcd.errors import CheckpointError
from mcd.plugins import fit_state_dict, unfilled
from mcd_plugins.timm.keys import looks_ported, ported, renamed

__all__ = ["HEAD", "NETWORKS", "Network", "aliases", "empty_tower", "fill_tower", "network_of", "released_names"]

Network = Literal["b2", "b5"]
NETWORKS: tuple[Network, ...] = ("b2", "b5")
HEAD = "classifier.classification_head."
_PREFIX = "image_encoder."
_NOMINAL = {"b2": 260, "b5": 456}
"""Side of the square that each network's padding was computed for when it was built, whatever it is shown."""
_POOLED = {1408: "b2", 2048: "b5"}


class StaticallyPadded(nn.Conv2d):
    """A convolution whose padding was fixed when the network was built, possibly more on one side.

    TensorFlow's SAME padding depends on the size of the input. The released networks computed it once, for
    squares of 260 (B2) or 456 (B5), and were trained with that at 1520×912. Only where the stride is 2 does it
    make a difference: the grid shifts by one pixel.
    """

    def __init__(self, like: nn.Conv2d, size: int) -> None:
        kernel, stride = like.kernel_size[0], like.stride[0]
        super().__init__(
            like.in_channels, like.out_channels, kernel, stride, groups=like.groups, bias=like.bias is not None
        )
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        self.before, self.after = total // 2, total - total // 2
        if self.before == self.after:
            self.padding = (self.before, self.before)
        self.load_state_dict(like.state_dict())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution of the padded input."""
        if self.before != self.after:
            x = functional.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)

    def extra_repr(self) -> str:
        """Show the padding, so that it takes part in the network's fingerprint."""
        shown = super().extra_repr()  # type: ignore[no-untyped-call]  # torch does not type it
        return f"{shown}, static_padding=({self.before}, {self.after})"


def empty_tower(network: Network, classes: int = 0) -> nn.Module:
    """Return the network, to be given its weights: it has none yet.

    With no classes its output is the pooled vector, ``(B, 1408)`` for B2 and ``(B, 2048)`` for B5.
    """
    return unfilled(partial(_built, network, classes)).eval()


def _built(network: Network, classes: int) -> nn.Module:
    tower: nn.Module = timm.create_model(f"tf_efficientnet_{network}", num_classes=classes)
    size = _NOMINAL[network]
    for name, child in list(tower.named_modules()):  # in the order of the forward pass
        if isinstance(child, Conv2dSame):  # timm uses it exactly where the stride is 2
            tower.set_submodule(name, StaticallyPadded(child, size))
            size = -(-size // 2)
    return tower


def network_of(state: Mapping[str, torch.Tensor], path: Path) -> Network:
    """Return which network the tensors of a checkpoint are of.

    Raises
    ------
    CheckpointError
        When they are of neither.
    """
    head = state.get(f"{_PREFIX}_conv_head.weight")
    stem = state.get(f"{_PREFIX}_conv_stem.weight")
    if head is None or stem is None or head.ndim != 4 or len(head) not in _POOLED:
        some = ", ".join(sorted({name.split(".")[0] for name in state})[:5])
        raise CheckpointError(
            f"{path} is no checkpoint of Mammo-CLIP B2 or B5: its tensors are called {some} …",
            "for another network: --model-plugin timm:NAME --model-arg checkpoint=FILE",
        )
    return "b5" if _POOLED[len(head)] == "b5" else "b2"


def fill_tower(tower: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load the tensors under ``image_encoder.``, and those of a classifier's head, into a tower.

    Raises
    ------
    CheckpointError
        When they do not fit.
    """
    own = {name.removeprefix(_PREFIX): tensor for name, tensor in state.items() if name.startswith(_PREFIX)}
    own |= {f"_fc.{name.removeprefix(HEAD)}": tensor for name, tensor in state.items() if name.startswith(HEAD)}
    fit_state_dict(tower, own, path, rename=lambda names: timm_names(tower, names))


def timm_names(tower: nn.Module, names: Iterable[str]) -> Mapping[str, str]:
    """Return timm's name for each of the released networks'; timm's own stay."""
    names = list(names)
    return renamed(names, _stages(tower)) if looks_ported(names) else {name: name for name in names}


def released_names(tower: nn.Module) -> dict[str, str]:
    """Return the name that each tensor of a tower has in the released checkpoints."""
    return {name: f"{_PREFIX}{theirs}" for name, theirs in ported(tower.state_dict(), _stages(tower)).items()}


def aliases(tower: nn.Module) -> dict[str, str]:
    """Return the names that the published scripts use, each with timm's: ``image_encoder._blocks.38``."""
    places = [f"blocks.{stage}.{at}" for stage, count in enumerate(_stages(tower)) for at in range(count)]
    found = {f"_blocks.{number}": place for number, place in enumerate(places)}
    found |= {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    found |= {f"{_PREFIX}{name}": place for name, place in found.items()}
    return found | {HEAD.rstrip("."): "classifier"}


def _stages(tower: nn.Module) -> list[int]:
    return [len(list(stage.children())) for stage in tower.get_submodule("blocks").children()]
