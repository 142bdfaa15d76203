"""Found on half of the patients, tried on the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pydantic
import torch

from mcd.plugins import PermutationUnits, digest

__all__ = ["DRAWS", "Halves", "Seed"]

DRAWS = 999
"""Permutations of the held-out patients: no p is below 1/1000."""

Seed = Annotated[
    int, pydantic.Field(ge=0, le=2**32 - 1, description="decides which half of the patients an explanation is found on")
]

_FLOATS = 2**24
"""Numbers of the permutations that are held at once: 128 MiB."""

_SAME = 1e-6
"""By what rounding may make two equal values differ."""


@dataclass(frozen=True)
class Halves:
    """The images of one half of the patients, and those of the other.

    Parameters
    ----------
    fit, held
        Row numbers, ascending, int64.
    units
        The permutation units of ``held``: patients where they are known.
    seed
        Decides the halves, and the permutations.
    """

    fit: torch.Tensor
    held: torch.Tensor
    units: PermutationUnits
    seed: int

    @classmethod
    def of(cls, patients: Sequence[str], seed: int) -> Halves:
        """Return the halves of a probe set, given the patient of each image; one without a known patient is a unit.

        Patients are put in the order of a digest of their keys: the half of a patient depends on the seed, and
        hardly on the other patients.
        """
        keys = [key or f"\0{row}" for row, key in enumerate(patients)]
        order = sorted(set(keys), key=lambda key: digest(str(seed), key))
        first = set(order[: (len(order) + 1) // 2])
        inside = torch.tensor([key in first for key in keys], dtype=torch.bool)
        fit, held = inside.nonzero().flatten(), (~inside).nonzero().flatten()
        return cls(fit, held, PermutationUnits.of([patients[row] for row in held.tolist()], "patient"), seed)

    def p(self, observed: torch.Tensor, measured: Callable[[torch.Tensor], torch.Tensor]) -> list[float]:
        """Return ``(1 + #{permuted ≥ observed}) / (DRAWS + 1)`` of each neuron.

        Parameters
        ----------
        observed
            ``(neurons,)``.
        measured
            Returns the same where the held-out activations are those of other patients: ``activations[order]``, given
            ``order`` ``(held,)``.
        """
        reached = torch.zeros(len(observed), dtype=torch.int64)
        for order in self._orders():
            reached += measured(order) >= observed - _SAME
        return [(1 + count) / (DRAWS + 1) for count in reached.tolist()]

    def _orders(self) -> Iterator[torch.Tensor]:
        rng = np.random.default_rng(self.seed)
        step = max(1, _FLOATS // max(1, len(self.held)))
        for start in range(0, DRAWS, step):
            yield from torch.from_numpy(self.units.permutations(min(step, DRAWS - start), rng))
