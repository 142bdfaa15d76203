"""Layers picked by patterns, with the choices that a pattern may end in."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import get_args

from mcd.errors import UnknownNameError, UsageError, nearest
from mcd.networks.layers import Layer, Layout, read_as
from mcd.networks.patterns import NO_ALIASES, expand_braces, match_layers, split_patterns

__all__ = ["pick_layers", "select_layers"]

_CHOICE = re.compile(r"[@:]")
"""What follows one of these in a pattern chooses a call, an output or a layout."""


def pick_layers(
    patterns: Sequence[str], layers: Sequence[Layer], aliases: Mapping[str, str] = NO_ALIASES
) -> list[Layer]:
    """Return the layers that the patterns pick, in the order of the network, each once.

    A pattern is that of a name, and may end in a choice: ``relu@2``, ``stage2:1``, ``mixer:NHWC``, ``relu@2:1``.

    Raises
    ------
    UnknownNameError
        When a pattern picks nothing, or a layer that it picks has no such choice.
    """
    names = {name: layer for layer in layers for name in (layer.name, *layer.also)}
    found: dict[str, Layer] = {}
    for pattern, choice in _parted(patterns, names):
        for name in match_layers([pattern], list(names), aliases):
            found |= {one.name: one for one in _chosen(names[name], choice)}
    places = {layer.name: place for place, layer in enumerate(layers)}
    return sorted(found.values(), key=lambda one: places[one.module_name])


def _parted(patterns: Sequence[str], names: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield each pattern and the choice that it ends in."""
    for written in split_patterns(patterns):
        for pattern in expand_braces(written) if _CHOICE.search(written) else [written]:
            at = None if pattern in names else _CHOICE.search(pattern)  # a module's own name may hold a colon
            yield (pattern, "") if at is None else (pattern[: at.start()], pattern[at.start() :])


def _chosen(layer: Layer, choice: str) -> list[Layer]:
    """Return a layer as a choice reads it; several where the choice has wildcards."""
    if not choice:
        return [layer]
    fitting = [one for one in layer.choices if fnmatch.fnmatchcase(one.name.removeprefix(layer.name), choice)]
    if fitting:
        return fitting
    start, _, last = choice.rpartition(":")
    layout: Layout | None = next((one for one in get_args(Layout) if one == last), None)
    if layout is not None:
        fitting = [found for one in _chosen(layer, start) if (found := read_as(one, layout))]
    if not fitting:
        known = [one.name for one in layer.choices]
        hint = (
            nearest(layer.name + choice, known) if known else f"choose {layer.name}, which can be read in one way only"
        )
        raise UnknownNameError(f"layer {layer.name} has no '{choice}'", hint)
    return fitting


def select_layers(
    patterns: Sequence[str], layers: Sequence[Layer], target: str, aliases: Mapping[str, str] = NO_ALIASES
) -> list[Layer]:
    """Return the layers that the patterns pick, all of them fit to be dissected; see `pick_layers`.

    Raises
    ------
    UsageError
        When no pattern is given, or a picked layer cannot be read; the message says why.
    """
    if not split_patterns(patterns):
        tops = ", ".join(layer.name for layer in layers if "." not in layer.name)
        raise UsageError(f"which layers of {target} shall be dissected?", f"give --layers PATTERN; it has: {tops}")
    picked = pick_layers(patterns, layers, aliases)
    refused = [layer for layer in picked if layer.reason]
    if refused:
        raise UsageError(
            f"{len(refused)} of the chosen layers cannot be dissected:",
            _instead(refused, layers),
            [f"{layer.name} ({layer.type}): {layer.reason}" for layer in refused],
        )
    return picked


_OFFERED = 12


def _instead(refused: Sequence[Layer], layers: Sequence[Layer]) -> str:
    """Return the hint: the ways to read each refused layer, and the last readable layer inside it, which is nearest."""
    offered: list[str] = []
    for layer in refused:
        inside = [one.name for one in layers if one.layout and one.name.startswith(f"{layer.name}.")]
        offered += [one.name for one in layer.choices if not one.reason] + inside[-1:]
    more = ", …" if len(offered) > _OFFERED else ""
    return f"choose {', '.join(offered[:_OFFERED])}{more}" if offered else "choose other layers"
