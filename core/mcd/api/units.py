"""The contract of unit sources: they turn what a layer puts out into units that are not neurons."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcd.api.base import Configured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["UnitSource", "Units"]


@dataclass(frozen=True, eq=False)
class Units:
    """What a layer is seen through: directions, latents of a dictionary, groups of neurons.

    A layer ``stages.3`` that is seen through units called ``sae`` is a layer of its own, ``stages.3/sae``. Its maps and
    tokens become those of the units before they are pooled.

    Parameters
    ----------
    name
        What follows the name of the layer: of a file, its stem.
    module
        Takes what a layer puts out, with its neurons along the last axis, ``(…, channels)`` float32, and returns
        ``(…, units)`` float32. Each position, token and image is taken by itself, without chance and without memory:
        what it needs besides (means, deviations, axes) was fitted beforehand and lies in its buffers. The engine puts
        it in eval mode and on the run's device.
    channels, units
        How many neurons the layer has, and how many units there are.
    layer
        The layer that they were made for; empty where any layer of that many neurons may be seen through them.
    names
        What the units are called, in order; empty where they have no names.
    random
        Builds a module for random units of the same kind, number and sparsity, given a seed: ``--controls`` labels
        them beside these. None where there is none.
    fitted
        Content digests of the images that they were fitted on, as `mcd.Sample` has them: a run leaves out other images
        of the same patients too, unless it is asked to keep them. Empty where it is not recorded which images these
        were.
    facts
        What is known of them, in the order in which it is shown: ``{"kind": "topk", "L0": "6.0", "R²": ".907"}``.
    """

    name: str
    module: nn.Module
    channels: int
    units: int
    layer: str = ""
    names: tuple[str, ...] = ()
    random: Callable[[int], nn.Module] | None = None
    fitted: frozenset[str] = frozenset()
    facts: Mapping[str, str] = field(default_factory=dict)


class UnitSource(Configured, abc.ABC):
    """Base of unit sources.

    Examples
    --------
    ::

        class AcmeUnits(mcd.UnitSource):
            class Options(mcd.Options):
                file: Path = Field(description="a .safetensors file")

            options: Options

            def load(self) -> mcd.Units:
                ...
    """

    @abc.abstractmethod
    def load(self) -> Units:
        """Return the units, on the CPU.

        Raises
        ------
        mcd.errors.DataError
            When the file is no such file, or what it holds can be no units.
        """
