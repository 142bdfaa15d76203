"""Where a network's head is, the network with another one, and its blocks."""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from mcd.errors import UsageError
from mcd.plugins import unfilled

__all__ = ["Headed", "blocks_of", "features_in", "head_name", "new_head", "trainable", "with_head"]

_CONTAINERS = (nn.Sequential, nn.ModuleList)


class Headed(nn.Module):
    """A network that has no head of its own, followed by one."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the head makes of the trunk's output ``(B, features)``."""
        found: torch.Tensor = self.head(features_in(self.trunk(x)))
        return found


_POOLED = ("pooler_output", "image_embeds", "logits", "last_hidden_state")
"""Entries of records that stand for an image, in order of preference: what transformers calls them."""
_PLACES = {3: (1,), 4: (2, 3)}
"""Axes of positions: of tokens ``(B, T, D)``, of maps ``(B, C, H, W)``."""


def features_in(output: object) -> torch.Tensor:
    """Return the one vector an image, ``(B, D)``, that a network's output stands for; maps and tokens are averaged.

    Raises
    ------
    UsageError
        When it stands for nothing of the kind.
    """
    entries = output if isinstance(output, Mapping) else getattr(output, "__dict__", {})
    named = (entries.get(name) for name in _POOLED)
    found = output if isinstance(output, torch.Tensor) else next((one for one in named if one is not None), None)
    if isinstance(output, tuple | list) and output:
        found = output[0]
    if isinstance(found, torch.Tensor) and found.ndim in _PLACES:
        return found.mean(dim=_PLACES[found.ndim])
    if isinstance(found, torch.Tensor) and found.ndim == 2:
        return found
    shape = f" of shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else ""
    raise UsageError(
        f"the network returns {type(output).__name__}{shape}: no vector, map or tokens that a head could take",
        "take a network with a pooled output, such as timm:NAME with --model-arg num_classes=0",
    )


def head_name(network: nn.Module, example: torch.Tensor) -> str:
    """Return the name of the layer that gives a network's output: a linear one, or the identity; empty for none."""
    given: dict[str, torch.Tensor] = {}
    handles = [
        child.register_forward_hook(lambda _m, _i, output, name=name: given.__setitem__(name, output))
        for name, child in network.named_modules()
        if name and type(child) in (nn.Linear, nn.Identity)
    ]
    was = network.training
    network.train(False)
    try:
        with torch.no_grad():
            output = features_in(network(example.clone()))
    finally:
        network.train(was)
        for handle in handles:
            handle.remove()
    found = [name for name, one in given.items() if one is output]
    said = getattr(network, "pretrained_cfg", None)  # timm's networks say which it is
    named = said.get("classifier") if isinstance(said, Mapping) else None
    return named if named in found else found[-1] if found else ""


def with_head(network: nn.Module, example: torch.Tensor) -> tuple[nn.Module, str]:
    """Return a copy of a network whose head is the identity, which lets features through, and the head's name."""
    name = head_name(network, example)
    made = copy.deepcopy(network)
    if not name:
        return Headed(made), "head"
    made.set_submodule(name, nn.Identity())
    return made, name


def new_head(features: int, outputs: int, seed: int) -> nn.Linear:
    """Return a linear layer with torch's own first weights, drawn from a seed."""
    head = unfilled(lambda: nn.Linear(features, outputs))
    generator, bound = torch.Generator().manual_seed(seed), 1 / math.sqrt(features)
    with torch.no_grad():
        for one in head.parameters():
            one.copy_((2 * torch.rand(one.shape, generator=generator) - 1) * bound)
    return head


def blocks_of(network: nn.Module) -> list[str]:
    """Return the names of the blocks of a network, in order.

    A block is one of the parts of one class in a sequence or list, each made of layers: a residual block, a
    transformer's layer, a stage. Of a part that has blocks of its own, these.
    """
    return list(_blocks(network, "")) or _stages(network)


def _blocks(module: nn.Module, above: str) -> Iterator[str]:
    run = _run(module)
    for name, child in module.named_children():
        whole = f"{above}{name}"
        if child in run and not any(len(_run(one)) > 1 for one in child.modules()):
            yield whole
        else:
            yield from _blocks(child, f"{whole}.")


def _run(module: nn.Module) -> list[nn.Module]:
    """Return the parts of a container that are alike and made of layers; none of another module."""
    parts = [one for one in module.children() if _made_of_layers(one)] if isinstance(module, _CONTAINERS) else []
    return parts if len({type(one) for one in parts}) == 1 else []


def _made_of_layers(module: nn.Module) -> bool:
    alone = isinstance(module, (*_CONTAINERS, nn.modules.batchnorm._NormBase))  # some normalisations hold an activation
    return not alone and any(True for _ in module.children())


def _stages(network: nn.Module) -> list[str]:
    """Return the parts at the top of a network that are of the class that most of them have, two or more."""
    named = [(name, type(one)) for name, one in network.named_children() if any(True for _ in one.children())]
    kind, count = next(iter(Counter(kind for _, kind in named).most_common(1)), (None, 0))
    return [name for name, one in named if one is kind] if count > 1 else []


def trainable(network: nn.Module, head: str, blocks: int | None) -> tuple[list[nn.Parameter], list[nn.Module]]:
    """Let some weights of a network be trained, and no others.

    Parameters
    ----------
    blocks
        How many of the last blocks are, with all that comes after the first of them; None for all weights.

    Returns
    -------
    parameters, frozen
        What is trained; and the modules whose weights are not, which stay in eval mode: statistics of their
        normalisations are not touched.

    Raises
    ------
    UsageError
        When there are not so many blocks.
    """
    known = blocks_of(network) if blocks else []
    if blocks and blocks > len(known):
        raise UsageError(
            f"--train blocks:{blocks}: the network has {len(known)} blocks",
            f"the last are {', '.join(known[-3:])}" if known else "take --train probe or --train all",
        )
    names = [name for name, _ in network.named_modules()]  # those above a block come before it
    trained = {head, *(names[names.index(known[-blocks]) :] if blocks else names)}
    above = {one[:at] for one in trained for at in (0, *(place.start() for place in re.finditer(r"\.", one)))}
    parameters, frozen = [], []
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        for one in own:
            one.requires_grad_(name in trained)
        parameters += own if name in trained else []
        frozen += [] if name in trained | above else [module]
    return list(dict.fromkeys(parameters)), frozen
