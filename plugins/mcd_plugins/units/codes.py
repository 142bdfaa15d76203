"""What latents a dictionary makes of neurons: one module for each activation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import nn

from mcd_plugins.units.affine import Affine, random_directions

__all__ = ["ACTIVATIONS", "PRODUCTS", "latents", "random_latents"]

PRODUCTS = ("none", "relu", "topk", "jumprelu")
"""Activations that take the products with the rows of ``encoder``."""
ACTIVATIONS = (*PRODUCTS, "nonnegative", "nearest")
_STEPS, _CHECKED, _SETTLED = 200, 20, 1e-6
"""Steps of least squares at most, after how many those that are settled are put aside, and what share they moved."""


def latents(activation: str, tensors: Mapping[str, torch.Tensor], k: int | None = None) -> nn.Module:
    """Return what makes latents ``(…, units)`` of neurons ``(…, channels)``, float32, each position by itself.

    Parameters
    ----------
    activation
        One of `ACTIVATIONS`.
    tensors
        Those of a file of the unit source ``dictionary``, by name.
    k
        How many latents ``topk`` keeps at a position, at most as many as there are; None for every other activation.
    """
    encoder, decoder = tensors.get("encoder"), tensors["decoder"]
    bias, centre = tensors.get("encoder_bias"), tensors.get("decoder_bias")
    if activation == "nonnegative":
        return _NonNegative(decoder, centre)
    if activation == "nearest":
        return _Nearest(decoder, centre)
    assert encoder is not None
    if activation == "none":
        return Affine(encoder, bias, centre)
    return _Encoder(encoder, bias, centre, tensors.get("threshold"), k)


def random_latents(activation: str, tensors: Mapping[str, torch.Tensor], k: int | None, seed: int) -> nn.Module:
    """Return random latents of the same kind, number and sparsity; parameters as of `latents`.

    Rows that decide a latent are drawn uniformly, of the same lengths: of ``decoder`` for ``nonnegative`` (and none of
    their numbers is negative where none was) and for ``nearest`` (about the mean of the centroids, for a partition of
    the same place), otherwise of ``encoder``. At each position as many respond as of the dictionary's own, at most.
    Where there is no ``decoder_bias``, the centre is the one that biases imply: see `_centred`.
    """
    name = "encoder" if activation in PRODUCTS else "decoder"
    own = tensors[name]
    if activation == "nearest":
        middle = own.mean(dim=0)
        return latents(activation, {**tensors, name: middle + random_directions(own - middle, seed)})
    drawn = random_directions(own, seed)
    if activation == "nonnegative" and not bool((own < 0).any()):
        drawn = drawn.abs()
    if activation in PRODUCTS:  # The latents that respond most are chosen of all, by their products.
        centre, bias = tensors.get("decoder_bias"), tensors.get("encoder_bias")
        if centre is None and bias is not None:
            centre, bias = _centred(own, bias)
        found: nn.Module = Affine(drawn, bias, centre)
    else:
        found = latents(activation, {**tensors, name: drawn})
    return found if activation == "none" else _AsSparse(latents(activation, tensors, k), found)


def _centred(encoder: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a centre and biases that give the same products without a centre: biases that vary least.

    Biases of a dictionary that subtracts nothing take back what its own rows make of the layer's mean, which random
    rows do not: the same few of these would respond at all positions, and stand for chance.
    """
    with_constant = torch.cat([encoder, encoder.new_ones(len(encoder), 1)], dim=1).double()
    gram = with_constant.T @ with_constant
    gram.diagonal().add_(1e-9 * gram.diagonal().mean())
    centre = torch.linalg.solve(gram, with_constant.T @ -bias.double())[:-1]
    return centre.float(), (bias.double() + encoder.double() @ centre).float()


class _Encoder(Affine):
    """Latents of a sparse autoencoder: of what is positive that above a threshold, or the ``k`` largest, or all."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        centre: torch.Tensor | None,
        threshold: torch.Tensor | None,
        k: int | None,
    ) -> None:
        super().__init__(weight, bias, centre)
        self.threshold: torch.Tensor | None
        self.register_buffer("threshold", threshold)
        self.k = k

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return latents ``(…, units)`` of neurons ``(…, channels)``."""
        found = super().forward(values).relu()
        if self.threshold is not None:
            return found * (found > self.threshold)
        if self.k is None:
            return found
        kept = found.topk(self.k, dim=-1)
        return torch.zeros_like(found).scatter(-1, kept.indices, kept.values)


