"""What a dictionary makes of samples: codes, and how sparse and how close they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from mcd_plugins.dictionary.kinds import Fitted
from mcd_plugins.units.codes import latents

__all__ = ["Measures", "codes", "mean_of", "measured"]

_AT_ONCE = 4096


@dataclass(frozen=True)
class Measures:
    """How sparse a dictionary is on samples, and how close to them.

    Parameters
    ----------
    l0
        How many latents respond at a position, on average.
    dead
        The share of latents that respond at no position.
    r2
        The share of variance explained: 1 − Σ‖x − x̂‖² / Σ‖x − mean‖², with the mean of these samples and
        x̂ = codes · decoder + decoder_bias. High values are no sign of a good dictionary: see `matching`.
    """

    l0: float
    dead: float
    r2: float


def mean_of(samples: torch.Tensor) -> torch.Tensor:
    """Return the mean of samples ``(n, channels)``, ``(channels,)`` float64; no copy of all is made."""
    total = torch.zeros(samples.shape[1], dtype=torch.float64)
    for rows in torch.split(samples, _AT_ONCE):
        total += rows.double().sum(dim=0)
    return total / len(samples)


def codes(fitted: Fitted, samples: torch.Tensor) -> torch.Tensor:
    """Return latents ``(n, units)`` of samples ``(n, channels)``, as the unit source ``dictionary`` makes them."""
    return torch.cat([found for _, found in _coded(fitted, samples)])


def measured(fitted: Fitted, samples: torch.Tensor) -> Measures:
    """Return how sparse a dictionary is on samples ``(n, channels)``, and how close to them.

    They should be of other patients than it was fitted on. Where all samples are equal, R² is NaN.
    """
    mean = mean_of(samples)
    count, left, whole = 0, 0.0, 0.0
    responds = torch.zeros(len(fitted.decoder), dtype=torch.bool)
    for rows, found in _coded(fitted, samples):
        count += int((found > 0).sum())
        responds |= (found > 0).any(dim=0)
        rebuilt = found @ fitted.decoder
        if fitted.decoder_bias is not None:
            rebuilt += fitted.decoder_bias
        left += float((rows.double() - rebuilt.double()).square().sum())
        whole += float((rows.double() - mean).square().sum())
    r2 = 1 - left / whole if whole else float("nan")
    return Measures(count / len(samples), 1 - float(responds.double().mean()), r2)


@torch.inference_mode()
def _coded(fitted: Fitted, samples: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield samples with their latents, so many at once that memory suffices."""
    module = latents(fitted.activation, fitted.tensors(), fitted.k)
    for rows in torch.split(samples, _AT_ONCE):
        yield rows, module(rows)
