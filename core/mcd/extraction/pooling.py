"""How a layer's output becomes one number per neuron, caught by hooks that always go away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal

import torch
from torch import nn

from mcd.errors import DataError, UsageError
from mcd.extraction.layers import Layer, main_output

__all__ = ["POOLINGS", "Pooling", "Recorder", "pool", "pooler"]

Pooling = Literal["avg", "max", "cls", "tokens"]
POOLINGS: tuple[Pooling, ...] = ("avg", "max", "cls", "tokens")


def pool(output: torch.Tensor, layer: Layer, pooling: Pooling, prefix: int = 0) -> torch.Tensor:
    """Return ``(B, neurons)`` float32 from a layer's output ``(B, …)``.

    ``avg`` and ``max`` reduce every position of a map or every token; ``cls`` takes token 0 (as published
    for token outputs); ``tokens`` averages the tokens after the first ``prefix`` (class token, registers).
    A flat output is taken as it is.
    """
    output = output.float()
    if layer.layout == "flat":
        return output
    if pooling == "cls":
        return output[:, 0]
    if pooling == "tokens":
        return output[:, prefix:].mean(dim=1)
    axes = {"NCHW": (2, 3), "NHWC": (1, 2), "tokens": (1,)}[layer.layout or "flat"]
    return output.mean(dim=axes) if pooling == "avg" else output.amax(dim=axes)


def pooler(module: nn.Module, layer: Layer, pooling: Pooling) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the pooling of one layer as a function.

    Raises
    ------
    UsageError
        When the pooling does not go with the layer's layout.
    """
    if pooling in ("cls", "tokens") and layer.layout in ("NCHW", "NHWC"):
        raise UsageError(
            f"pooling '{pooling}' needs tokens, but layer {layer.name} gives a {layer.layout} map", "use avg or max"
        )
    prefix = 0
    if pooling == "tokens" and layer.layout == "tokens":
        found = getattr(module, "num_prefix_tokens", None)
        if not isinstance(found, int):
            raise UsageError(
                f"pooling 'tokens' averages the patch tokens of layer {layer.name}, but the target does not say "
                "how many class and register tokens come first (no attribute num_prefix_tokens)",
                "use avg (all tokens) or cls (the first)",
            )
        prefix = found
    return lambda output: pool(output, layer, pooling, prefix)


class Recorder:
    """Catches the pooled outputs of some layers of a module while the context is open.

    Examples
    --------
    ::

        with Recorder(module, layers, "avg") as recorder:
            module(batch)
            activations = recorder.take()  # {layer name: (B, neurons)}
    """

    def __init__(self, module: nn.Module, layers: Sequence[Layer], pooling: Pooling) -> None:
        self._modules = dict(module.named_modules())
        self._poolers = {layer.name: pooler(module, layer, pooling) for layer in layers}
        self._caught: dict[str, torch.Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Recorder:
        for name in self._poolers:
            self._handles.append(self._modules[name].register_forward_hook(self._hook(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            tensor = main_output(output)
            if tensor is None or name in self._caught:
                raise DataError(f"layer {name} did not behave as in the trial pass: it ran twice or gave no tensor")
            self._caught[name] = self._poolers[name](tensor)

        return hook

    def take(self) -> dict[str, torch.Tensor]:
        """Return what the last forward pass left, by layer in the order given, and forget it.

        Raises
        ------
        DataError
            When a layer did not run.
        """
        caught, self._caught = self._caught, {}
        silent = [name for name in self._poolers if name not in caught]
        if silent:
            raise DataError(f"layer {silent[0]} did not run for some images; it cannot be dissected")
        return {name: caught[name] for name in self._poolers}
