"""Which layers a target has, and how their outputs are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from mcd.api.units import Units
from mcd.errors import with_article
from mcd.networks.layouts import AXES, Layout, Scene, layout_of, neurons_of
from mcd.networks.outputs import Output, Seen, seen

__all__ = ["Layer", "Layout", "describe_layers", "inspect_layers", "read_as", "unit_axis", "watch_layers"]


@dataclass(frozen=True)
class Layer:
    """One layer of a target, as one forward pass shows it.

    Parameters
    ----------
    name
        Its dotted name in ``named_modules``. Where one of several calls, outputs or layouts is chosen, that follows:
        ``relu@2``, ``stage2:1``, ``mixer:NHWC``.
    type
        The class of the module.
    shape
        Shape of its output without the batch axis; empty when there is none to show.
    layout
        How the output is read; None when `reason` says why it cannot be.
    neurons
        Its channels, features or token dimensions; 0 when it cannot be read.
    reason
        Why it cannot be dissected, or an empty string.
    of
        The name of its module, where ``name`` says more.
    call
        Which of its calls in a forward pass is read, from 1; 0 where there is only one.
    output
        Which tensor of its output is read; None takes the one that stands for it.
    remark
        What is to be known of how it is read: that its output holds other tensors too.
    also
        Other names of the same module in the network.
    choices
        The ways to read it, where there are several.
    units
        What it is seen through; None where its own neurons are seen.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    layout: Layout | None = None
    neurons: int = 0
    reason: str = ""
    of: str = ""
    call: int = 0
    output: str | None = None
    remark: str = ""
    also: tuple[str, ...] = ()
    choices: tuple[Layer, ...] = ()
    units: Units | None = None

    @property
    def module_name(self) -> str:
        """The name of its module in ``named_modules``."""
        return self.of or self.name


def unit_axis(layer: Layer) -> int:
    """Return the axis of a layer's output ``(B, …)`` along which its units lie."""
    return -1 if layer.layout in ("NHWC", "tokens") else 1


def read_as(layer: Layer, layout: Layout) -> Layer | None:
    """Return a layer read with this order of its axes, whatever its own; None where it has not so many."""
    if len(layer.shape) != AXES[layout]:
        return None
    name, neurons = f"{layer.name}:{layout}", neurons_of(layout, layer.shape)
    return replace(layer, name=name, of=layer.module_name, layout=layout, neurons=neurons, reason="", choices=())


def inspect_layers(module: nn.Module, example: torch.Tensor) -> list[Layer]:
    """Run ``example`` ``(2, C, H, W)`` through the module once and describe every layer, in module order."""
    return describe_layers(module, watch_layers(module, example), example)


