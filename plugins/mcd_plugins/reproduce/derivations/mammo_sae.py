"""Mammo-SAE's results: what its strongest latents are worth, and how many of them two classes share."""

from __future__ import annotations

import io
import json

import pandas as pd

__all__ = ["auroc_with", "shared_latents"]

_MASS, _CALCIFICATION = "1_Mass", "1_Suspicious_Calcification"


def auroc_with(content: bytes, latents: int) -> float:
    """Return the AUROC with the strongest latents of both classes alone.

    Raises
    ------
    ValueError
        When there is none of that number.
    """
    for one in json.loads(content):
        if one["topk"] == latents:
            return float(one["aucroc"])
    raise ValueError(f"no result with {latents} latents")


def shared_latents(content: bytes, weights: str, strongest: int) -> float:
    """Return the share of the strongest latents of "mass" that "suspicious calcification" has too.

    Raises
    ------
    ValueError
        When one of the two has fewer.
    """
    found = pd.read_csv(io.BytesIO(content), keep_default_na=False)
    found = found[(found["weights"] == weights) & (found["rank"] < strongest)]
    first, second = (set(found.loc[found["class"] == one, "latent"]) for one in (_MASS, _CALCIFICATION))
    if min(len(first), len(second)) < strongest:
        raise ValueError(f"fewer than {strongest} latents of one class")
    return len(first & second) / strongest
