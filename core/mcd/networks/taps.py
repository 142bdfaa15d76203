"""Hooks that hand over what layers put out, or put something in its place, and always go away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType

import torch
from torch import nn

from mcd.errors import DataError
from mcd.networks.foreign import calling
from mcd.networks.layers import Layer
from mcd.networks.outputs import main_output, tensor_at, with_tensor
from mcd.networks.units import through_units

__all__ = ["Taps"]


class Taps:
    """Hands over the output of some layers of a module, at once, while the context is open.

    Parameters
    ----------
    module
        The network.
    layers
        Of it; several may be calls or outputs of one module.
    receive
        Is given a layer and the tensor of its output ``(B, …)``, or what its units make of that. It must keep nothing
        that shares memory with it: what comes next in the network may change it in place. A tensor that it returns
        takes the place of the output in all that comes after: in the network, and in hooks that were set later. Of a
        layer that is seen through units it takes no place.

    Attributes
    ----------
    paused
        Whether forward passes go unnoticed.
    """

    def __init__(
        self, module: nn.Module, layers: Sequence[Layer], receive: Callable[[Layer, torch.Tensor], torch.Tensor | None]
    ) -> None:
        self.paused = False
        self._modules, self._receive = dict(module.named_modules()), receive
        self._layers: dict[str, list[Layer]] = {}
        for layer in layers:
            self._layers.setdefault(layer.module_name, []).append(layer)
        self._calls: Counter[str] = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> Taps:
        with ExitStack() as stack:  # hooks go too where one of them cannot be set
            for name in self._layers:
                stack.callback(self._modules[name].register_forward_hook(self._hook(name)).remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Count the calls of modules anew: the next forward pass begins."""
        self._calls.clear()

    def _hook(self, name: str) -> Callable[[nn.Module, object, object], object]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> object:
            if self.paused:
                return None
            self._calls[name] += 1
            given = output
            for layer in self._layers[name]:
                if layer.call in (0, self._calls[name]):
                    output = self._handed_over(layer, output)
            return None if output is given else output

        return hook

    def _handed_over(self, layer: Layer, output: object) -> object:
        """Return the output of a layer, with what was put in place of its tensor."""
        tensor = main_output(output) if layer.output is None else tensor_at(output, layer.output)
        again = layer.call == 0 and self._calls[layer.module_name] > 1
        if tensor is None or again:
            raise DataError(
                f"layer {layer.name} did not behave as in the trial pass: it "
                + ("ran twice" if again else "gave no such tensor"),
                "what a network does must not depend on the images",
            )
        if layer.units is not None:
            self._receive(layer, through_units(layer, tensor))
            return output
        made = self._receive(layer, tensor)
        if made is None or made is tensor:
            return output
        with calling(
            f"the {type(output).__name__} that layer {layer.name} gives cannot be made anew with another tensor"
        ):
            return with_tensor(output, tensor, made)
