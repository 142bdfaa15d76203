"""Gradients at layers: of one number an image, made of the network's outputs, with respect to what a layer puts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import nn

from mcd.errors import PluginError, UsageError
from mcd.networks.foreign import calling
from mcd.networks.layers import Layer
from mcd.networks.taps import Taps
from mcd.networks.units import refuse_units

__all__ = ["Differentiating", "LayerUnit", "Scalar", "pooled_gradient", "scalar_of"]


@dataclass(frozen=True)
class LayerUnit:
    """A unit of a layer, pooled: what gradients at earlier layers can be taken of."""

    layer: Layer
    unit: int

    def of(self, activations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return it for each image, ``(B,)``, out of pooled activations of layers, ``(B, units)``.

        Raises
        ------
        UsageError
            When the layer has no such unit.
        """
        found, name = activations[self.layer.name], self.layer.name
        if not 0 <= self.unit < found.shape[1]:
            raise UsageError(f"layer {name} has units 0 to {found.shape[1] - 1}, not {self.unit}", "give one of these")
        return found[:, self.unit]


Scalar = int | Callable[[torch.Tensor], torch.Tensor]
"""The number of an output, or a function of the outputs ``(B, K)`` that returns ``(B,)``."""


def scalar_of(of: Scalar, outputs: torch.Tensor) -> torch.Tensor:
    """Return one number an image, ``(B,)``, of outputs ``(B, K)``.

    Raises
    ------
    UsageError
        When there is no such output.
    PluginError
        When the function fails or returns something else.
    """
    if isinstance(of, int):
        if not 0 <= of < outputs.shape[1]:
            raise UsageError(f"the network has outputs 0 to {outputs.shape[1] - 1}, not {of}", "give one of these")
        return outputs[:, of]
    name = f"the function {getattr(of, '__qualname__', type(of).__name__)}"
    with calling(f"{name} of the outputs failed", kind=PluginError):
        found: object = of(outputs)
    if not isinstance(found, torch.Tensor) or found.shape != outputs.shape[:1]:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise PluginError(
            f"{name} returned {shape} for outputs of shape {tuple(outputs.shape)}",
            f"return a tensor of shape ({len(outputs)},): one number an image",
        )
    return found


def pooled_gradient(gradient: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Return the gradient at a layer's output ``(B, …)`` summed over positions or tokens: ``(B, neurons)`` float32.

    It is the derivative with respect to a number that is added to a unit at every position.
    """
    axes = {"NCHW": (2, 3), "NHWC": (1, 2), "NCL": (2,), "tokens": (1,), "flat": ()}[layer.layout or "flat"]
    return gradient.float().sum(dim=axes) if axes else gradient.float()


class Differentiating:
    """Keeps the outputs of some layers of a module, so that gradients with respect to them can be taken.

    The network computes the same values. What comes before the first of the layers is not recorded by autograd, and
    parameters get no gradients.

    Parameters
    ----------
    module
        In eval mode: the outputs for an image do not depend on the others of its batch.
    layers
        Of it.

    Examples
    --------
    ::

        with Differentiating(module, layers) as kept, torch.enable_grad():
            outputs = module(batch)
            raw, gradients = kept.gradients(outputs[:, 0])  # each {layer name: (B, …)}
    """

    def __init__(self, module: nn.Module, layers: Sequence[Layer]) -> None:
        refuse_units(layers, "gradient at it")
        self._module, self._layers = module, list(layers)
        self._taps = Taps(module, layers, self._keep)
        self._kept: dict[str, torch.Tensor] = {}
        self._wanted: list[tuple[nn.Parameter, bool]] = []

    def __enter__(self) -> Differentiating:
        self._wanted = [(one, one.requires_grad) for one in self._module.parameters()]
        for one, _ in self._wanted:
            one.requires_grad_(False)
        self._taps.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._taps.__exit__(kind, error, traceback)
        for one, wanted in self._wanted:
            one.requires_grad_(wanted)

    def _keep(self, layer: Layer, tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point():
            raise UsageError(f"layer {layer.name} gives {tensor.dtype}, which has no gradient", "choose another layer")
        # A copy is kept and another one goes on: what comes next, or holds the same tensor, may change it in place.
        kept = tensor.clone() if tensor.requires_grad else tensor.detach().clone().requires_grad_()
        self._kept[layer.name] = kept
        return kept.clone()

    def gradients(self, scalar: torch.Tensor) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return what layers put out in the last forward pass, and the gradients with respect to it, both by layer.

        Parameters
        ----------
        scalar
            One number an image, ``(B,)``. Images do not depend on each other, so that the gradient of the sum is that
            of each image's own.

        Raises
        ------
        UsageError
            As `each`.
        """
        kept = self._outputs()
        (gradients,) = self._each(kept, [scalar])
        return {name: one.detach() for name, one in kept.items()}, gradients

    def each(self, scalars: Sequence[torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
        """Yield for each of several numbers an image the gradients by layer, after one forward pass; see `gradients`.

        Raises
        ------
        UsageError
            When a number does not depend on a layer, or on none by a way that autograd can follow.
        """
        return self._each(self._outputs(), scalars)

    def _outputs(self) -> dict[str, torch.Tensor]:
        self._taps.begin()
        kept, self._kept = self._kept, {}
        names = [layer.name for layer in self._layers]
        silent = [name for name in names if name not in kept]
        if silent:
            raise UsageError(f"layer {silent[0]} did not run: there is no gradient at it", "leave it out")
        return {name: kept[name] for name in names}

    def _each(
        self, kept: Mapping[str, torch.Tensor], scalars: Sequence[torch.Tensor]
    ) -> Iterator[dict[str, torch.Tensor]]:
        for number, scalar in enumerate(scalars, start=1):
            found: Sequence[torch.Tensor | None] = [None] * len(kept)
            if scalar.requires_grad:
                again = number < len(scalars)
                found = torch.autograd.grad(
                    scalar.sum(), list(kept.values()), allow_unused=True, retain_graph=again or None
                )
            gradients = {name: one for name, one in zip(kept, found, strict=True) if one is not None}
            apart = [name for name in kept if name not in gradients]
            if apart:
                raise UsageError(
                    f"what the gradient is of does not depend on layer {apart[0]}, or on nothing that autograd can "
                    "follow",
                    "leave the layer out; a network that calls detach() or no_grad() has no gradients before that",
                )
            yield gradients
