"""Kinds of dictionary, what one is fitted by, and what a fit gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mcd.errors import UsageError, amount

if TYPE_CHECKING:  # the flags of commands are of these kinds, and no help waits for torch
    import torch

__all__ = ["ACTIVATIONS", "AUTOENCODERS", "KINDS", "SEEDS", "Fitted", "Kind", "Recipe", "Scale"]

Kind = Literal["topk", "batchtopk", "relu", "nmf", "kmeans"]

KINDS: Mapping[Kind, str] = {
    "topk": "sparse autoencoder; the k latents that respond most at a position are kept (Gao et al. 2024)",
    "batchtopk": "sparse autoencoder; k latents are kept on average over positions (Bussmann et al. 2024)",
    "relu": "sparse autoencoder with a penalty on the sum of latents (L1)",
    "nmf": "non-negative matrix factorisation; semi-NMF where a layer has negative values",
    "kmeans": "k-means: a unit is 1 at the positions nearest to its centroid",
}
"""The kinds, each with what it is."""

ACTIVATIONS: Mapping[Kind, str] = {
    "topk": "topk",
    "batchtopk": "jumprelu",
    "relu": "relu",
    "nmf": "nonnegative",
    "kmeans": "nearest",
}
"""What makes latents of each kind: the activation in the file of the unit source."""

AUTOENCODERS: frozenset[Kind] = frozenset({"topk", "batchtopk", "relu"})
"""The kinds that are trained by gradient steps: ``steps``, ``batch`` and ``learning_rate`` are of them."""

SEEDS = 2**32
"""How many seeds there are: what every generator takes."""


@dataclass(frozen=True)
class Recipe:
    """What a dictionary is fitted by.

    Parameters
    ----------
    kind
        One of `KINDS`.
    latents
        How many units the dictionary has.
    k
        Of ``topk`` and ``batchtopk``: how many latents are kept at a position, in the latter on average.
    sparsity
        Of ``relu``: the weight of the L1 penalty beside the unexplained share of variance. Samples are scaled such that
        their mean squared distance from their mean is 1, and decoder rows have length 1, so that one value suits
        layers of any scale.
    steps, batch
        Of sparse autoencoders: how many gradient steps, and of how many positions each.
    learning_rate
        Of sparse autoencoders: the learning rate of Adam; None for 0.05 / √channels.

    Raises
    ------
    UsageError
        When a value is out of its range.
    """

    kind: Kind = "topk"
    latents: int = 512
    k: int = 6
    sparsity: float = 0.1
    steps: int = 2500
    batch: int = 512
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no kind of dictionary '{self.kind}'", f"there is {', '.join(KINDS)}")
        least = 2 if self.kind == "kmeans" else 1
        if self.latents < least:
            raise UsageError(
                f"a dictionary of {amount(self.latents, 'latent')}", f"kind {self.kind} needs at least {least}"
            )
        if min(self.k, self.steps, self.batch) < 1:
            raise UsageError(f"k {self.k}, steps {self.steps}, batch {self.batch}", "each is at least 1")
        if self.kind in ("topk", "batchtopk") and self.k > self.latents:
            raise UsageError(
                f"k {self.k} of {amount(self.latents, 'latent')}",
                f"k is at most the number of latents: --k {self.latents}",
            )
        for name, value in (("sparsity", self.sparsity), ("learning rate", self.learning_rate)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"a {name} of {value:g}", "it is a positive number")


@dataclass(frozen=True)
class Fitted:
    """A fitted dictionary: the tensors of a file of the unit source ``dictionary``, float32 on the CPU.

    Parameters
    ----------
    encoder
        ``(units, channels)``, of raw values of the layer; None for NMF and k-means, which do without.
    decoder
        ``(units, channels)``: rows of length 1, or of zeros where NMF left a factor empty; of k-means, what centroids
        differ from ``decoder_bias`` by, which is the mean of the samples.
    encoder_bias
        ``(units,)``, or None for none.
    decoder_bias
        ``(channels,)``, subtracted from values before the encoder and added after the decoder; None for none.
    threshold
        ``(units,)``: a latent is kept where it exceeds it; None for none.
    activation, k
        As in the file.
    method
        What was fitted, in words: "NMF" and "semi-NMF" are one kind.
    """

    encoder: torch.Tensor | None
    decoder: torch.Tensor
    encoder_bias: torch.Tensor | None
    decoder_bias: torch.Tensor | None
    threshold: torch.Tensor | None
    activation: str
    k: int | None
    method: str

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of the file, by name."""
        named = {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "encoder_bias": self.encoder_bias,
            "decoder_bias": self.decoder_bias,
            "threshold": self.threshold,
        }
        return {name: one.contiguous() for name, one in named.items() if one is not None}


@dataclass(frozen=True)
class Scale:
    """What samples are centred and divided by before they are learned from.

    Parameters
    ----------
    mean
        ``(channels,)``.
    length
        Root of the mean squared distance from the mean.
    """

    mean: torch.Tensor
    length: float
