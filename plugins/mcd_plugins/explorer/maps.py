"""Maps of where neurons respond, as the page lays them over what the network saw."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

import mcd
from mcd.errors import StoreError
from mcd.plugins import Maps, Part
from mcd_plugins.explorer.packing import Json, packed
from mcd_plugins.reporters.absent import left_out

__all__ = ["Shown", "maps_of", "parts_of", "sizes_of"]


@dataclass(frozen=True)
class Shown:
    """The maps of a run that a page shows.

    Parameters
    ----------
    content
        What the script reads: ``count`` images a neuron; for each layer rows, columns, values and their ranges, or null
        where it has none. A missing map has no range.
    there
        Which maps exist, ``(neurons, count)``.
    size
        Bytes of their values.
    """

    content: dict[str, Json]
    there: NDArray[np.bool_]
    size: int


def maps_of(dissection: mcd.Dissection, rows: NDArray[np.int64], at_most: int) -> Shown | None:
    """Return the maps of a run's top images, those of the strongest of each neuron first where not all have room.

    Parameters
    ----------
    rows
        The top images as rows of A, ``(neurons, images)``.
    at_most
        Bytes of all maps.

    Returns
    -------
    Shown or None
        None where the run keeps none, or none has room.
    """
    try:
        found = [dissection.maps(layer) for layer in dissection.layers]
    except StoreError as error:  # of a run that was shared without them
        left_out("maps", error)
        return None
    known = [one for one in found if one is not None]
    each = sum(one.values[:, 0].numel() for one in known)
    if not each:
        return None
    count = min(rows.shape[1], known[0].images.shape[1], at_most // each)
    if not count:
        return None
    layers: list[Json] = []
    there, at = np.zeros((len(rows), count), dtype=np.bool_), 0
    for record, one in zip(dissection.manifest.layers, found, strict=True):
        mine = slice(at, at + record.neurons)
        at = mine.stop
        if one is not None:
            images = one.images[:, :count].numpy()
            there[mine] = (images == rows[mine, :count]) & (images >= 0)
        layers.append(None if one is None else _layer(one, there[mine]))
    return Shown({"count": count, "layers": layers}, there, each * count)


def _layer(maps: Maps, there: NDArray[np.bool_]) -> dict[str, Json]:
    values, limits = maps.values[:, : there.shape[1]].numpy(), maps.range[:, : there.shape[1]].numpy()
    low, high = (np.where(there, limits[..., at], np.nan) for at in (0, 1))
    rows, columns = values.shape[2:]
    return {"rows": rows, "columns": columns, "values": packed(values), "low": packed(low), "high": packed(high)}


def sizes_of(pictures: Sequence[bytes]) -> NDArray[np.int64]:
    """Return width and height of each picture, ``(pictures, 2)``; 0 where there is none."""
    found = [PIL.Image.open(io.BytesIO(one)).size if one else (0, 0) for one in pictures]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def parts_of(parts: Sequence[Part | None]) -> NDArray[np.float64]:
    """Return what of each image the network saw, ``(images, 4)``: left, top, width, height in pixels of the image.

    The width is negative where it saw the image mirrored; all are NaN where it is not known.
    """
    found = [
        (one.left, one.top, -one.width if one.mirrored else one.width, one.height) if one else (np.nan,) * 4
        for one in parts
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 4)
