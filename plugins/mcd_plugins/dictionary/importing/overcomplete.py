"""What ``overcomplete`` learns."""

from __future__ import annotations

from typing import Final

import torch

from mcd.errors import UsageError
from mcd_plugins.dictionary.importing.saved import Asked, Imported, Saved, above_or_at, imported, refused

__all__ = ["knows", "read"]

_LINEAR, _NORM = "encoder.final_block.0", "encoder.final_block.1"
_EPSILON: Final = 1e-5
"""What torch's batch normalisation adds to variances by default, and overcomplete leaves so."""


def knows(saved: Saved) -> bool:
    """Say whether the names of tensors are those of this format."""
    return bool(saved.tensors.keys() & {"dictionary._weights", "dictionary.C", "D"})


def read(saved: Saved, asked: Asked) -> Imported:
    """Return the dictionary.

    The encoder is one linear map, perhaps with batch normalisation after it, or the dictionary itself (tied). What
    responds is not in a state dict, but for JumpSAE.
    """
    if "D" in saved.tensors:
        asked.only(saved)
        return _factorisation(saved)
    decoder = _dictionary(saved)
    encoder, bias = _encoder(saved, decoder)
    if "thresholds" in saved.tensors:
        asked.only(saved)
        least = above_or_at(saved.take("thresholds", "units").exp())
        return imported(saved, "JumpSAE", encoder, decoder, bias=bias, threshold=least)
    match asked.activation:
        case "relu":
            asked.only(saved, activation="relu")
            return imported(saved, "SAE", encoder, decoder, bias=bias)
        case "topk" if asked.k is not None:
            asked.only(saved, activation="topk", k=asked.k)
            return imported(saved, "TopKSAE", encoder, decoder, bias=bias, k=asked.k)
        case "batchtopk" if asked.threshold is not None:
            asked.only(saved, activation="batchtopk", threshold=asked.threshold)
            least = above_or_at(torch.tensor(asked.threshold))
            return imported(saved, "BatchTopKSAE", encoder, decoder, bias=bias, threshold=least)
    raise UsageError(
        f"{saved.path}: a state dict of overcomplete does not say which latents respond",
        "say it: --activation relu (SAE), --activation topk --k N (TopKSAE: its top_k), or --activation batchtopk "
        "--threshold X (BatchTopKSAE: its running_threshold)",
    )


def _factorisation(saved: Saved) -> Imported:
    if set(saved.tensors) != {"D"}:
        raise refused(
            saved,
            "a ConvexNMF or an ArchetypalAnalysis, whose names are the same",
            "codes of the latter sum to 1, which those of a dictionary do not",
            "of a ConvexNMF save the dictionary alone: torch.save({'D': model.D}, 'dictionary.pt')",
        )
    return imported(saved, "NMF or SemiNMF", None, saved.take("D", "units", "channels"))


def _dictionary(saved: Saved) -> torch.Tensor:
    """Return the decoder as it is in eval mode."""
    if "Q" in saved.tensors:
        raise refused(saved, "a QSAE", "its latents are quantised")
    if "dictionary.C" in saved.tensors:
        points = saved.take("dictionary.C", "points", "channels")
        found = saved.take("dictionary.W", "units", "points") @ points
        found = found + saved.take("dictionary.Relax", "units", "channels")
    else:
        found = saved.take("dictionary._weights", "units", "channels")
    return found * torch.tensor(saved.number("dictionary.multiplier") or 0.0).exp()


def _encoder(saved: Saved, decoder: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    names = {name for name in saved.tensors if name.startswith("encoder.")}
    if "encoder.weight" in names:  # TieableEncoder, untied
        bias = saved.take("encoder.bias", "units") if "encoder.bias" in names else None
        return saved.take("encoder.weight", "units", "channels"), bias
    if names and all(name.startswith("encoder.tied_to.") or name == "encoder.bias" for name in names):
        return decoder, saved.take("encoder.bias", "units") if "encoder.bias" in names else None
    if f"{_LINEAR}.weight" not in names:
        raise refused(
            saved,
            "a dictionary without a linear encoder",
            "MpSAE and OMPSAE code by matching pursuit, step by step",
        )
    deeper = sorted(name for name in names if not name.startswith((_LINEAR, _NORM)))
    if deeper:
        raise refused(saved, "a dictionary whose encoder has several layers", f"'{deeper[0]}' is none of a linear map")
    weight, bias = saved.take(f"{_LINEAR}.weight", "units", "channels"), saved.take(f"{_LINEAR}.bias", "units")
    if f"{_NORM}.weight" not in names:
        return weight, bias
    if f"{_NORM}.running_var" not in names:
        raise refused(
            saved,
            "a dictionary whose encoder ends in layer normalisation",
            "a latent then depends on all others at its position",
        )
    mean, variance = saved.take(f"{_NORM}.running_mean", "units"), saved.take(f"{_NORM}.running_var", "units")
    factor = saved.take(f"{_NORM}.weight", "units") / (variance + _EPSILON).sqrt()
    return weight * factor[:, None], (bias - mean) * factor + saved.take(f"{_NORM}.bias", "units")
