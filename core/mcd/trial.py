"""One forward pass on the CPU before anything else: what layers a target has, and whether it takes its input."""

from __future__ import annotations

import torch

from mcd.api.dataset import Dataset, Sample, read_checked
from mcd.api.model import Target
from mcd.errors import DataError
from mcd.extraction.layers import Layer, inspect_layers
from mcd.extraction.networks import at_work

__all__ = ["example_input", "takes_known_input", "trial_pass"]


def takes_known_input(target: Target) -> bool:
    """Say whether a target's preprocessing tells size and channels of its input."""
    recipe = target.preprocessing
    return recipe.height is not None and recipe.width is not None and recipe.channels is not None


def example_input(target: Target, dataset: Dataset | None = None) -> torch.Tensor:
    """Return a batch of two as the target would see it.

    Noise where the preprocessing says size and channels; otherwise the first image of ``dataset``, and
    three channels of 224×224 where there is none.
    """
    recipe = target.preprocessing
    if dataset is not None and not takes_known_input(target):
        for found in dataset.scan():
            if isinstance(found, Sample):
                prepared = recipe.prepare(read_checked(dataset, found, recipe.values))
                return recipe.finalize(prepared[None].repeat(2, 1, 1, 1))
    size = (2, recipe.channels or 3, recipe.height or 224, recipe.width or 224)
    return recipe.finalize(torch.rand(size, generator=torch.Generator().manual_seed(0)))


def trial_pass(target: Target, dataset: Dataset | None = None) -> list[Layer]:
    """Return the layers of a target as one forward pass on the CPU shows them.

    Raises
    ------
    DataError
        When the target cannot take such an input.
    """
    example = example_input(target, dataset)
    with at_work(target.module, torch.device("cpu")):
        try:
            return inspect_layers(target.module, example)
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:  # whatever a foreign forward() raises
            shape = "×".join(map(str, example.shape[1:]))
            raise DataError(
                f"{target.name} cannot take an input of {shape} (channels×rows×columns): {str(error).splitlines()[0]}",
                "give its preprocessing: height, width, channels, mean, std",
            ) from error