def watch_layers(module: nn.Module, example: torch.Tensor) -> dict[str, list[Output]]:
    """Run ``example`` ``(B, C, H, W)`` through the module once; return the outputs of every layer, in module order."""
    calls: dict[str, list[Output]] = {name: [] for name, _ in module.named_modules() if name}
    handles = []

    def recorder(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            calls[name].append(seen(output))

        return hook

    try:
        for name, child in module.named_modules():
            if name and not isinstance(child, torch.jit.ScriptModule):  # these take no hooks
                handles.append(child.register_forward_hook(recorder(name)))
        with torch.inference_mode():
            module(example.clone())  # a network may change its input in place
    finally:
        for handle in handles:
            handle.remove()
    return calls


def describe_layers(
    module: nn.Module,
    calls: Mapping[str, Sequence[Output]],
    example: torch.Tensor,
    alone: Mapping[str, Sequence[Output]] | None = None,
) -> list[Layer]:
    """Return what the outputs of a pass show of every layer; ``alone`` are those for the first image by itself."""
    modules, others = dict(module.named_modules()), _other_names(module)
    scene = _scene(modules, calls, example)
    return [
        replace(
            _describe(name, modules[name], outputs, scene, [] if alone is None else alone[name]),
            also=tuple(others.get(name, ())),
        )
        for name, outputs in calls.items()
    ]


def _scene(modules: Mapping[str, nn.Module], calls: Mapping[str, Sequence[Output]], example: torch.Tensor) -> Scene:
    size = (int(example.shape[-2]), int(example.shape[-1]))
    maps: set[tuple[int, int, int]] = set()
    for name, outputs in calls.items():
        shapes = {tensor.shape[1:] for output in outputs for tensor in output.tensors.values() if not tensor.problem}
        for one, two, three in (shape for shape in shapes if len(shape) == AXES["NCHW"]):
            layout, _ = layout_of(modules[name], (one, two, three), Scene(size))
            maps |= {(one, two, three)} if layout == "NCHW" else {(three, one, two)} if layout == "NHWC" else set()
    features: set[int] = set()
    for module in modules.values():
        if isinstance(module, nn.LayerNorm):
            features.add(module.normalized_shape[-1])
        elif isinstance(module, nn.Linear):
            features |= {module.in_features, module.out_features}
    return Scene(size, maps, features, len(example))


def _other_names(module: nn.Module) -> dict[str, list[str]]:
    """Return for each module that stands in several places its names besides the first, by the first."""
    first = {id(one): name for name, one in module.named_modules()}
    found: dict[str, list[str]] = {}

    def walk(one: nn.Module, name: str, above: frozenset[int]) -> None:
        if first[id(one)] != name:
            found.setdefault(first[id(one)], []).append(name)
        for child, inner in one._modules.items():
            if inner is not None and id(inner) not in above:  # a module may hold one that holds it
                walk(inner, f"{name}.{child}" if name else child, above | {id(inner)})

    if len(first) < sum(len(one._modules) for one in module.modules()) + 1:
        walk(module, "", frozenset({id(module)}))
    return found


def _describe(name: str, module: nn.Module, outputs: Sequence[Output], scene: Scene, alone: Sequence[Output]) -> Layer:
    kind = type(module).__name__
    if not outputs:
        script = isinstance(module, torch.jit.ScriptModule)
        return Layer(name, kind, reason="it is a TorchScript program" if script else "it did not run in a forward pass")
    choices: list[Layer] = []
    for number, output in enumerate(outputs, 1):
        one = alone[number - 1] if number <= len(alone) else None
        call = Layer(name, kind) if len(outputs) == 1 else Layer(f"{name}@{number}", kind, of=name, call=number)
        read = list(_readings(call, module, output, scene, one))
        choices += read if len(outputs) > 1 else read[1:]
        whole = read[0]
    if len(outputs) > 1:
        reason = f"it ran {len(outputs)} times in one forward pass"
        whole = Layer(name, kind, choices[0].shape, reason=reason)
    return replace(whole, choices=tuple(choices))


def _readings(layer: Layer, module: nn.Module, output: Output, scene: Scene, alone: Output | None) -> Iterator[Layer]:
    """Yield the ways to read one call: first without a choice, then by tensor and by layout."""

    def read(one: Layer, name: str) -> Layer:
        tensor = output.tensors[name]
        shape = tensor.shape[1:]
        reason = tensor.problem or _not_batch(tensor, scene.images, alone.tensors.get(name) if alone else None)
        if reason:
            return replace(one, shape=shape, reason=reason)
        layout, reason = layout_of(module, shape, scene)
        if layout is None:
            one = replace(one, shape=shape, reason=reason)
            return replace(one, choices=tuple(read for each in AXES if (read := read_as(one, each))))
        return replace(one, shape=shape, layout=layout, neurons=neurons_of(layout, shape))

    several = len(output.tensors) > 1
    if output.main is None:
        whole = replace(layer, reason=f"its output is {with_article(output.type)}, in which no tensor stands for it")
    else:
        whole = read(layer, output.main)
    if several and output.main is not None:
        shape = "×".join(map(str, whole.shape))
        what = f"{layer.name}:{output.main} ({shape}) is read, one of {len(output.tensors)} tensors in its output"
        whole = replace(whole, remark=what)
    yield replace(whole, choices=())
    yield from whole.choices
    for name in output.tensors if several else ():
        one = read(replace(layer, name=f"{layer.name}:{name}", of=layer.module_name, output=name), name)
        yield replace(one, choices=())
        yield from one.choices


def _not_batch(tensor: Seen, images: int, alone: Seen | None) -> str:
    """Return why axis 0 of an output is not the batch, or an empty string."""
    whole = tensor.shape
    if not whole or whole[0] != images:
        return f"axis 0 of its output {whole} is not the batch"
    if alone is not None and alone.shape != (1, *whole[1:]):
        return f"axis 0 of its output is not the batch: {whole} for {images} images, {alone.shape} for one"
    return ""
