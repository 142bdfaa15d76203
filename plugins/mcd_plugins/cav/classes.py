"""Of what sensitivities are taken: outputs of the network, units of later layers; and over which images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import UnknownNameError, UsageError, amount, nearest
from mcd.plugins import ABSENT, PRESENT, Layer, LayerUnit, Selection, TargetImages
from mcd_plugins.cav.concepts import states_of

__all__ = ["Class", "classes_of", "outputs_of", "over"]

_MOST = 20
"""Outputs that are all taken where none is named."""


@dataclass(frozen=True, eq=False)
class Class:
    """Of what sensitivities are taken.

    Parameters
    ----------
    name
        An output as the target calls it, or its number; or ``LAYER:UNIT``.
    of
        The same for `TargetImages.passed`.
    rows
        ``(images,)``: over which of the tested images.
    images
        Which these are, in words.
    """

    name: str
    of: int | LayerUnit
    rows: NDArray[np.bool_]
    images: str


def outputs_of(images: TargetImages, tried: int = 1) -> list[str]:
    """Return what the outputs of a target are called; numbers where it does not say, or calls several alike.

    Parameters
    ----------
    tried
        Images that are run for it; those that cannot be decoded are left out where there are several.

    Raises
    ------
    UsageError
        When it does not return one row of numbers an image.
    """
    passed = images.passed([], images=images.ids[:tried], skip=tried > 1)
    if passed.logits is None:
        raise UsageError(
            f"{passed.problem}: there is no class whose sensitivity could be taken",
            "give a network with its classification head, or a unit of a later layer: --of LAYER:UNIT",
        )
    count, names = passed.logits.shape[1], images.target.outputs
    apart = {name.casefold() for name in names}
    return list(names) if len(apart) == count == len(names) else [str(at) for at in range(count)]


def classes_of(
    images: TargetImages, asked: Sequence[str], units: Sequence[str], layers: Sequence[Layer], tried: int = 1
) -> list[tuple[str, int | LayerUnit]]:
    """Return the outputs and units that were asked for, each with its name; all outputs where none was.

    Parameters
    ----------
    asked, units
        Outputs by name or number, and units ``LAYER:UNIT``.
    layers
        Those in which directions are fitted.
    tried
        As in `outputs_of`.

    Raises
    ------
    UnknownNameError
        When there is no such output.
    UsageError
        When there is no such layer or unit, it is one of the layers, or the outputs are too many to take them all.
    """
    found: list[tuple[str, int | LayerUnit]] = []
    if asked or not units:
        names = outputs_of(images, tried)
        if not asked and len(names) > _MOST:
            raise UsageError(
                f"the network has {len(names)} outputs", f"choose some: --classes {names[0]} --classes {names[1]}"
            )
        found += [(names[at], at) for at in _picked(asked, names)]
    later = [_unit(images, text) for text in units]
    for name, of in later:
        if of.layer.name in {one.name for one in layers}:
            raise UsageError(
                f"--of {name}: directions of {of.layer.name} are tested on what comes later",
                "name a unit of a later layer, or directions of an earlier one: --layers",
            )
    return list(dict([*found, *later]).items())


def _picked(asked: Sequence[str], names: Sequence[str]) -> list[int]:
    if not asked:
        return list(range(len(names)))
    known = {str(at): at for at in range(len(names))} | {name.casefold(): at for at, name in enumerate(names)}
    found = []
    for text in asked:
        whole = text.strip().casefold() in known
        for part in [text] if whole else text.split(","):
            own = part.strip().casefold()
            if own not in known:
                raise UnknownNameError(
                    f"the network has no output '{part.strip()}'; they are numbered 0 to {len(names) - 1}",
                    nearest(part.strip(), names),
                )
            found.append(known[own])
    return found


def _unit(images: TargetImages, text: str) -> tuple[str, LayerUnit]:
    pattern, colon, number = text.rpartition(":")
    if not colon or not number.isascii() or not number.isdigit():
        raise UsageError(f"--of {text}: a layer and the number of a unit are needed", "write --of stages.3:17")
    layers = images.picked([pattern])
    if len(layers) != 1:
        raise UsageError(f"--of {text}: {pattern} picks {amount(len(layers), 'layer')}", "name one")
    (layer,), unit = layers, int(number)
    if unit >= layer.neurons:
        raise UsageError(
            f"--of {text}: layer {layer.name} has units 0 to {layer.neurons - 1}", "give the number of one of these"
        )
    return f"{layer.name}:{unit}", LayerUnit(layer, unit)


def over(
    named: Sequence[tuple[str, int | LayerUnit]],
    samples: Sequence[mcd.Sample],
    others: str,
    where: str | None,
    shown: Callable[[str], str],
) -> list[Class]:
    """Return of each class over which images its sensitivities are taken.

    Those that ``where`` selects; without it, of an output that has the name of a concept the images that show it, as
    far as labels say so; else all.

    Parameters
    ----------
    named
        Names with what they stand for.
    samples
        The tested images.
    others
        What all of them are called.
    where
        An expression, as ``--where`` takes it.
    shown
        Returns it as tables show it.

    Raises
    ------
    DataError
        When ``where`` selects none.
    """
    if where is not None:
        chosen = {id(one) for one in Selection(where=where).choose(samples)}
        rows = np.array([id(one) in chosen for one in samples])
        return [Class(name, of, rows, f"{others}, {shown(where)}") for name, of in named]
    found = []
    for name, of in named:
        states = states_of(samples, [name])[:, 0] if isinstance(of, int) and not name.isdigit() else np.full(1, ABSENT)
        if (states == PRESENT).any():
            found.append(Class(name, of, states == PRESENT, f"{others}, with {name}"))
        else:
            found.append(Class(name, of, np.ones(len(samples), dtype=np.bool_), others))
    return found
