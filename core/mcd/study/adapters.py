"""A plain Python function as scorer."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from mcd.api.base import digest
from mcd.api.scorer import DECLARED, Scorer
from mcd.networks.identity import identity_of

__all__ = ["FunctionScorer"]


class FunctionScorer(Scorer):
    """A function ``(A, P) -> S`` as scorer; see `mcd.Scorer.score` and `mcd.depends_on`."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], object]) -> None:
        super().__init__()
        self._function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.depends_on = getattr(function, DECLARED, "layer")

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Call the function; an array it returns becomes a tensor."""
        found = self._function(activations, similarity)
        return torch.from_numpy(found) if isinstance(found, np.ndarray) else cast("torch.Tensor", found)

    def fingerprint(self) -> str:
        """Return a digest of the function's name, and of its code and all that it reads."""
        return digest(self.name, identity_of(self._function).content)
