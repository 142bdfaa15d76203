"""Weights that timm itself reads though their names or shapes are others: through the filter of each architecture."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import cast

import timm
import torch
from timm.models import adapt_input_conv
from torch import nn

from mcd.errors import CheckpointError

__all__ = ["filtered"]

State = Mapping[str, torch.Tensor]

_FILTERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained", "_convert_mobilenet")
"""What timm calls the filter in the file of an architecture."""
_DECODER = ("mask_token", "decoder_")
"""What a masked autoencoder needs only while it is trained, as its released code names it."""


def filtered(name: str, network: nn.Module, state: dict[str, torch.Tensor], channels: int) -> tuple[State, str] | None:
    """Return the tensors as the network has them, and what was changed; None where timm has nothing to change.

    Parameters
    ----------
    name
        timm's name of the network.
    state
        The tensors as they are in the file.
    channels
        Of the network's input.

    Raises
    ------
    CheckpointError
        When the weights are those of a network with one input channel, and this one has three.
    """
    said: list[str] = []
    if "decoder_pred.weight" in state:
        state = {key: value for key, value in state.items() if not key.startswith(_DECODER)}
        said.append("the decoder of a masked autoencoder is left out")
    found = _through_filters(name, network, state)
    changed = _channels(network, found, channels)
    said += [changed] if changed else []
    own = network.state_dict()
    resized = [
        f"{key} from {_shape(state[key])} to {_shape(value)}"
        for key, value in found.items()
        if key in state and state[key].ndim == value.ndim and state[key].numel() != value.numel() and key in own
        if key not in changed
    ]
    if resized:
        more = f" and {len(resized) - 1} more" if len(resized) > 1 else ""
        said.append(f"interpolated by timm to the size of the input: {resized[0]}{more}")
    return found, "; ".join(said)


def _through_filters(name: str, network: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what the architecture's own filter makes of the tensors, in the way that fits best."""
    own, best = network.state_dict(), state
    for call in _filters(name, network):
        try:
            made = call(dict(state), network)
        except (KeyError, RuntimeError, ValueError, AttributeError, IndexError, TypeError, AssertionError):
            continue  # it is made for other files
        if isinstance(made, Mapping) and _fitting(made, own) > _fitting(best, own):
            best = dict(made)
    return best


def _fitting(state: State, own: State) -> int:
    return sum(key in own and own[key].shape == value.shape for key, value in state.items())


def _filters(name: str, network: nn.Module) -> list[Callable[[object, nn.Module], object]]:
    """Return the filters of the files that define a network's builder and its class."""
    found: list[Callable[[object, nn.Module], object]] = []
    for module in (timm.models.model_entrypoint(name.partition(".")[0]).__module__, type(network).__module__):
        for one in _FILTERS:
            call = getattr(sys.modules[module], one, None)
            if callable(call) and call not in found:
                found += _ways(call)
    return found


def _ways(call: Callable[..., object]) -> list[Callable[[object, nn.Module], object]]:
    """Return the ways in which timm calls a filter: some take no network, DeiT's gets its layer scale."""
    parameters = inspect.signature(call).parameters
    if len(parameters) == 1:
        return [lambda state, _network: call(state)]
    if "adapt_layer_scale" in parameters:
        return [call, lambda state, network: call(state, network, adapt_layer_scale=True)]
    return [call]


def _channels(network: nn.Module, found: dict[str, torch.Tensor], channels: int) -> str:
    """Fit the first convolutions to the channels of the input, as timm does; return what was done."""
    config = cast("Mapping[str, object]", getattr(network, "pretrained_cfg", {}))
    named = config.get("first_conv") or ()
    said = ""
    for layer in (named,) if isinstance(named, str) else cast("tuple[str, ...]", named):
        key = f"{layer}.weight"
        weight, own = found.get(key), network.state_dict().get(key)
        if weight is None or own is None or weight.ndim != 4 or weight.shape[1] == own.shape[1]:
            continue
        if channels == 3 and weight.shape[1] == 1:
            raise CheckpointError(
                f"the weights are of a network for one channel: {key} is {_shape(weight)}", "set in_chans=1"
            )
        if channels == 1:
            found[key] = adapt_input_conv(1, weight)
            said = f"{key} was summed over its colours, as timm does for in_chans=1"
    return said


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape))
