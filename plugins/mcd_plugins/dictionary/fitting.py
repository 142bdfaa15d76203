"""Fit a dictionary to samples of a layer's output: positions of maps, tokens, or vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mcd.errors import DataError, amount
from mcd_plugins.dictionary.autoencoders import train
from mcd_plugins.dictionary.factors import check_installed, factorise, group
from mcd_plugins.dictionary.kinds import Fitted, Recipe, Scale
from mcd_plugins.dictionary.measuring import mean_of

__all__ = ["Fitted", "Recipe", "fit"]


def fit(
    samples: torch.Tensor,
    recipe: Recipe,
    seed: int,
    *,
    device: str = "cpu",
    advanced: Callable[[int], None] | None = None,
) -> Fitted:
    """Return a dictionary of samples.

    A fit does not depend on the scale of a layer, nor but for NMF on its mean: both are taken out before and folded
    into the tensors after.

    Parameters
    ----------
    samples
        ``(n, channels)``, float32, on the CPU.
    recipe
        What it is fitted by.
    seed
        Of the start and of the order of samples. The same seed gives the same bytes with as many threads.
    device
        Where sparse autoencoders and semi-NMF are computed: ``"cpu"``, ``"cuda"``. NMF and k-means are on the CPU.
    advanced
        Called after each step of a sparse autoencoder with how many are done.

    Raises
    ------
    DataError
        When samples hold NaN or infinity, are all equal, or are fewer than latents; when the fit diverges.
    MissingDependencyError
        When what fits the kind is not installed.
    """
    check_installed(recipe.kind)
    scale, where = _scale(samples, recipe.latents), torch.device(device)
    if recipe.kind == "nmf":
        found = factorise(samples, recipe, seed, scale, where)
    elif recipe.kind == "kmeans":
        found = group(samples, recipe, seed, scale)
    else:
        found = train(samples, recipe, seed, scale, where, advanced)
    if not all(bool(one.isfinite().all()) for one in found.tensors().values()):
        raise DataError("the fit diverged: the dictionary holds NaN or infinity", "take a lower learning rate")
    return found


def _scale(samples: torch.Tensor, latents: int) -> Scale:
    """Return what samples are scaled by, in double precision."""
    if samples.ndim != 2 or 0 in samples.shape:
        raise DataError(f"samples of shape {tuple(samples.shape)}", "they are of shape (positions, channels)")
    if not bool(torch.isfinite(samples).all()):
        raise DataError("the layer's output holds NaN or infinity", "a dictionary is learned from finite values")
    if len(samples) < latents:
        raise DataError(
            f"{amount(len(samples), 'position')} for {amount(latents, 'latent')}",
            "take more positions or images, or fewer latents",
        )
    mean = mean_of(samples)
    squares = [(rows.double() - mean).square().sum() / len(samples) for rows in torch.split(samples, 4096)]
    length = float(torch.stack(squares).sum().sqrt())
    if length <= 1e-6 * float(mean.norm()) or length == 0:
        raise DataError("the layer's output is the same at every position", "there is nothing to learn from it")
    return Scale(mean.float(), length)
