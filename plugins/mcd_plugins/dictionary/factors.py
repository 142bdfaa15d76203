"""Dictionaries that are no networks: NMF, semi-NMF and k-means."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import torch
import torch.nn.functional as functional

from mcd.errors import DataError, MissingDependencyError
from mcd_plugins.dictionary.kinds import ACTIVATIONS, Fitted, Kind, Recipe, Scale

__all__ = ["check_installed", "factorise", "group"]

_ITERATIONS = 100
"""Of NMF and semi-NMF: always as many, so that no tolerance decides."""
_AT_ONCE = 4096


def check_installed(kind: Kind) -> None:
    """Make sure that what fits a kind is installed.

    Raises
    ------
    MissingDependencyError
        When it is not.
    """
    if kind in ("nmf", "kmeans") and find_spec("sklearn") is None:
        raise MissingDependencyError(
            f"dictionaries of kind {kind} need scikit-learn, which is not installed",
            "python -m pip install 'mammo-clip-dissect[dictionary]'",
        )


def factorise(samples: torch.Tensor, recipe: Recipe, seed: int, scale: Scale, device: torch.device) -> Fitted:
    """Return NMF of samples ``(n, channels)`` without a negative value, and semi-NMF of others.

    Samples are not centred: an origin is what makes codes and rows that are not negative mean something. Both start
    from random numbers: a start that is computed, as by a singular value decomposition, would hide from two seeds how
    far the solution depends on it.
    """
    scaled = samples / (scale.length**2 + float(scale.mean.double().square().sum())) ** 0.5
    negative = bool((samples < 0).any())
    found = _semi_nmf(scaled, recipe.latents, seed, device) if negative else _nmf(scaled, recipe.latents, seed)
    return Fitted(
        encoder=None,
        decoder=functional.normalize(found, dim=1),
        encoder_bias=None,
        decoder_bias=None,
        threshold=None,
        activation=ACTIVATIONS["nmf"],
        k=None,
        method="semi-NMF" if negative else "NMF",
    )


def group(samples: torch.Tensor, recipe: Recipe, seed: int, scale: Scale) -> Fitted:
    """Return k-means of samples ``(n, channels)``: Lloyd's algorithm from seeds of k-means++."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    scaled = ((samples - scale.mean) / scale.length).numpy()
    model = KMeans(recipe.latents, n_init=1, random_state=seed)
    with warnings.catch_warnings(), threadpool_limits(1, user_api="openmp"):  # threads add up as they happen to end
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            found = model.fit(scaled)
        except ConvergenceWarning:
            raise DataError(
                f"the layer's output has fewer than {recipe.latents:,} different positions",
                "take more positions or images, or fewer latents",
            ) from None
    return Fitted(
        encoder=None,
        decoder=torch.from_numpy(found.cluster_centers_) * scale.length,
        encoder_bias=None,
        decoder_bias=scale.mean,
        threshold=None,
        activation=ACTIVATIONS["kmeans"],
        k=None,
        method="k-means",
    )


def _nmf(samples: torch.Tensor, latents: int, seed: int) -> torch.Tensor:
    """Return the dictionary of NMF, by coordinate descent (Cichocki and Phan 2009, IEICE E92-A(3))."""
    from sklearn.decomposition import NMF

    model = NMF(latents, init="random", random_state=seed, max_iter=_ITERATIONS, tol=0)
    return torch.from_numpy(model.fit(samples.numpy()).components_)


def _semi_nmf(samples: torch.Tensor, latents: int, seed: int, device: torch.device) -> torch.Tensor:
    """Return the dictionary of semi-NMF (Ding, Li and Jordan 2010, IEEE TPAMI 32(1)): codes are not negative.

    Codes by coordinate descent, rows by least squares, in turn: section 3.1 of Gillis and Kumar 2015, SIAM J. Matrix
    Anal. Appl. 36(4). It starts from samples drawn at random.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(samples), generator=generator)[:latents]
    noise = 1e-3 * torch.randn(latents, samples.shape[1], generator=generator)
    decoder = functional.normalize(samples[rows] + noise, dim=1).to(device)
    samples = samples.to(device)
    codes = torch.zeros(len(samples), latents, device=device)
    for _ in range(_ITERATIONS):
        gram = decoder @ decoder.T
        for some, theirs in zip(torch.split(codes, _AT_ONCE), torch.split(samples, _AT_ONCE), strict=True):
            products = theirs @ decoder.T
            for at in range(latents):
                some[:, at] = (some[:, at] + products[:, at] - some @ gram[:, at]).relu()
        among = codes.T @ codes
        among.diagonal().add_(1e-6 * among.diagonal().mean())
        decoder = torch.linalg.solve(among, codes.T @ samples)
        length = decoder.norm(dim=1).clamp_min(1e-12)
        decoder, codes = decoder / length[:, None], codes * length
    return decoder.cpu()
