"""The check of unit sources."""

from __future__ import annotations

import torch
from torch import nn

from mcd.api.units import Units, UnitSource
from mcd.errors import MCDError
from mcd.networks.identity import identity_of
from mcd.networks.layers import Layer, Layout
from mcd.networks.units import check_units, seen_through, through_units, with_random_units
from mcd.testing.contract import ContractError, called, created, kind_of, require, same_settings_same_fingerprint

__all__ = ["check_unit_source"]

_AXES: dict[Layout, tuple[int, ...]] = {"flat": (), "tokens": (6,), "NCL": (6,), "NCHW": (3, 2), "NHWC": (3, 2)}
"""Positions of a layer's output for which units are tried."""


def check_unit_source(source: UnitSource | type[UnitSource]) -> None:
    """Make sure that a source returns units through which a layer can be seen, the same ones each time.

    Outputs of every layout are drawn, some of them negative, and seen through the units as in a run.

    Parameters
    ----------
    source
        A unit source, or its class where the default settings will do.

    Raises
    ------
    ContractError
        When ``load`` raises, returns something else than `mcd.Units`, or other units the next time; when they are on
        another device than the CPU, cannot be identified, do not make of ``channels`` numbers finite float32 numbers
        of ``units``, or give a position other values beside other positions or images; when random units are others the
        second time, or do not make such numbers either.
    """
    made = created(source, UnitSource)
    name = type(made).__qualname__
    same_settings_same_fingerprint(made)
    units = _loaded(name, made)
    second = _loaded(name, type(made)(made.options))
    own, other = _identified(name, units), _identified(name, second)
    require(
        own == other,
        f"{name}.load() returns other units the second time",
        "read what they are from a file, or draw them from a seed that is a setting",
    )
    for layout in _AXES:
        _check_layout(name, units, layout)
    require(
        _identified(name, units) == own,
        f"the units of {name} are others once they have been used",
        "keep nothing between calls: the numbers of an image must not depend on those before it",
    )
    if units.random is not None:
        _check_random(name, units)


def _identified(name: str, units: Units) -> str:
    """Return a digest of what units compute."""
    found = identity_of(units.module)
    require(
        not found.unknown,
        f"nothing computed with the units of {name} could be used again: {found.unknown}",
        "hold tensors in buffers and plain numbers in attributes",
    )
    return found.content


def _check_random(name: str, units: Units) -> None:
    with called(f"the random units of {name}"):
        first, again = (with_random_units([units], 0)[0] for _ in range(2))
    require(
        _identified(name, first) == _identified(name, again),
        f"the random units of {name} are others when they are drawn from the same seed again",
        "draw them with a generator of their own: torch.Generator().manual_seed(seed)",
    )
    _check_layout(f"{name}, drawn at random,", first, "flat")


def _loaded(name: str, source: UnitSource) -> Units:
    with called(f"{name}.load()"):
        units: object = source.load()
    if not isinstance(units, Units):
        raise ContractError(
            f"{name}.load() returned {kind_of(units)}, not mcd.Units", "return mcd.Units(name, module, channels, units)"
        )
    try:
        check_units(units)
    except MCDError as error:
        raise ContractError(f"{name}.load(): {error.summary}", error.hint) from None
    module: nn.Module = units.module
    away = [key for key, one in module.state_dict().items() if one.device.type != "cpu"]
    require(
        not away,
        f"{name}.load() puts '{(away or [''])[0]}' on another device than the CPU",
        "leave the units on the CPU: the engine moves them",
    )
    return units


@torch.no_grad()  # as in a run
def _check_layout(name: str, units: Units, layout: Layout) -> None:
    channels = units.channels
    places = _AXES[layout]
    shape = (*places, channels) if layout in ("tokens", "NHWC") else (channels, *places)
    layer = Layer("layer", "Layer", shape, layout, channels)
    output = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    with called(f"the units of {name}"):
        (seen,) = seen_through([layer if not units.layer else _called(layer, units.layer)], [units], neurons=False)
        found = through_units(seen, output)
        alone = torch.cat([through_units(seen, one[None]) for one in output])
    require(
        bool(torch.isfinite(found).all()),
        f"the units of {name} give NaN or infinity",
        "divide by nothing that may be 0, and take roots and logarithms of nothing negative",
    )
    require(
        torch.allclose(found, alone, rtol=1e-4, atol=1e-5 * float(found.abs().max())),
        f"the units of {name} give an image other values beside other images ({layout})",
        "take each position by itself; what is estimated of several belongs into the file, of named patients",
    )
    if places:
        axis = 1 if layout in ("tokens", "NHWC") else 2
        turned = through_units(seen, output.flip(axis)).flip(axis)
        require(
            torch.allclose(found, turned, rtol=1e-4, atol=1e-5 * float(found.abs().max())),
            f"the units of {name} give a position other values beside other positions ({layout})",
            "the neurons of a position are along the last axis: take each position by itself",
        )


def _called(layer: Layer, name: str) -> Layer:
    return Layer(name, layer.type, layer.shape, layer.layout, layer.neurons)
