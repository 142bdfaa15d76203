"""Layers seen through units: their outputs turned into those of units, before they are pooled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from mcd.api.units import Units
from mcd.errors import DataError, PluginError, UsageError, amount, printable
from mcd.networks.foreign import calling
from mcd.networks.layers import Layer, unit_axis
from mcd.networks.patterns import NO_ALIASES

__all__ = ["check_units", "have_random", "refuse_units", "seen_through", "through_units", "with_random_units"]

NAME = re.compile(r"[^\s/@:=]+")
"""What units may be called: what else a name of a layer holds says how it is read."""


def check_units(units: Units) -> None:
    """Make sure that units can be what a layer is seen through, as far as can be seen without a layer.

    Raises
    ------
    UsageError
        When their name cannot follow that of a layer.
    PluginError
        When they break their contract.
    """
    named = isinstance(units.name, str) and NAME.fullmatch(units.name)
    if not named or units.name != printable(units.name):
        raise UsageError(
            f"units cannot be called '{units.name}': a name is printable, has no spaces and none of / @ : =",
            "give them another: --units NAME=KIND:FILE",
        )
    numbers = units.channels, units.units
    if not (isinstance(units.module, nn.Module) and all(isinstance(one, int) and one > 0 for one in numbers)):
        raise PluginError(
            f"units '{units.name}' are no torch module that makes units of channels", "see: mcd plugins check"
        )
    kinds = (units.layer, str), (units.names, tuple | list), (units.fitted, frozenset), (units.facts, Mapping)
    sound = all(isinstance(*one) for one in kinds)
    said = (*units.names, *units.fitted, *units.facts, *units.facts.values()) if sound else ()
    if not sound or not all(isinstance(one, str) for one in said) or "" in units.fitted:
        raise PluginError(
            f"layer, names, facts or digests of images of units '{units.name}' are no texts",
            "layer is a text, names are a tuple, fitted is a frozenset of the digests of samples, facts are a mapping",
        )
    if units.names and len(units.names) != units.units:
        raise PluginError(
            f"units '{units.name}' have {amount(len(units.names), 'name')} for {amount(units.units, 'unit')}",
            "give each a name, or none",
        )


def seen_through(
    layers: Sequence[Layer], sources: Sequence[Units], *, neurons: bool, aliases: Mapping[str, str] = NO_ALIASES
) -> list[Layer]:
    """Return layers as they are seen through units, each after its own neurons where these are kept.

    Units that were made for a layer go with that layer, others with every one.

    Parameters
    ----------
    layers
        Those that were chosen; their outputs can be read.
    sources
        The units; none leaves the layers as they are.
    neurons
        Whether the layers themselves are kept too.
    aliases
        Of the target: other names by which units may name the layer that they were made for.

    Raises
    ------
    UsageError
        When units do not fit a layer, were made for one that was not chosen, or none go with one.
    PluginError
        When they fail on a position of zeros, or make something else of it than units.
    """
    if not sources:
        return list(layers)
    for one in sources:
        if one.layer and not any(_made_for(one, layer, aliases) for layer in layers):
            raise UsageError(
                f"units '{one.name}' were made for layer {one.layer}, which is none of those chosen: "
                f"{', '.join(layer.name for layer in layers)}",
                f"choose it: --layers {one.layer}",
            )
    found = [made for layer in layers for made in _of_layer(layer, sources, aliases, neurons=neurons)]
    names = [layer.name for layer in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two layers would be called {twice}", "give units names of their own: --units NAME=KIND:FILE")
    return found


def _of_layer(layer: Layer, sources: Sequence[Units], aliases: Mapping[str, str], *, neurons: bool) -> Iterator[Layer]:
    fitting = [one for one in sources if not one.layer or _made_for(one, layer, aliases)]
    if not (fitting or neurons):
        raise UsageError(
            f"no units were made for layer {layer.name}", "leave it out of --layers, or keep neurons too: --neurons"
        )
    if neurons:
        yield layer
    for one in fitting:
        if one.channels != layer.neurons:
            raise UsageError(
                f"units '{one.name}' are made of {amount(one.channels, 'neuron')}, and layer {layer.name} has "
                f"{layer.neurons}",
                f"choose a layer of {amount(one.channels, 'neuron')}, or units that were made for {layer.name}",
            )
        made = replace(
            layer,
            name=f"{layer.name}/{one.name}",
            of=layer.module_name,
            shape=_shape(layer, one.units, layer.shape),
            neurons=one.units,
            units=one,
            also=(),
            choices=(),
        )
        with torch.no_grad():  # units that make something else are found before anything is computed
            through_units(made, torch.zeros(2, *_shape(layer, one.channels, [1] * len(layer.shape))))
        yield made


def _shape(layer: Layer, units: int, places: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a layer's output without the batch axis, with so many units and places."""
    found = list(places)
    found[unit_axis(layer) - 1 if unit_axis(layer) > 0 else -1] = units
    return tuple(found)


