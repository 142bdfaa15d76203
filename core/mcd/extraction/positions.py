"""What a layer gives at each position of its maps, streamed out of a pass: with how much of it is breast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from mcd.errors import DataError, UsageError
from mcd.extraction.decoding import Batch
from mcd.extraction.target_pass import TargetPass
from mcd.networks.layers import Layer
from mcd.networks.recording import at_positions, breast_share
from mcd.networks.taps import Taps

__all__ = ["Positions", "each_position"]


@dataclass(frozen=True, eq=False)
class Positions:
    """What a layer gave for the images of one batch, position by position.

    Parameters
    ----------
    rows
        Which of the images they are.
    values
        ``(B, positions, neurons)`` float32, on the device. Positions of maps and patches come row by row; class and
        register tokens are none, and of a flat layer an image is the only one.
    breast
        ``(B, positions)`` in 0…1, on the device: how much of each position is breast. None without masks.
    framed
        Of each image, whether its mask is a rectangle: no breast was found, or it fills all that the network sees.
        Empty without masks.
    """

    rows: tuple[int, ...]
    values: torch.Tensor
    breast: torch.Tensor | None = None
    framed: tuple[bool, ...] = ()


def each_position(
    through: TargetPass,
    layer: Layer,
    each: Callable[[Positions], None],
    *,
    groups: Sequence[Sequence[int]] | None = None,
    masked: bool = False,
) -> None:
    """Run a target and hand over what a layer gives at every position, batch by batch.

    Parameters
    ----------
    through
        The target and its images.
    layer
        Of the target.
    each
        Is given each batch.
    groups
        Rows of the probe set, batch by batch; by default all, as in the sweep.
    masked
        Whether breast masks are laid over the positions. Over those of a flat layer there are none.

    Raises
    ------
    mcd.errors.MCDError
        As `TargetPass.forward`; when it is not known which tokens are patches, or masks cannot be laid over them.
    DataError
        When the layer gives NaN or infinity.
    """
    prefix, recipe = through.target.first_tokens(), through.target.preprocessing
    if layer.layout == "tokens" and prefix is None:
        raise UsageError(
            f"which tokens of layer {layer.name} are patches is not known: the target does not say how many class and "
            "register tokens come first (Target.prefix_tokens, or num_prefix_tokens of the module)",
            "choose a layer of maps, or let the loader say it",
        )
    first = prefix or 0 if layer.layout == "tokens" else 0
    masked = masked and layer.layout != "flat"
    caught: list[torch.Tensor] = []

    def catch(_layer: Layer, tensor: torch.Tensor) -> None:
        values = tensor.detach().to(torch.float32, copy=True)
        caught.append(values.transpose(1, 2) if layer.layout == "NCL" else values)

    def hand_over(batch: Batch, _output: object) -> None:
        taps.begin()
        if not caught:
            raise DataError(f"layer {layer.name} did not run for some images", "choose another layer")
        values = caught.pop()
        places = at_positions(values, layer, first).transpose(1, 2)
        through.check_finite("outputs", {layer.name: places}, batch)
        if not masked:
            each(Positions(batch.rows, places))
            return
        mask = batch.mask(recipe, through.device)
        share = breast_share(values, layer, first, mask)[:, 0]
        each(Positions(batch.rows, places, share, tuple(_is_rectangle(one > 0) for one in mask[:, 0])))

    taps = Taps(through.target.module, [layer], catch)
    through.forward(through.groups() if groups is None else groups, [taps], hand_over, masked=masked)


def _is_rectangle(mask: torch.Tensor) -> bool:
    """Say whether a mask ``(H, W)`` fills the box around it; that of a breast that was found does not."""
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    box = mask[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
    return bool(box.all())
