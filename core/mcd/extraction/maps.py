"""Maps: where in the images it responds to most a neuron does so, kept small.

A second pass, after the sweep: only images that are among the strongest of some neuron go through the target again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from mcd.api.ranking import ordered_top_k
from mcd.errors import DataError
from mcd.events import Clock
from mcd.extraction.decoding import Batch
from mcd.extraction.map_store import SIDE, Maps, MapStore
from mcd.extraction.target_pass import TargetPass
from mcd.networks.layers import Layer
from mcd.networks.recording import grid
from mcd.networks.taps import Taps

__all__ = ["MapPass", "map_bytes", "strongest"]


def strongest(activations: torch.Tensor, count: int) -> torch.Tensor:
    """Return the rows of A ``(neurons, N)`` of the images each neuron responds to most.

    N is ``count``, or the number of images where there are fewer; -1 for neurons that respond to all images alike.
    """
    rows = ordered_top_k(activations, min(count, len(activations))).T.contiguous()
    rows[activations.amax(dim=0) == activations.amin(dim=0)] = -1
    return rows


def map_bytes(layers: Sequence[Layer], count: int) -> int:
    """Return about how many bytes ``count`` maps a neuron take; more where only the pass determines their size."""
    return sum(
        layer.neurons * count * (rows * columns + 16)  # a byte a place; the row of A and the range, 8 bytes each
        for layer in layers
        if layer.layout != "flat"
        for rows, columns in [_small(*_places_of(layer))]
    )


def _places_of(layer: Layer) -> tuple[int, int]:
    if layer.layout in ("tokens", "NCL"):  # how many are patches, and in which shape, is known after the pass
        return SIDE, SIDE
    rows, columns = layer.shape[1:] if layer.layout == "NCHW" else layer.shape[:2]
    return rows, columns


@dataclass(frozen=True)
class MapPass:
    """A pass of chosen images through one target that keeps maps.

    Parameters
    ----------
    through
        The pass.
    layers
        What of the target is kept.
    """

    through: TargetPass
    layers: Sequence[Layer]

    def into(
        self, store: MapStore, rows: Sequence[int], activations: Callable[[str], torch.Tensor], count: int, clock: Clock
    ) -> None:
        """Compute maps and write them.

        Parameters
        ----------
        store
            Where they go.
        rows
            For each row of A which of the probe set it is.
        activations
            A of a layer, by name.
        count
            How many images a neuron keeps a map of.

        Raises
        ------
        ImageError
            When an image cannot be decoded any more.
        DataError
            When a layer behaves otherwise than in the sweep.
        """
        without = {layer.name: reason for layer in self.layers if (reason := self._no_space(layer))}
        kept = {
            layer.name: _Kept(strongest(activations(layer.name), count), layer)
            for layer in self.layers
            if layer.name not in without
        }
        wanted = sorted({row for one in kept.values() for row in one.at})
        with clock.stage("keep maps", len(wanted), "images") as advanced:
            if wanted:
                self._look(kept, [rows[row] for row in wanted], {rows[row]: row for row in wanted}, advanced)
        flat = [name for name, one in kept.items() if one.reason]
        without |= {name: kept[name].reason for name in flat}
        maps = {name: one.maps() for name, one in kept.items() if name not in flat}
        store.write(maps, without, self.through.target.preprocessing.fingerprint())

    def _no_space(self, layer: Layer) -> str:
        if layer.layout == "flat":
            return "its output has no places"
        if layer.layout == "tokens" and self.through.target.first_tokens() is None:
            return "the target does not say how many class and register tokens come before its patches"
        return ""

    def _look(
        self, kept: dict[str, _Kept], wanted: Sequence[int], row_of: dict[int, int], advanced: Callable[[int], None]
    ) -> None:
        prefix = self.through.target.first_tokens() or 0
        taps = Taps(
            self.through.target.module,
            [one.layer for one in kept.values()],
            lambda layer, tensor: kept[layer.name].catch(tensor, prefix),
        )

        def before(_batch: Batch, inputs: torch.Tensor) -> None:
            for one in kept.values():
                one.size = (int(inputs.shape[2]), int(inputs.shape[3]))

        def each(batch: Batch, _output: object) -> None:
            taps.begin()
            for one in kept.values():
                one.keep([row_of[row] for row in batch.rows])
            advanced(len(batch.rows))

        self.through.forward(self.through.groups(wanted), [taps], each, before=before)


class _Kept:
    """What is kept of one layer, image by image."""

    def __init__(self, images: torch.Tensor, layer: Layer) -> None:
        self.images, self.layer = images, layer
        self.at = _places(images)
        self.size = (0, 0)
        self.reason = ""
        self._caught: torch.Tensor | None = None
        self._values = torch.empty(0, dtype=torch.uint8)
        self._range = torch.zeros(*images.shape, 2)

    def catch(self, tensor: torch.Tensor, prefix: int) -> None:
        """Catch the layer's output, small at once: whole maps would fill the memory."""
        placed = None if self.reason else self._placed(tensor.float(), prefix)
        if placed is not None:
            rows, columns = self._values.shape[2:] if self._values.ndim == 4 else _small(*placed.shape[2:])
            self._caught = functional.adaptive_avg_pool2d(placed, (rows, columns)).cpu()

    def _placed(self, output: torch.Tensor, prefix: int) -> torch.Tensor | None:
        """Return an output as ``(B, neurons, rows, columns)``, or None, with a reason, where it has no places."""
        if self.layer.layout == "NHWC":
            output = output.permute(0, 3, 1, 2)
        elif self.layer.layout in ("tokens", "NCL"):
            output = output[:, prefix:] if self.layer.layout == "tokens" else output.transpose(1, 2)
            try:
                shape = grid(output.shape[1], self.layer, self.size)
            except DataError as error:
                self.reason = error.message
                return None
            output = output.transpose(1, 2).reshape(len(output), -1, *shape)
        if output.shape[2] * output.shape[3] == 1:
            self.reason = "its output has one place only"
            return None
        return output

    def keep(self, rows: Sequence[int]) -> None:
        """Keep of a batch, whose images are these rows of A, the maps of neurons that they are strongest of."""
        if self.reason:
            return
        caught, self._caught = self._caught, None
        if caught is None:
            raise DataError(
                f"layer {self.layer.name} did not run for some images; it has no maps",
                "leave that layer out of --layers, or set --maps 0",
            )
        if not bool(torch.isfinite(caught).all()):
            raise DataError(
                f"layer {self.layer.name} gives NaN or infinity somewhere in its maps",
                "use --precision fp32, or set --maps 0",
            )
        if self._values.ndim != 4:
            self._values = torch.zeros(*self.images.shape, *caught.shape[2:], dtype=torch.uint8)
        for number, row in enumerate(rows):
            at = self.at.get(row)
            if at is not None:
                self._put(at, caught[number, at // self.images.shape[1]])

    def _put(self, at: torch.Tensor, maps: torch.Tensor) -> None:
        low, high = maps.amin(dim=(1, 2)), maps.amax(dim=(1, 2))
        span = torch.where(high > low, high - low, 1)[:, None, None]
        self._values.flatten(0, 1)[at] = ((maps - low[:, None, None]) / span * 255).round().to(torch.uint8)
        self._range.flatten(0, 1)[at] = torch.stack([low, high], dim=1)

    def maps(self) -> Maps:
        """Return what was kept; of a layer whose neurons are all constant, no places."""
        values = self._values if self._values.ndim == 4 else torch.zeros(*self.images.shape, 1, 1, dtype=torch.uint8)
        return Maps(self.images, values, self._range)


def _places(images: torch.Tensor) -> dict[int, torch.Tensor]:
    """Return for each image where it stands in ``images``, as positions in the flattened tensor."""
    flat = images.flatten().numpy()
    order = np.argsort(flat, kind="stable")
    rows, starts = np.unique(flat[order], return_index=True)
    parts = np.split(order, starts[1:])
    return {row: torch.from_numpy(part) for row, part in zip(rows.tolist(), parts, strict=True) if row >= 0}


def _small(height: int, width: int) -> tuple[int, int]:
    """Return the size of a kept map: its longer side at most `SIDE`, in the proportions of the whole one."""
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
