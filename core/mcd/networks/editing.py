"""Forward passes with the output of a layer edited: units at zero, at their means, or what a function makes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from mcd.errors import PluginError, UsageError
from mcd.networks.foreign import calling
from mcd.networks.layers import Layer, unit_axis
from mcd.networks.patterns import NO_ALIASES
from mcd.networks.selecting import select_layers
from mcd.networks.taps import Taps
from mcd.networks.units import refuse_units

__all__ = ["Change", "Edit", "LayerEdit", "edited", "edits_of"]

Change = Callable[[torch.Tensor], torch.Tensor]
"""Makes of a layer's output ``(B, …)`` another one of the same shape."""


@dataclass(frozen=True, eq=False)
class Edit:
    """An edit of what a layer puts out, seen by all of the network that comes after it.

    Parameters
    ----------
    layer
        A pattern that picks one layer or several, as in `mcd.dissect`: ``"layer4"``, ``"relu@2"``.
    units
        Which of its units (channels, features or token dimensions) are edited, from 0; None edits all.
    to
        What they become, at every position or token:

        - ``"zero"``: 0;
        - ``"mean"``: each unit's mean over images and positions (class and register tokens included), taken of the
          network without edits over the images of the pass. It is the mean of the raw output, not of pooled
          activations, which is another number for every pooling but ``avg``;
        - a tensor of one value for each unit of the layer;
        - a function that takes the whole output ``(B, …)``, a copy that it may change, and returns a tensor of the same
          shape on the same device, such as a dictionary that encodes, changes its latents and decodes. Where ``units``
          are given, the others stay as they were. It runs under the precision of the pass; floats of another type are
          cast to the layer's.

    Examples
    --------
    >>> Edit("layer4", units=(3, 17)).to
    'zero'
    """

    layer: str
    units: Sequence[int] | None = None
    to: Literal["zero", "mean"] | torch.Tensor | Change = "zero"


@dataclass(frozen=True, eq=False)
class LayerEdit:
    """An edit of one layer of a network, found and checked; see `edits_of`."""

    layer: Layer
    units: tuple[int, ...] | None
    to: Literal["zero", "mean"] | torch.Tensor | Change

    @property
    def by_means(self) -> bool:
        """Whether units are set to their means, which a pass takes."""
        return isinstance(self.to, str) and self.to == "mean"

    def change(self, means: Mapping[str, torch.Tensor]) -> Change:
        """Return what makes the edited output of the raw one; ``means`` of units ``(neurons,)``, by layer."""
        if isinstance(self.to, str):
            function: Change = torch.zeros_like if self.to == "zero" else partial(_filled, self, means[self.layer.name])
        elif isinstance(self.to, torch.Tensor):
            function = partial(_filled, self, self.to)
        else:
            function = partial(_called, self, self.to)
        return partial(_changed, self, function)


def edits_of(
    edits: Sequence[Edit], layers: Sequence[Layer], target: str, aliases: Mapping[str, str] = NO_ALIASES
) -> list[LayerEdit]:
    """Return the edits of each layer that they name, in the order given.

    Raises
    ------
    UsageError
        When a pattern picks no layer that can be read, or one seen through units, or a layer has no such unit.
    """
    found = []
    for edit in edits:
        if isinstance(edit.to, str) and edit.to not in ("zero", "mean"):
            raise UsageError(f"units cannot be set to '{edit.to}'", "give 'zero', 'mean', a tensor or a function")
        units = None if edit.units is None else tuple(int(one) for one in edit.units)
        refuse_units([one for one in layers if one.name == edit.layer], "edit of it")
        own = [one for one in layers if one.units is None]
        for layer in select_layers([edit.layer], own, target, aliases):
            wrong = [one for one in units or () if not 0 <= one < layer.neurons]
            if wrong:
                raise UsageError(
                    f"layer {layer.name} has units 0 to {layer.neurons - 1}, not {wrong[0]}",
                    "give numbers of that range",
                )
            if isinstance(edit.to, torch.Tensor) and tuple(edit.to.shape) != (layer.neurons,):
                raise UsageError(
                    f"{'×'.join(map(str, edit.to.shape)) or 'one'} values are no value for each of the "
                    f"{layer.neurons} units of layer {layer.name}",
                    f"give a tensor of shape ({layer.neurons},)",
                )
            found.append(LayerEdit(layer, units, edit.to))
    return found


@contextlib.contextmanager
def edited(
    module: nn.Module, edits: Sequence[LayerEdit], means: Mapping[str, torch.Tensor] | None = None
) -> Iterator[None]:
    """Edit the outputs of layers in every forward pass of a module while the context is open.

    Edits of one layer follow each other in the order given. Hooks that are set inside see the edited output.

    Parameters
    ----------
    means
        Of the units of the layers that are set to their means, by layer.

    Raises
    ------
    PluginError
        In a forward pass, when a function fails or returns no such tensor.
    """
    changes: dict[str, list[Change]] = {}
    for one in edits:
        changes.setdefault(one.layer.name, []).append(one.change(means or {}))

    def receive(layer: Layer, tensor: torch.Tensor) -> torch.Tensor:
        for change in changes[layer.name]:
            tensor = change(tensor)
        return tensor

    with Taps(module, list({one.layer.name: one.layer for one in edits}.values()), receive) as taps:
        begin = module.register_forward_pre_hook(lambda *_: taps.begin())
        try:
            yield
        finally:
            begin.remove()


def _changed(edit: LayerEdit, function: Change, output: torch.Tensor) -> torch.Tensor:
    """Return an edited output in memory of its own, laid out as the raw one: what comes next may view it as such."""
    made = function(output)
    if edit.units is not None:
        shape = [1] * output.ndim
        shape[unit_axis(edit.layer)] = edit.layer.neurons
        chosen = torch.zeros(edit.layer.neurons, dtype=torch.bool, device=output.device)
        chosen[list(edit.units)] = True
        made = torch.where(chosen.view(shape), made, output)
    if made.stride() != output.stride():
        made = torch.empty_like(output).copy_(made)
    return made


def _filled(edit: LayerEdit, values: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    if not output.is_floating_point():
        raise UsageError(
            f"layer {edit.layer.name} gives {output.dtype}: its units have no other values", "set them to zero"
        )
    shape = [1] * output.ndim
    shape[unit_axis(edit.layer)] = edit.layer.neurons
    own = values.to(output.device, output.dtype, copy=True)  # what comes next may change the output in place
    return own.view(shape).expand_as(output)


def _called(edit: LayerEdit, function: Change, output: torch.Tensor) -> torch.Tensor:
    name = f"the function {getattr(function, '__qualname__', type(function).__name__)}"
    with calling(f"{name} that edits layer {edit.layer.name} failed", kind=PluginError):
        made: object = function(output.clone())
    problem = _problem(made, output)
    if problem or not isinstance(made, torch.Tensor):
        raise PluginError(
            f"{name} that edits layer {edit.layer.name} returned {problem}",
            f"return a tensor of shape {tuple(output.shape)} and type {output.dtype} on {output.device}",
        )
    return made.to(output.dtype, copy=True)  # it may be a tensor that the function keeps


def _problem(made: object, output: torch.Tensor) -> str:
    """Return what is wrong with an edited output, or an empty text."""
    if not isinstance(made, torch.Tensor):
        return f"no tensor but {type(made).__name__}"
    if made.shape != output.shape:
        return f"a tensor of shape {tuple(made.shape)}"
    if made.is_floating_point() != output.is_floating_point() or made.is_complex():
        return f"a tensor of {made.dtype}"
    return f"a tensor on {made.device}" if made.device != output.device else ""