def _made_for(units: Units, layer: Layer, aliases: Mapping[str, str]) -> bool:
    names = (layer.name, *layer.also)
    return units.layer in names or aliases.get(units.layer) in names


def have_random(sources: Sequence[Units]) -> bool:
    """Say whether there are units, and all of them have random counterparts."""
    return bool(sources) and all(one.random is not None for one in sources)


def with_random_units(sources: Sequence[Units], seed: int) -> list[Units]:
    """Return random counterparts of units, in their order, under their names; no two are drawn from one seed.

    Raises
    ------
    UsageError
        When one has none.
    PluginError
        When one fails.
    """
    found = []
    for number, one in enumerate(sources):
        if one.random is None:
            raise UsageError(f"units '{one.name}' have no random counterpart", "leave out --controls")
        with calling(f"the random counterpart of units '{one.name}' failed", kind=PluginError):
            found.append(replace(one, module=one.random(seed + number), names=(), fitted=frozenset(), facts={}))
        check_units(found[-1])
    return found


def refuse_units(layers: Sequence[Layer], what: str) -> None:
    """Refuse to do something at layers that are seen through units: the network goes on from neurons.

    Parameters
    ----------
    what
        What would be done, as a noun.

    Raises
    ------
    UsageError
        Naming the first such layer.
    """
    for layer in layers:
        if layer.units is not None:
            own = layer.name.removesuffix(f"/{layer.units.name}")
            raise UsageError(
                f"layer {layer.name} is {own} seen through units, on which nothing in the network depends: no {what}",
                f"name the layer itself: {own}",
            )


def through_units(layer: Layer, output: torch.Tensor) -> torch.Tensor:
    """Return a layer's output ``(B, …)`` as its units see it: the same axes, with units where neurons were, float32.

    It is laid out in memory as the output where the shape is the same, so that `mcd.networks.recording.pool` adds in
    the same order.

    Raises
    ------
    PluginError
        When the units fail, or make something else.
    DataError
        When the output has another width than in the trial pass.
    """
    units, axis = layer.units, unit_axis(layer)
    assert units is not None
    # A copy: units that work in place must not change what the network, and other units, go on with.
    values = output.to(torch.float32, copy=True).movedim(axis, -1)
    if values.shape[-1] != units.channels:
        raise DataError(
            f"layer {layer.name} gave {amount(values.shape[-1], 'neuron')}, {units.channels} in the trial pass",
            "what a network does must not depend on the images",
        )
    with (
        torch.autocast(output.device.type, enabled=False),
        calling(f"units '{units.name}' failed on layer {layer.name}", kind=PluginError),
    ):
        made: object = units.module.to(output.device).train(False)(values)
    shape = (*values.shape[:-1], units.units)
    if not isinstance(made, torch.Tensor) or made.shape != shape or not made.is_floating_point():
        what = f"{made.dtype} of {tuple(made.shape)}" if isinstance(made, torch.Tensor) else type(made).__name__
        raise PluginError(
            f"units '{units.name}' made {what} of neurons of {tuple(values.shape)}", f"float32 of {shape} is expected"
        )
    found = made.float().movedim(-1, axis)
    if found.shape == output.shape and found.stride() != output.stride():
        found = torch.empty_like(output, dtype=torch.float32).copy_(found)
    return found