class _NonNegative(nn.Module):
    """Codes of non-negative matrix factorisation: those that are not negative and rebuild a position best.

    Non-negative least squares by projected gradients with momentum (Beck and Teboulle 2009, SIAM J. Imaging Sciences
    2(1), FISTA with a constant step), which a position gives up when it points uphill (O'Donoghue and Candès 2015,
    Found. Comput. Math. 15, equation 12). From 0, 200 steps, or until a position hardly moves: none waits for another.
    """

    def __init__(self, decoder: torch.Tensor, centre: torch.Tensor | None) -> None:
        super().__init__()
        self.decoder: torch.Tensor
        self.centre: torch.Tensor | None
        self.register_buffer("decoder", decoder)
        self.register_buffer("centre", centre)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return codes ``(…, units)`` of neurons ``(…, channels)``."""
        centred = values if self.centre is None else values - self.centre
        step = 1 / _curvature(self.decoder)
        gram, start = self.decoder @ self.decoder.T * step, functional.linear(centred, self.decoder) * step
        start = start.reshape(-1, len(self.decoder))
        codes = torch.zeros_like(start)
        going = torch.arange(len(start), device=start.device)
        found = ahead = codes
        speed = torch.ones_like(start[:, :1])
        for number in range(1, _STEPS + 1):
            before, found = found, (ahead - ahead @ gram + start).relu()
            uphill = ((ahead - found) * (found - before)).sum(dim=-1, keepdim=True) > 0
            speed = speed.where(~uphill, 1.0)
            faster = (1 + (1 + 4 * speed**2).sqrt()) / 2
            ahead = found + (speed - 1) / faster * (found - before)
            speed = faster
            if number % _CHECKED == 0:
                codes[going] = found
                moved = (found - before).abs().amax(dim=1) > _SETTLED * found.amax(dim=1)
                found, ahead, start, speed = found[moved], ahead[moved], start[moved], speed[moved]
                going = going[moved]
        return codes.reshape(*values.shape[:-1], len(self.decoder))


def _curvature(decoder: torch.Tensor) -> torch.Tensor:
    """Return a little more than the largest eigenvalue of the products of rows.

    The norm of a power bounds the power of the largest eigenvalue, the more closely the higher it is; unlike a method
    of iterated vectors it is never too small, with which steps would diverge.
    """
    rows, columns = decoder.shape
    power = decoder @ decoder.T if rows < columns else decoder.T @ decoder
    scale = power.abs().sum(dim=1).max()
    power = power / scale
    for _ in range(4):
        power = power @ power
    bound: torch.Tensor = scale * power.abs().sum(dim=1).max() ** (1 / 16) * 1.001
    return bound


class _Nearest(nn.Module):
    """1 for the centroid that is nearest to a position, the first of several, and 0 for the others."""

    def __init__(self, centroids: torch.Tensor, centre: torch.Tensor | None) -> None:
        super().__init__()
        self.centroids: torch.Tensor
        self.centre: torch.Tensor | None
        self.register_buffer("centroids", centroids)
        self.register_buffer("centre", centre)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return latents ``(…, units)`` of neurons ``(…, channels)``."""
        centred = values if self.centre is None else values - self.centre
        near = functional.linear(centred, self.centroids, -self.centroids.square().sum(dim=1) / 2)
        return torch.zeros_like(near).scatter(-1, near.argmax(dim=-1, keepdim=True), 1.0)


class _AsSparse(nn.Module):
    """Random latents, of which as many respond at each position as of a dictionary's own: those that do so most.

    Parameters
    ----------
    own, drawn
        The dictionary, and random latents in the places of its own.
    """

    def __init__(self, own: nn.Module, drawn: nn.Module) -> None:
        super().__init__()
        self.own, self.drawn = own, drawn

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return latents ``(…, units)`` of neurons ``(…, channels)``."""
        own: torch.Tensor = self.own(values)
        count = (own > 0).sum(dim=-1, keepdim=True)
        found: torch.Tensor = self.drawn(values)
        rank: torch.Tensor = found.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
        sparse: torch.Tensor = found.relu() * (rank < count)
        return sparse
